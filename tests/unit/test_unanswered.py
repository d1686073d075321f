"""Requests that never got an answer, in the latency and where it is shown."""

from __future__ import annotations

import csv
import io
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results.answers import AnswersSeen
from bench.results.latency import PERCENTILES, Latency, latency_of, median_latency
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.results.waiting import LatencySpread
from bench.verdicts.contest import contests
from bench.wire.histogram import Histogram, index_of
from bench.wire.slices import Slice
from loadgen.onhost.engine.tally import SliceClock
from loadgen.onhost.worker.recorder import RequestRecorder
from reports.exporters.csv import cells_csv
from reports.tables.latency import latency_table
from reports.words.bodies import bodies_checked
from reports.words.latency import NOTE, latency_ms
from tests.helpers.results_example import QUICK, Example, example

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND

histograms = st.dictionaries(st.integers(0, 20_000), st.integers(1, 5_000), max_size=20)
fractions = st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0])


@given(histograms, fractions)
def test_with_every_request_answered_nothing_changes(counts: dict[int, int], fraction: float) -> None:
    spread = LatencySpread(counts.items())
    if not counts:
        with pytest.raises(ValueError):
            spread.quantile(fraction)
        return
    found = spread.quantile(fraction)
    assert (found.nanoseconds, found.at_least) == (Histogram(counts).quantile(fraction), False)
    assert spread.mean.nanoseconds == pytest.approx(Histogram(counts).mean)


@given(histograms.filter(bool), histograms, fractions)
def test_a_figure_is_never_below_that_of_what_was_answered(
    answered: dict[int, int], waited: dict[int, int], fraction: float
) -> None:
    """Nor above the longest that anything took or waited; and the count is that of all."""
    spread = LatencySpread(answered.items(), waited.items())
    found = spread.quantile(fraction)
    assert spread.count == sum(answered.values()) + sum(waited.values())
    ends = Histogram({**dict.fromkeys(answered, 1), **dict.fromkeys(waited, 1)})
    assert Histogram(answered).quantile(0) <= found.nanoseconds <= ends.maximum
    if found.at_least:
        assert found.nanoseconds >= Histogram(answered).maximum
    if not waited or max(waited) < max(answered):
        assert not found.at_least


def test_0_056_per_cent_that_time_out_are_the_tail_and_the_maximum() -> None:
    """46 of 82,544 requests, as a real server was seen to leave them; no answer took more than 5.3 ms."""
    answered = [(index_of(MILLISECOND), 82_000), (index_of(5_300_000), 498)]
    without = latency_of(answered)
    found = latency_of(answered, [(index_of(10 * SECOND), 46)])
    assert without is not None and found is not None
    assert without.max == pytest.approx(0.0053, rel=1e-2)
    assert without.at_least == ()
    assert (found.p50, found.p99, found.p99_9) == (without.p50, without.p99, without.p99_9)
    assert found.max == pytest.approx(10, rel=1e-2)
    assert found.at_least == ("max", "mean"), "one in 1,794 is more than one in 10,000"
    more = latency_of(answered[:1] * 2, [(index_of(10 * SECOND), 92)])
    assert more is not None and more.p99_99 == pytest.approx(10, rel=1e-2)
    assert more.at_least == ("p99_99", "max", "mean")


def test_what_is_in_flight_at_the_end_moves_nothing_unless_it_is_old() -> None:
    """50 connections in flight at a random moment of 40 ms each, as at the end of every closed loop."""
    answered = [(index_of(40 * MILLISECOND), 4_000), (index_of(41 * MILLISECOND), 1_000)]
    young = [(index_of(age * MILLISECOND), 1) for age in range(40)]
    usual, plain = latency_of(answered, young), latency_of(answered)
    assert usual is not None and plain is not None
    assert [usual.p50, usual.p90, usual.p99, usual.max] == [plain.p50, plain.p90, plain.p99, plain.max]
    assert usual.at_least == ()
    stopped = latency_of(answered, [*young, (index_of(3 * SECOND), 10)])
    assert stopped is not None
    assert stopped.p99 == plain.p99 and stopped.max == pytest.approx(3, rel=1e-2)
    assert "max" in stopped.at_least and "p99" not in stopped.at_least


def test_timeouts_that_one_answer_outlasted_stay_in_the_tail() -> None:
    """One answer came after 10.1 s, when 99 of its kind had been given up after 10 s."""
    found = latency_of(
        [(index_of(MILLISECOND), 9_900), (index_of(10_100 * MILLISECOND), 1)], [(index_of(10 * SECOND), 99)]
    )
    assert found is not None and found.p99_9 == pytest.approx(10.1, rel=1e-2)


def bounded(value: float, *at_least: str) -> Latency:
    return Latency(value, value, value, value, value, value, value, at_least=at_least)


def test_over_runs_a_median_may_be_more_if_a_bound_that_may_be_more_is_not_above_it() -> None:
    above = median_latency([bounded(1), bounded(2), bounded(9, "p99", "max")])
    below = median_latency([bounded(1, "p99"), bounded(2), bounded(9)])
    assert above is not None and below is not None
    assert (above.p99, above.at_least) == (2, ("max",))
    assert below.at_least == ("p99",)


def with_bounds() -> Example:
    def bound(run: RunResult) -> RunResult:
        assert run.latency_seconds is not None
        latency = msgspec.structs.replace(run.latency_seconds, max=10.0, at_least=("p99_9", "max", "mean"))
        return msgspec.structs.replace(run, latency_seconds=latency)

    return example(QUICK).changed(lambda run: True, bound)


def test_tables_and_csv_say_at_least() -> None:
    made = with_bounds()
    summary = summarise(made.plan, made.runs)
    names = [endpoint.name for endpoint in made.plan.endpoints]
    table = latency_table([(one.endpoint, one) for one in contests(summary, made.runs, names)])
    row = next(row for row in table.rows if row.tone != "group")
    shown = dict(zip([column.title for column in table.columns], row.cells, strict=True))
    assert str(shown["Max"]) == "≥ 10,000"
    assert str(shown["p99.9"]).startswith("≥ ") and not str(shown["p99"]).startswith("≥")
    assert NOTE in table.note
    lines = list(csv.DictReader(io.StringIO(cells_csv(summary))))
    for line in lines:
        has_it = "p99_9 " if line["latency_p99_9_seconds"] else ""
        assert line["latency_at_least"] == f"{has_it}max mean"
    assert {line["latency_max_seconds"] for line in lines} == {"10.0"}


def test_results_from_before_have_no_bounds() -> None:
    before = bounded(0.001)
    assert latency_ms(before, "max") == "1.00"
    assert latency_ms(None, "max") == "–"
    assert {latency_ms(before, one.name) for one in PERCENTILES} == {"1.00"}


# A user's own locustfile, and what the report says of bodies


def test_a_users_own_requests_are_told_in_the_same_way() -> None:
    """Timed out, answered after a silence, and with a time below nothing, which a user's file may report."""
    slices: list[Slice] = []
    begun = 5 * SECOND
    clock = SliceClock(time.monotonic(), 0.0)
    clock.epoch_nanoseconds = begun
    recorder = RequestRecorder(
        clock,
        worker="w",
        base_url="http://a",
        counted_paths=("/",),
        connections=lambda: 1,
        emit=slices.append,
        now=begun,
    )

    def request(at_seconds: float, took_ms: float, error: Exception | None = None) -> None:
        recorder.record(
            begun + round(at_seconds * SECOND),
            response_time_ms=took_ms,
            length_bytes=1,
            exception=error,
            status=None if error else 200,
            url="http://a/",
        )

    request(0.1, -1_000.0)
    request(0.7, 500.0)
    request(0.9, 200.0, TimeoutError())
    totals = recorder.close(begun + round(1.5 * SECOND), in_flight=0)
    assert totals.histogram == ((0, 1), (index_of(500 * MILLISECOND), 1))
    assert totals.unanswered == ((index_of(200 * MILLISECOND), 1),)
    assert totals.stalls == 1
    assert totals.quiet_seconds_max == pytest.approx(0.8)
    assert [one.quiet_seconds_at_end for one in slices] == pytest.approx([0.3, 0.8])
    assert [one.seconds for one in slices] == pytest.approx([1.0, 0.5])
    assert totals.bodies_checked == 0, "the engine alone looks at bodies"


def test_the_report_says_how_many_bodies_were_looked_at() -> None:
    def seen(checked: int, wrong: int = 0) -> AnswersSeen:
        return AnswersSeen(
            right_size=1_000,
            bodies_checked=checked,
            bodies_wrong=wrong,
            reconnects=0,
            seconds_without=(),
            silence=None,
            standing=None,
        )

    first = example(QUICK).runs[0]
    for answers, said in (
        (seen(1_000), "all 1,000 bodies compared byte for byte, none wrong"),
        (seen(1_000, 2), "all 1,000 bodies compared byte for byte, 2 wrong"),
        (
            seen(100),
            "100 of 1,000 bodies hashed in full (the length of each compared), none wrong: with 95 % ",
        ),
        (seen(100, 7), "100 of 1,000 bodies hashed in full (the length of each compared), 7 wrong"),
    ):
        run = msgspec.structs.replace(first, answers=answers)
        ((endpoint, text),) = bodies_checked([run])
        assert endpoint == run.cell.endpoint and text.startswith(said)
    assert list(bodies_checked([first])) == [], "older results don't tell"
