"""The machine's own speed: read beside a run, judged, and said of a benchmark."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from bench.judge.figures import CpuUse, LoadUse, RunFigures
from bench.judge.judge import MACHINE_REASONS, cause_of_another_try, judge
from bench.judge.reason import Reason
from bench.judge.rules.speed import (
    CoresBusyAtRest,
    CpuPerRequestMoved,
    MachineSpeedMoved,
    MachineSpeedOff,
)
from bench.judge.speed import MACHINE_SPEED_CODE
from bench.results.course import machine_moved
from bench.results.run import RunResult
from bench.results.speed import (
    MachineSpeed,
    RestReadings,
    SpeedEvidence,
    machine_speed,
    per_request_by_second,
    usual_seconds,
)
from bench.results.summarise import summarise
from bench.results.summary import CellSummary, Summary
from bench.samples.by_second import cpu_by_second
from bench.samples.tree import Point, Tree
from bench.wire.agent import Gauged
from reports.results import Results
from reports.terminal.closing import print_closing
from reports.words.sentences import answer
from tests.helpers.results_example import QUICK, REVIEW, SERVERS, Example, example, is_cell
from tests.helpers.speed_example import at_speed, at_speeds, gauged, speed

RUN = RunFigures(requests=1_000, server=CpuUse(1.0, 1.0), load=(LoadUse("here/0", 0.4),))


def found(machine: MachineSpeed | None) -> dict[str, str]:
    """Codes and texts of a run whose server was at its limit, and that counts."""
    judgement = judge(msgspec.structs.replace(RUN, machine_speed=machine))
    assert judgement.valid
    return {one.code(): one.text for one in judgement.reasons}


def of_uvicorn(summary: Summary) -> CellSummary:
    (cell,) = (one for one in summary.cells if (one.server, one.endpoint) == ("uvicorn", "shortbody"))
    return cell


def costing(made: Example, *microseconds: float) -> Example:
    """Uvicorn's shortbody runs at these CPU seconds per request, in turn."""
    ids = [run.run_id for run in made.runs if is_cell("uvicorn", "shortbody")(run)]

    def cost(run: RunResult) -> RunResult:
        value = microseconds[ids.index(run.run_id) % len(microseconds)] * 1e-6
        return msgspec.structs.replace(run, cpu_seconds_per_request=value)

    return made.changed(is_cell("uvicorn", "shortbody"), cost)


# ---------------------------------------------------------------- what was read


def test_a_rest_is_summed_up_by_medians_and_minima_of_cpu_and_clock() -> None:
    both = [Gauged(core, 4e-3, 5e-3, 1e-3, 1e-3) for core in (3, 2)]
    readings = (*both, Gauged(2, 9e-3, 9e-3, 1e-3, 2e-3))
    read = machine_speed(
        SpeedEvidence(RestReadings(readings, {"load-1": (gauged(2e-3, 7),)}), RestReadings(), None), ()
    )
    before = read.server.before
    assert before is not None and before.cores == (2, 3) and before.readings == 3
    assert (before.computing.cpu_median, before.computing.cpu_min) == (4e-3, 4e-3)
    assert (before.computing.wall_median, before.kernel.wall_median) == (5e-3, 1e-3)
    assert before.seconds == pytest.approx(2e-3)
    # A rest without a reading is no reading of 0, and the other one tells.
    assert read.server.after is None and read.server.moved is None
    assert read.server.seconds == pytest.approx(2e-3)
    load = read.load["load-1"]
    assert load.before is not None and load.before.cores == (7,) and load.after is None


def test_what_is_usual_is_the_median_of_the_latest_five_runs_that_were_read() -> None:
    assert usual_seconds([]) is None
    assert usual_seconds([None]) is None
    slow = [speed(8e-3)] * 4
    assert usual_seconds([*slow, None, *[speed(4e-3)] * 3]) == pytest.approx(4e-3)


def test_cpu_per_request_of_each_second_is_of_that_second() -> None:
    points = tuple(Point(100 + step / 10, 1, 1, used) for step, used in enumerate(_ramp(0.4, 0.8, 0.1)))
    used = cpu_by_second(Tree(points, (), (), 0.1), 100.0, range(5))
    assert used == {0: pytest.approx(0.4), 1: pytest.approx(0.8), 2: pytest.approx(0.1)}
    # The third second has too little for ticks of 10 ms; the fourth was not sampled.
    assert per_request_by_second(used, {0: 10_000, 1: 10_000, 2: 10_000, 3: 9, 4: 9}) == [
        pytest.approx(40e-6),
        pytest.approx(80e-6),
    ]


def _ramp(*shares: float) -> list[float]:
    """Ten points a second of a tree that uses these shares of a core, second after second."""
    found = [0.0]
    for share in shares:
        found += [found[-1] + share * step / 10 for step in range(1, 11)]
    return found


# ---------------------------------------------------------------- one run


def test_a_run_on_a_machine_that_is_off_its_usual_speed_is_marked_whichever_way() -> None:
    slower, faster = found(speed(5.2e-3, usual=4e-3)), found(speed(3e-3, usual=4e-3))
    code = MachineSpeedOff.code()
    assert (
        "slower than in the runs before" in slower[code]
        and "30% longer than the usual 4.0 ms" in slower[code]
    )
    assert "faster than in the runs before" in faster[code] and "25% less" in faster[code]
    assert not found(speed(4.4e-3, usual=4e-3))
    # The first run has nothing to be held against, and older results were not read.
    assert not found(speed(9e-3)) and not found(None)


def test_a_run_within_which_the_machine_changed_its_speed_is_marked() -> None:
    text = found(speed(4e-3, 6e-3))[MachineSpeedMoved.code()]
    assert "4.0 ms before the load and 6.0 ms after it" in text
    assert MachineSpeedMoved.code() in found(speed(6e-3, 4e-3))
    assert not found(speed(4e-3, 4.8e-3))


def test_a_run_is_repeated_for_the_machines_speed_and_never_for_the_servers() -> None:
    off = judge(msgspec.structs.replace(RUN, machine_speed=speed(6e-3, usual=4e-3))).as_reasons()
    cause = cause_of_another_try(off)
    assert cause is not None and cause.code == MachineSpeedOff.code() and not cause.invalidates
    # A run that is void for its server's sake says nothing more at another speed.
    assert cause_of_another_try((Reason("Failures", "all", invalidates=True), *off)) is None
    spoilt = Reason(sorted(MACHINE_REASONS)[0], "others", invalidates=True)
    assert cause_of_another_try((*off, spoilt)) == spoilt
    assert cause_of_another_try((Reason("cpu_per_request_differs", "by 70 %"),)) is None


# ---------------------------------------------------------------- a cell, a benchmark


def test_runs_of_one_cell_at_30_and_52_microseconds_are_said() -> None:
    """Seen: Uvicorn's shortbody at 52 µs of CPU per request, and at 30 ten minutes later, without a word."""
    made = costing(at_speeds(example(REVIEW, servers=SERVERS[:1]), 4e-3, 6e-3), 30, 52)
    cell = of_uvicorn(summarise(made.plan, made.runs))
    (said,) = (one for one in cell.reasons if one.code == "cpu_per_request_differs")
    assert "differs by 73% over its runs, 30 to 52 µs" in said.text
    assert "fixed work on the same cores by 50%" in said.text
    assert "the load's own CPU per request by" in said.text
    assert not said.invalidates and said.remedy
    assert cell.speed is not None and cell.speed.cpu_per_request_spread == pytest.approx(52 / 30 - 1)
    quiet = costing(made, 30, 33)
    assert "cpu_per_request_differs" not in {
        one.code for one in of_uvicorn(summarise(quiet.plan, quiet.runs)).reasons
    }


def test_quick_says_how_far_the_machine_itself_moved_between_its_runs() -> None:
    """One run each: 18,700 requests/s in one benchmark and 31,000 in the next were both printed as facts."""
    made = at_speeds(example(QUICK), 4e-3, 5.24e-3, 4e-3)
    (said,) = (one for one in summarise(made.plan, made.runs).warnings if one.code == MACHINE_SPEED_CODE)
    assert "moved by 31% between these runs" in said.text and "4.0 to 5.2 ms" in said.text
    assert "a smaller difference between two servers may be the machine's" in said.text
    still = at_speeds(example(QUICK), 4e-3, 4.1e-3)
    assert MACHINE_SPEED_CODE not in {one.code for one in summarise(still.plan, still.runs).warnings}


def test_with_repeats_it_is_said_from_a_greater_move_on() -> None:
    for seconds, is_said in ((4.4e-3, False), (4.8e-3, True)):
        made = at_speeds(example(REVIEW), 4e-3, seconds)
        warnings = summarise(made.plan, made.runs).warnings
        assert any(one.code == MACHINE_SPEED_CODE for one in warnings) == is_said


def test_results_without_a_yardstick_say_nothing_of_it() -> None:
    made = example(REVIEW)
    summary = summarise(made.plan, made.runs)
    assert MACHINE_SPEED_CODE not in {one.code for one in summary.warnings}
    assert machine_moved(made.runs) is None
    cell = of_uvicorn(summary)
    assert cell.speed is not None and cell.speed.yardstick_spread is None
    one = machine_moved([at_speed(made.runs[0], 4e-3)])
    assert one is None


def test_a_cost_that_moves_within_the_window_is_named_and_repeats_nothing() -> None:
    def seconds(*microseconds: float) -> MachineSpeed:
        costs = tuple(one * 1e-6 for one in microseconds)
        return msgspec.structs.replace(speed(4e-3), cpu_seconds_per_request=costs)

    code = CpuPerRequestMoved.code()
    assert "37 to 54 µs over 4 of its seconds" in found(seconds(37, 40, 54, 39))[code]
    assert not found(seconds(37, 40, 47, 39)) and not found(seconds(37, 54))
    reasons = judge(msgspec.structs.replace(RUN, machine_speed=seconds(37, 40, 54, 39))).as_reasons()
    assert cause_of_another_try(reasons) is None


def test_cores_that_are_taken_while_the_server_idles_are_named() -> None:
    taken = RestReadings((Gauged(0, 4e-3, 8.4e-3, 3e-3, 6e-3),) * 4)
    free = RestReadings((gauged(4e-3),) * 4)
    code = CoresBusyAtRest.code()
    for rests in ((taken, free), (free, taken)):
        text = found(machine_speed(SpeedEvidence(*rests, None), ()))[code]
        assert "not idle at rest" in text and "2.1 times" in text and "1.0 times" in text
    assert code not in found(machine_speed(SpeedEvidence(free, free, None), ()))
    assert code not in found(machine_speed(SpeedEvidence(RestReadings(), RestReadings(), None), ()))


def test_quick_says_beside_each_pair_how_far_the_machine_moved_between_its_two_runs() -> None:
    """Single runs of uvicorn and daphne that differ by 12 %, on a machine that moved by 31 %."""
    base = example(QUICK, servers=SERVERS[:2], noise=0.0)
    rates = {"uvicorn": 10_000.0, "daphne": 8_929.0}
    made = base.changed(
        lambda _: True,
        lambda run: at_speed(
            msgspec.structs.replace(run, requests_per_second=rates[run.cell.server]),
            4e-3 if run.cell.server == "uvicorn" else 5.24e-3,
        ),
    )
    said = _shortbody(made)
    assert "12 % more requests/s" in said and "one run each: no interval" in said
    assert "the machine’s own speed moved by 31 % between them, more than they differ" in said
    closing = _closing(made)
    assert "+12 % over the next, less than the machine moved" in closing
    assert "The machine's own speed moved by 31% between these runs" in closing
    twice = made.changed(
        lambda run: run.cell.server == "uvicorn",
        lambda run: msgspec.structs.replace(run, requests_per_second=17_858.0),
    )
    said = _shortbody(twice)
    assert "moved by 31 % between them" in said and "more than they differ" not in said
    assert "less than the machine moved" not in _closing(twice)
    # With repeats the interval says it; without a yardstick nothing is known.
    assert "machine’s own speed" not in _shortbody(at_speeds(example(REVIEW), 4e-3, 6e-3))
    assert "machine’s own speed" not in _shortbody(base)


def _shortbody(made: Example) -> str:
    results = Results(made.plan, made.environment, summarise(made.plan, made.runs), made.runs)
    (found,) = (answer(contest, label) for label, contest in results.contests if label == "shortbody")
    return " ".join((found.sentence, *found.others))


def _closing(made: Example) -> str:
    console = Console(file=io.StringIO(), width=10_000)
    print_closing(summarise(made.plan, made.runs), made.runs, console, None)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
