"""Figures of a run that contradict each other: seconds and totals, files and what came, window and run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from bench.judge.figures import RunFigures
from bench.judge.judge import is_spoilt_by_machine, judge
from bench.judge.reason import Reason
from bench.results.figures import Counts
from bench.results.invariants import (
    NOT_SUMS,
    Contradiction,
    ReadSpool,
    contradictions,
    cut_seconds,
    window_contradictions,
)
from bench.wire.codec import encode_line
from bench.wire.slices import Slice, Totals
from bench.wire.worker import SpoolFailure, SpoolHead, SpoolTotals
from loadgen.onhost.engine.tally import SliceSums
from loadgen.stats import cut_window, parse_spool, per_second

RUN, WORKERS = "001-1", ("a/0", "b/0")
WARMUP, WINDOW = 1, 4


def one_slice(k: int, **changes: Any) -> Slice:
    values: dict[str, Any] = {
        "k": k, "requests": 10, "failures": {"timeout": 1}, "bytes_received": 220, "connects": 2,
        "reconnects": 1, "connections": 5, "histogram": ((100, 4), (101, 6)),
        "failure_histogram": ((900, 1),), "engine_cpu_seconds": 0.5, "locust_cpu_seconds": 0.1,
        "loop_lag_seconds_max": 0.001, "backlog_dropped": 3, "backlog_max": 2, "send_lag": ((1, 10),),
        "service_histogram": ((90, 10),),
    }  # fmt: skip
    return Slice(**{**values, **changes})


def totals_of(worker: str, rows: Sequence[Slice]) -> Totals:
    """As the engine makes them."""
    sums = SliceSums()
    for one in rows:
        sums.add(one)
    return sums.totals(worker, sent=sums.completed, in_flight=0)


class Run(msgspec.Struct):
    """What came of a run: the seconds, the totals, and the workers' own files."""

    slices: dict[str, list[Slice]]
    totals: dict[str, Totals]
    spools: dict[str, ReadSpool]

    def broken(self) -> list[Contradiction]:
        cut = {"warmup_seconds": WARMUP, "window_seconds": WINDOW}
        window = cut_window(self.slices, {name: name[0] for name in self.slices}, **cut)
        answered = sum(one.answered for one in self.totals.values())
        seconds = per_second(self.slices, **cut)
        return [
            *contradictions(RUN, self.slices, self.totals, self.spools),
            *window_contradictions(window, seconds, answered),
        ]


@pytest.fixture
def run() -> Run:
    slices = {name: [one_slice(k) for k in range(-1, WARMUP + WINDOW + 1)] for name in WORKERS}
    totals = {name: totals_of(name, rows) for name, rows in slices.items()}
    spools = {
        name: ReadSpool(SpoolHead(RUN, name), tuple(rows), totals[name]) for name, rows in slices.items()
    }
    return Run(slices, totals, spools)


def reasons(found: Sequence[Contradiction]) -> tuple[Reason, ...]:
    return judge(RunFigures(requests=1, server=None, load=(), contradictions=tuple(found))).as_reasons()


def test_a_whole_run_has_no_contradiction(run: Run) -> None:
    assert run.broken() == []


def test_seconds_that_came_twice_void_a_run_whose_four_counts_agree(run: Run) -> None:
    """288,470 requests in the window of a run that had 113,191."""
    counts = Counts(*[sum(one.answered for one in run.totals.values())] * 4)
    for name in WORKERS:
        inside = [one for one in run.slices[name] if one.k > 0]
        run.slices[name] += inside * 3
    found = run.broken()
    assert {one.worker for one in found} == {"", *WORKERS}
    (beyond,) = [one for one in found if "which the whole run has not" in one.what]
    assert beyond.found > beyond.expected == counts.engine
    said = reasons(found)
    assert said[0].code == "FiguresContradict" and said[0].invalidates
    assert not is_spoilt_by_machine([one for one in said if one.invalidates])


@pytest.mark.parametrize("second", [-1, 2, WARMUP + WINDOW])
def test_a_second_that_came_twice_is_named_wherever_it_lies(run: Run, second: int) -> None:
    rows = run.slices["a/0"]
    rows.insert(second + 2, one_slice(second))
    run.spools = {}
    assert Contradiction("a/0", f"the second after second {second}", second, second + 1) in run.broken()
    assert {one.worker for one in run.broken()} <= {"a/0", ""}


@pytest.mark.parametrize("index", [0, 3, -1])
def test_a_second_that_is_missing_anywhere_is_found(run: Run, index: int) -> None:
    del run.slices["b/0"][index]
    run.spools = {}
    assert "b/0" in {one.worker for one in run.broken()}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requests", 11),
        ("failures", {"timeout": 2}),
        ("failures", {"reset": 1}),
        ("bytes_received", 0),
        ("connects", 3),
        ("reconnects", 0),
        ("histogram", ((100, 4), (102, 6))),
        ("histogram", ((100, 4), (101, 7))),
        ("failure_histogram", ()),
        ("send_lag", ((1, 11),)),
        ("service_histogram", ((91, 10),)),
        ("backlog_dropped", 4),
    ],
)
def test_a_figure_of_one_second_that_was_altered_is_found(run: Run, field: str, value: Any) -> None:
    run.slices["a/0"][3] = dataclasses.replace(run.slices["a/0"][3], **{field: value})
    run.spools = {}
    (said,) = [one for one in reasons(run.broken()) if "a/0" in one.text]
    assert said.code == "FiguresContradict"


def test_whatever_seconds_and_totals_both_count_is_held_against_each_other(run: Run) -> None:
    """A count that is added to both later is not forgotten."""
    names = {field.name for field in dataclasses.fields(Slice)} & {
        field.name for field in dataclasses.fields(Totals)
    }
    counts = [name for name in names - NOT_SUMS if isinstance(getattr(run.totals["a/0"], name), int)]
    assert {"requests", "bytes_received", "connects", "reconnects", "backlog_dropped"} <= set(counts)
    for name in counts:
        whole = run.totals["a/0"]
        more = dataclasses.replace(whole, **{name: getattr(whole, name) + 1})
        found = contradictions(RUN, run.slices, {**run.totals, "a/0": more}, {})
        assert f"{name.replace('_', ' ')} added up second by second" in [one.what for one in found], name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spool: {"head": SpoolHead("002-1", "a/0")}, "run 002-1 by a/0"),
        (lambda spool: {"head": SpoolHead(RUN, "b/0")}, "run 001-1 by b/0"),
        (lambda spool: {"slices": spool.slices[:-1]}, "beside those in its own"),
        (lambda spool: {"slices": spool.slices * 2}, "beside those in its own"),
        (lambda spool: {"slices": (one_slice(-1, connects=7), *spool.slices[1:])}, "unlike those in its own"),
        (lambda spool: {"totals": dataclasses.replace(spool.totals, connects=0)}, "requests in the totals"),
    ],
)
def test_a_spool_that_is_another_runs_or_was_damaged_is_found(run: Run, change: Any, said: str) -> None:
    spool = run.spools["a/0"]
    run.spools["a/0"] = msgspec.structs.replace(spool, **change(spool))
    (found,) = run.broken()
    assert (found.worker, said in found.what) == ("a/0", True)


@pytest.mark.parametrize("seconds", [0.42, 0.99, 1.6, 0.0])
def test_a_second_of_the_window_that_was_cut_is_found(run: Run, seconds: float) -> None:
    """The last second cut to 8,673 requests and counted whole."""
    window = range(WARMUP, WARMUP + WINDOW)
    assert cut_seconds(run.slices, window) == ()
    last = WARMUP + WINDOW - 1
    run.slices["b/0"][last + 1] = one_slice(last, seconds=seconds)
    (found,) = cut_seconds(run.slices, window)
    assert found == Contradiction("b/0", f"milliseconds in second {last}", round(1000 * seconds), 1000)
    assert reasons([found])[0].invalidates
    # Outside the window: a run's first and last seconds are always cut.
    assert cut_seconds({"b/0": [one_slice(-1, seconds=0.1), one_slice(last + 1, seconds=0.2)]}, window) == ()


def test_two_runs_that_were_mixed_are_found(run: Run) -> None:
    """The totals of one try with the seconds of the other; and a worker's totals under another's name."""
    other = {name: totals_of(name, rows[:-2]) for name, rows in run.slices.items()}
    assert {one.worker for one in contradictions(RUN, run.slices, other, {})} == set(WORKERS)
    swapped = {"a/0": run.totals["b/0"], "b/0": run.totals["a/0"]}
    assert len(contradictions(RUN, run.slices, swapped, {})) == 2


def test_a_worker_without_seconds_or_without_totals_is_found(run: Run) -> None:
    without: Mapping[str, list[Slice]] = {**run.slices, "a/0": []}
    assert {one.worker for one in contradictions(RUN, without, run.totals, {})} == {"a/0"}
    found = contradictions(RUN, run.slices, {"b/0": run.totals["b/0"]}, {})
    assert found == (Contradiction("a/0", "totals", 0, 1),)


def test_the_first_contradiction_of_each_worker_is_said_and_the_others_counted(run: Run) -> None:
    run.slices["a/0"] += run.slices["a/0"]
    said = [one for one in reasons(run.broken()) if "a/0" in one.text]
    assert [one.code for one in said] == ["FiguresContradict"]
    assert said[0].text == (
        "figures contradict each other: the second after second 5 of load worker a/0: -1, not 6 "
        f"({len([one for one in run.broken() if one.worker == 'a/0']) - 1} more contradictions beside it)"
    )


def spool_lines(run: Run) -> list[bytes]:
    spool = run.spools["a/0"]
    return [encode_line(spool.head), *map(encode_line, spool.slices), encode_line(SpoolTotals(spool.totals))]


def test_a_spool_is_read_back_whole(run: Run) -> None:
    assert parse_spool(b"".join(spool_lines(run))) == run.spools["a/0"]


def test_a_spool_that_is_damaged_anywhere_is_refused(run: Run) -> None:
    lines = spool_lines(run)
    failed = [*lines[:-1], encode_line(SpoolFailure("no"))]
    for damaged in (lines[:-1], lines[1:], failed, [*lines[:2], b'{"k": 1\n', *lines[3:]], lines[:1], []):
        with pytest.raises(msgspec.MsgspecError):
            parse_spool(b"".join(damaged))
