"""Requests that never got an answer, in the latency and where it is shown."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results.latency import PERCENTILES, Latency, latency_of, median_latency
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.results.waiting import LatencySpread
from bench.verdicts.contest import contests
from bench.wire.histogram import Histogram, index_of
from reports.exporters.csv import cells_csv
from reports.tables.latency import latency_table
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
