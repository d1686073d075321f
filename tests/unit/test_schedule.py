"""The plan's runs in their order: tried again, given up, or the end of all. Hosts and load are stand-ins."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.errors import (
    AgentError,
    AsgibenchError,
    ConnectionLost,
    DatabaseError,
    DiskFull,
    HostUnreachable,
    LoadError,
    ServerStartError,
    SeveralHostsFailed,
)
from bench.judge.judge import MACHINE_REASONS
from bench.judge.reason import Reason
from bench.judge.rules.speed import MachineSpeedOff
from bench.results.store import Store
from session.attempt import RunOutcome
from tests.helpers.plan_bed import MADE, PLAN, RESULTS, Bed
from tests.helpers.speed_example import at_speed


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    return Bed(Store.create(tmp_path, PLAN.name, PLAN), monkeypatch)


def codes(outcome: RunOutcome) -> list[str]:
    return [reason.code for reason in outcome.reasons]


def lost(host: str) -> LoadError:
    return LoadError(f"load worker {host}/0 was lost in mid-run; the run is void", remedy="See that it is up")


def test_every_run_is_measured_and_saved_in_the_plans_order(bed: Bed) -> None:
    found = list(bed.outcomes(3))
    assert [one.run for one in found] == list(PLAN.runs[:3])
    assert [one.result for one in found] == [RESULTS[run.id] for run in PLAN.runs[:3]]
    assert bed.store.done_run_ids() == {run.id for run in PLAN.runs[:3]}
    assert bed.load.started == bed.mended == 0


@pytest.mark.parametrize("error", [lost("one"), ConnectionLost("gone"), AgentError("ended")])
def test_a_run_that_fails_is_tried_again_with_everything_as_at_first(bed: Bed, error: AsgibenchError) -> None:
    bed.failures = [error]
    (found,) = bed.outcomes(1)
    assert found.result is not None and found.error is None
    assert codes(found) == ["run_repeated"]
    assert [one.number for one in bed.attempts] == [1, 2]
    assert bed.load.started == bed.mended == 1


def test_a_server_that_fails_to_start_is_tried_again_with_the_same_load_workers(bed: Bed) -> None:
    bed.failures = [ServerStartError("it did not become ready")]
    (found,) = bed.outcomes(1)
    assert found.result is not None
    assert bed.load.started == bed.mended == 0


def test_several_hosts_that_fail_in_a_way_worth_another_try_are_tried_again(bed: Bed) -> None:
    both = SeveralHostsFailed([("one", lost("one")), ("two", ConnectionLost("two: the connection has gone"))])
    bed.failures = [both]
    (found,) = bed.outcomes(1)
    assert found.result is not None
    assert codes(found) == ["run_repeated"]


def test_a_failure_that_another_try_would_not_mend_is_not_tried_again(bed: Bed) -> None:
    bed.failures = [DatabaseError("no")]
    first, second = bed.outcomes(2)
    assert isinstance(first.error, DatabaseError) and first.result is None
    assert codes(first) == ["run_failed"]
    assert second.result is not None
    assert len(bed.attempts) == 2


def test_load_workers_made_anew_are_kept_when_the_second_try_fails_too(bed: Bed) -> None:
    bed.failures = [lost("one"), lost("two")]
    first, second = bed.outcomes(2)
    assert first.error is not None
    assert codes(first) == ["run_repeated", "run_failed"]
    assert second.result is not None and not second.reasons
    # Once for the second try, and once more for the next run.
    assert bed.load.started == 2


def test_what_can_not_be_mended_at_once_is_mended_before_the_next_run(bed: Bed) -> None:
    bed.failures = [ConnectionLost("gone")]
    bed.load.failures = [HostUnreachable("still gone")]
    first, second = bed.outcomes(2)
    assert isinstance(first.error, HostUnreachable)
    assert codes(first) == ["run_repeated", "run_failed"]
    assert second.result is not None
    assert bed.load.started == 1


@pytest.mark.parametrize(
    ("failures", "runs"),
    [
        ([lost("one")] * 6, 3),
        ([DatabaseError("no")] * 3, 3),
        ([ConnectionLost("gone")] * 2, 1),
        ([DiskFull("no room")], 1),
        ([SeveralHostsFailed([("one", DiskFull("no room")), ("two", DatabaseError("no"))])], 1),
    ],
)
def test_the_outcome_of_the_last_run_is_given_before_its_error_ends_the_plan(
    bed: Bed, failures: list[AsgibenchError], runs: int
) -> None:
    bed.failures = [*failures]
    outcomes = bed.outcomes(9)
    found = [next(outcomes) for _ in range(runs)]
    with pytest.raises(type(failures[0])) as caught:
        next(outcomes)
    assert found[-1].error is caught.value
    assert codes(found[-1])[-1] == "run_failed"


def test_a_good_run_in_between_starts_the_count_of_failures_again(bed: Bed) -> None:
    no = DatabaseError("no")
    bed.failures = [no, no, None, no, no, None]
    assert [one.error is None for one in bed.outcomes(6)] == [False, False, True, False, False, True]


def test_a_run_that_other_programs_spoilt_is_measured_once_more(bed: Bed) -> None:
    noise = Reason(sorted(MACHINE_REASONS)[0], "other programs took the cores", invalidates=True)
    spoilt = msgspec.structs.replace(RESULTS[PLAN.runs[0].id], valid=False, reasons=(noise,))
    good = RESULTS[PLAN.runs[0].id]
    bed.results = [spoilt, good]
    first = (spoilt.as_earlier_attempt(),)
    kept = msgspec.structs.replace(good, earlier_attempts=first)
    assert [one.result for one in bed.outcomes(1)] == [kept]
    # The second try stands, whatever it shows.
    bed.results = [spoilt, spoilt]
    bed.store = Store.create(bed.store.directory.parent, "another", PLAN)
    kept = msgspec.structs.replace(spoilt, earlier_attempts=first)
    assert [one.result for one in bed.outcomes(1)] == [kept]
    assert len(bed.attempts) == 4


def test_a_run_on_a_machine_off_its_usual_speed_is_measured_once_more_and_the_second_stands(
    bed: Bed,
) -> None:
    off = Reason(MachineSpeedOff.code(), "the machine itself was slower than in the runs before")
    first, second = (msgspec.structs.replace(run, reasons=(off,)) for run in MADE.runs[:2])
    bed.results = [first, first, second, MADE.runs[1]]
    kept = [one.result for one in bed.outcomes(2) if one.result is not None]
    assert [(one.run_id, one.reasons) for one in kept] == [(first.run_id, (off,)), (second.run_id, ())]
    assert [[tried.why for tried in one.earlier_attempts] for one in kept] == [[off.text], [off.text]]
    assert [(one.run.id, one.number) for one in bed.attempts] == [
        (run.id, number) for run in PLAN.runs[:2] for number in (1, 2)
    ]


def test_a_run_is_held_against_the_machines_speed_in_the_runs_before(bed: Bed) -> None:
    bed.results = [at_speed(run, seconds) for run, seconds in zip(MADE.runs, (4e-3, 6e-3), strict=False)]
    list(bed.outcomes(3))
    assert [one.usual_seconds for one in bed.attempts] == [None, pytest.approx(4e-3), pytest.approx(5e-3)]
