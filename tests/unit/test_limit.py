"""What held a run back, and which runs say nothing about their server."""

from __future__ import annotations

from typing import Any, Union

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judge.figures import CpuUse, HostUse, LinkUse, LoadUse, PidChange, RunFigures
from bench.judge.judge import Judgement, judge
from bench.judge.registry import RULES
from bench.judge.rule import Rule
from bench.judge.rules.load import LoadWorkerAtLimit
from bench.judge.thresholds import Thresholds
from bench.results.figures import Counts, DatabaseUse

IDLE_LOAD = (LoadUse("w1", 0.3),)
BUSY_LOAD = (LoadUse("w1", 0.97), LoadUse("w2", 0.4))


def figures(server: float | None = 0.98, load: tuple[LoadUse, ...] = IDLE_LOAD, **rest: Any) -> RunFigures:
    use = None if server is None else CpuUse(server, 1.0)
    return RunFigures(requests=10_000, server=use, load=load, **rest)


def codes(judgement: Judgement) -> list[str]:
    return [type(reason).__name__ for reason in judgement.reasons]


# ---------------------------------------------------------------- the limit


def test_a_saturated_server_is_the_limit() -> None:
    judged = judge(figures(server=0.98))
    assert (judged.limit, judged.valid, judged.reasons) == ("server_cpu", True, ())
    assert judged.as_limit().text == "server 0.98 of 1 core; busiest load worker (w1) 0.30 of 1 core"


def test_a_busy_generator_voids_a_run_whose_server_had_cpu_to_spare() -> None:
    judged = judge(figures(server=0.7, load=BUSY_LOAD))
    assert (judged.limit, judged.valid, codes(judged)) == ("load_generator", False, ["LoadWorkerAtLimit"])
    assert judged.as_reasons()[0].remedy


def test_with_both_busy_the_server_is_the_limit_and_the_generator_is_said() -> None:
    judged = judge(figures(server=0.96, load=BUSY_LOAD))
    assert (judged.limit, judged.valid, codes(judged)) == ("server_cpu", True, ["LoadWorkerAtLimit"])
    assert "latency" in judged.as_reasons()[0].text


def test_a_server_of_two_workers_is_not_saturated_by_one_core() -> None:
    two = RunFigures(requests=1, server=CpuUse(1.0, 2.0), load=IDLE_LOAD)
    assert judge(two).limit == "latency"
    assert judge(msgspec.structs.replace(two, server=CpuUse(1.95, 2.0))).limit == "server_cpu"


def test_one_saturated_worker_among_idle_ones_is_the_servers_limit_and_said() -> None:
    two = RunFigures(requests=1, server=CpuUse(1.2, 2.0, busiest_process=0.98), load=IDLE_LOAD)
    judged = judge(two)
    assert (judged.limit, judged.valid, codes(judged)) == ("server_cpu", True, ["ServerWorkersUneven"])
    assert judge(msgspec.structs.replace(two, load=BUSY_LOAD)).limit == "load_generator"


def test_a_database_that_is_not_ours_is_said_to_be_unknown_and_counts() -> None:
    for is_foreign, remedy in ((True, "its own monitoring"), (False, "agent's log")):
        judged = judge(figures(expected_transactions_per_request=3.0, database_is_foreign=is_foreign))
        assert (judged.valid, codes(judged)) == (True, ["CpuUnknown"])
        assert remedy in judged.reasons[0].remedy


def test_a_saturated_database_on_its_own_cores_voids_the_run() -> None:
    judged = judge(figures(server=0.5, database=CpuUse(1.97, 2.0)))
    assert (judged.limit, judged.valid, codes(judged)) == ("database", False, ["DatabaseAtLimit"])


def test_a_server_and_a_database_that_fill_a_core_together_count_but_dilute() -> None:
    judged = judge(figures(server=0.55, database=CpuUse(0.43, 1.0), database_on_server_cores=True))
    assert (judged.limit, judged.valid) == ("server_and_database_cpu", True)
    assert codes(judged) == ["DatabaseSharesCores"]
    text = judged.as_reasons()[0].text
    assert "0.43 of the 1 core it shares" in text
    assert "56% of what a request costs there is server and app" in text
    assert "so servers' requests/s differ by less than their CPU per request" in text


def test_server_cpu_at_server_065_and_database_035_of_one_core_is_said_to_be_of_both() -> None:
    """At 0.27 and 0.70 the database has most of it, and the server still counts."""
    for server, database in ((0.65, 0.35), (0.27, 0.70)):
        run = figures(server, database=CpuUse(database, 1.0), database_on_server_cores=True)
        assert judge(run).limit == "server_and_database_cpu"
    alone = figures(0.97, database=CpuUse(0.02, 1.0), database_on_server_cores=True)
    assert (judge(alone).limit, judge(alone).valid) == ("server_cpu", True)


def test_a_server_with_a_small_part_of_the_core_it_shares_is_not_what_was_measured() -> None:
    judged = judge(figures(server=0.2, database=CpuUse(0.78, 1.0), database_on_server_cores=True))
    assert (judged.limit, judged.valid) == ("database", False)


def test_shared_cores_that_are_not_full_are_nobodys_limit() -> None:
    judged = judge(figures(0.7, database=CpuUse(0.6, 4.0), database_on_server_cores=True, shared_cores=4.0))
    assert (judged.limit, judged.valid, codes(judged)) == ("none_found", True, ["NotSaturated"])


def test_a_generator_on_the_servers_own_full_cores_voids_the_run() -> None:
    load = tuple(LoadUse(f"w{n}", 0.8, on_server_cores=True) for n in range(6))
    judged = judge(RunFigures(requests=1, server=CpuUse(1.1, 2.0), load=load, shared_cores=6.0))
    assert (judged.limit, judged.valid, codes(judged)) == ("load_generator", False, ["LoadSharesCores"])


def test_where_the_generator_is_measured_too_its_limit_is_the_finding() -> None:
    load = tuple(LoadUse(f"w{n}", 0.8, on_server_cores=True) for n in range(6))
    run = RunFigures(1, CpuUse(1.1, 2.0), load, shared_cores=6.0, generator_is_measured=True)
    judged = judge(run)
    assert (judged.limit, judged.valid, codes(judged)) == ("load_generator", True, ["LoadSharesCores"])
    judged = judge(figures(server=0.7, load=BUSY_LOAD, generator_is_measured=True))
    assert (judged.limit, judged.valid, codes(judged)) == ("load_generator", True, ["LoadWorkerAtLimit"])
    assert judged.as_reasons()[0].text.endswith("the server had CPU to spare")
    replaced = judge(figures(server=0.7, generator_is_measured=True, processes=PidChange(vanished=(3,))))
    assert not replaced.valid, "everything else voids a run as ever"


def test_nobody_is_said_to_wait_while_other_programs_have_the_cores() -> None:
    assert judge(figures(0.3, host=HostUse(1.0, busy=0.34, others=0.04))).limit == "latency"
    assert judge(figures(0.3, host=HostUse(1.0, busy=0.75, others=0.45))).limit == "none_found"


def test_cores_that_server_and_load_share_are_not_idle_because_each_has_little() -> None:
    load = tuple(LoadUse(f"w{n}", 0.25, on_server_cores=True) for n in range(6))
    assert judge(RunFigures(1, CpuUse(0.2, 1.0), load, shared_cores=2.0)).limit == "none_found"
    assert judge(RunFigures(1, CpuUse(0.2, 1.0), load, shared_cores=6.0)).limit == "latency"


def test_answers_that_wait_in_a_busy_generator_are_not_laid_at_tcps_door() -> None:
    forty: dict[str, Any] = {"median_latency_seconds": 0.044, "connections": 50}
    assert codes(judge(figures(0.3, **forty))) == ["DelayedAckSuspected"]
    assert codes(judge(figures(0.3, BUSY_LOAD, **forty))) == ["LoadWorkerAtLimit"]
    assert codes(judge(figures(0.3, **forty, p90_latency_seconds=0.046))) == ["DelayedAckSuspected"]
    late = judge(figures(0.3, **forty, p90_latency_seconds=0.09))
    assert codes(late) == ["NotSaturated"], "no timer waits like that"
    waiting = tuple(LoadUse(f"w{n}", 0.3, core_wait_share=0.65) for n in range(3))
    assert "DelayedAckSuspected" not in codes(judge(figures(0.3, waiting, **forty)))


def test_a_full_link_voids_the_run() -> None:
    judged = judge(figures(0.5, link=LinkUse(118e6, 125e6)))
    assert (judged.limit, judged.valid, codes(judged)) == ("network", False, ["NetworkAtLimit"])
    assert judged.as_reasons()[0].text == "118.0 MB/s went over the link, 94% of its speed"


def test_an_unknown_link_is_nobodys_limit_and_its_traffic_is_evidence() -> None:
    judged = judge(figures(0.5, link=LinkUse(118e6)))
    assert judged.limit == "latency"
    assert "118.0 MB/s of an unknown link" in judged.as_limit().text


def test_the_generator_is_named_before_the_link_and_both_are_said() -> None:
    judged = judge(figures(0.5, load=BUSY_LOAD, link=LinkUse(124e6, 125e6)))
    assert (judged.limit, codes(judged)) == ("load_generator", ["LoadWorkerAtLimit", "NetworkAtLimit"])


def test_waiting_is_the_limit_where_everybody_waits() -> None:
    judged = judge(figures(server=0.3, median_latency_seconds=0.1))
    assert (judged.limit, judged.valid) == ("latency", True)


def test_the_mark_of_nagles_algorithm_is_said() -> None:
    judged = judge(figures(server=0.25, median_latency_seconds=0.0446))
    assert "a guess" in judged.as_reasons()[0].text
    assert (judged.limit, judged.valid, codes(judged)) == ("latency", True, ["DelayedAckSuspected"])
    assert codes(judge(figures(server=0.99, median_latency_seconds=0.0446))) == []


def test_a_round_trip_that_dominates_voids_the_run() -> None:
    judged = judge(
        figures(0.3, median_latency_seconds=0.012, link=LinkUse(1e6, None, round_trip_seconds=0.01))
    )
    assert (judged.limit, judged.valid, codes(judged)) == ("network", False, ["RoundTripDominates"])


def test_between_waiting_and_full_nothing_is_claimed() -> None:
    assert judge(figures(server=0.8)).limit == "none_found"


def test_without_the_servers_cpu_no_limit_is_made_up() -> None:
    judged = judge(figures(server=None))
    assert (judged.limit, judged.valid, codes(judged)) == ("none_found", True, ["CpuUnknown", "NotSaturated"])
    assert "of server it isn't known" in judged.reasons[1].text
    assert judge(figures(server=None, load=BUSY_LOAD)).limit == "load_generator"


# ---------------------------------------------------------------- doubts


def test_processes_that_changed_void_the_run() -> None:
    judged = judge(figures(processes=PidChange(appeared=(7,), vanished=(3,))))
    assert (judged.valid, codes(judged)) == (False, ["ProcessesChanged"])


def test_a_run_without_an_answer_is_void() -> None:
    judged = judge(RunFigures(requests=0, server=CpuUse(0.1, 1.0), load=IDLE_LOAD, failures={"refused": 50}))
    assert codes(judged) == ["NothingAnswered", "Failures"]
    assert not judged.valid


@pytest.mark.parametrize(("count", "valid"), [(1, True), (10, True), (11, False)])
def test_more_than_one_failure_in_a_thousand_voids_the_run(count: int, valid: bool) -> None:
    judged = judge(figures(failures={"reset": count, "timeout": 0}))
    assert (judged.valid, codes(judged)) == (valid, ["Failures"])


def test_a_load_worker_without_figures_for_a_second_voids_the_run() -> None:
    judged = judge(figures(slices_missing={"w1": 3, "w2": 0}, window_seconds=20))
    assert (judged.valid, codes(judged)) == (False, ["SlicesMissing"])
    assert judged.reasons[0].text == "load worker w1 has no figures for 3 of 20 seconds"


@pytest.mark.parametrize(
    ("counts", "agree"),
    [
        (Counts(engine=100, server=100, locust=100, spool=100), True),
        (Counts(engine=100, server=None, locust=100, spool=None), True),
        (Counts(engine=100, server=150, locust=100, spool=100, in_flight_at_stop=50), True),
        (Counts(engine=100, server=151, locust=100, spool=100, in_flight_at_stop=50), False),
        (Counts(engine=100, server=99, locust=100, spool=100), False),
        (Counts(engine=100, server=100, locust=99, spool=100), False),
        (Counts(engine=100, server=100, locust=100, spool=101), False),
    ],
)
def test_counts_must_agree_but_for_what_was_under_way(counts: Counts, agree: bool) -> None:
    judged = judge(figures(counts=counts))
    assert judged.valid == agree
    assert codes(judged) == ([] if agree else ["CountsDisagree"])


@pytest.mark.parametrize(
    ("transactions", "said", "valid"),
    [
        (20_000, False, True),
        (19_700, False, True),
        (10_000, True, False),
        (0, True, False),
        (30_000, True, True),
    ],
)
def test_answers_without_the_database_void_the_run(transactions: int, said: bool, valid: bool) -> None:
    use = DatabaseUse(transactions, 10_000, transactions / 10_000, 0)
    judged = judge(
        figures(database=CpuUse(0.1, 1.0), database_use=use, expected_transactions_per_request=2.0)
    )
    assert (codes(judged), judged.valid) == (["DatabaseCountersDisagree"] if said else [], valid)


def test_gaps_in_the_samples_are_said() -> None:
    assert codes(judge(figures(samples_missed_share=0.04))) == []
    assert codes(judge(figures(samples_missed_share=0.2))) == ["SamplesIncomplete"]
    assert codes(judge(figures(samples_complete=False))) == ["SamplesIncomplete"]


def test_the_thresholds_can_be_moved() -> None:
    assert judge(figures(server=0.85), Thresholds(server_saturated=0.8)).limit == "server_cpu"


# ---------------------------------------------------------------- properties

SHARES = st.floats(0, 2, allow_nan=False)
HOSTS = st.builds(HostUse, st.floats(0.5, 4), SHARES, SHARES, st.none() | SHARES, st.none() | SHARES)
FIGURES = st.builds(
    RunFigures,
    requests=st.integers(0, 1000),
    server=st.none() | st.builds(CpuUse, SHARES, st.floats(0.5, 4), *[st.none() | SHARES] * 3),
    load=st.lists(
        st.builds(LoadUse, st.just("w/0"), SHARES, st.booleans(), core_wait_share=SHARES, host=st.just("w")),
        max_size=3,
    ).map(tuple),
    link=st.none()
    | st.builds(
        LinkUse,
        SHARES,
        st.none() | st.floats(0.1, 2),
        st.none() | st.floats(0, 0.1),
        probed_bytes_per_second=st.none() | st.floats(0.1, 2),
    ),
    host=st.none() | HOSTS,
    load_hosts=st.dictionaries(st.just("w"), HOSTS, max_size=1),
    forty_milliseconds_share=st.none() | st.floats(0, 1),
    second_spread=st.none() | st.floats(0, 1),
    tcp_nodelay=st.none() | st.booleans(),
    window_seconds=st.just(10.0),
    database=st.none() | st.builds(CpuUse, SHARES, st.floats(0.5, 4)),
    database_on_server_cores=st.booleans(),
    shared_cores=st.none() | st.floats(1, 8),
    median_latency_seconds=st.none() | st.floats(0.001, 0.1),
    failures=st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=2),
    processes=st.builds(PidChange, st.just(()), st.sampled_from([(), (1,)])),
    generator_is_measured=st.booleans(),
)


@given(FIGURES)
def test_a_limit_that_is_not_the_servers_voids_the_run_unless_the_generator_is_measured(
    run: RunFigures,
) -> None:
    judged = judge(run)
    if judged.limit in ("database", "network"):
        assert not judged.valid
    if judged.limit == "load_generator" and not run.generator_is_measured:
        assert not judged.valid


@given(FIGURES)
def test_a_closed_loop_in_which_nobody_is_at_a_limit_ranks_nobody(run: RunFigures) -> None:
    judged = judge(run)
    unranked = any(reason.unranks for reason in judged.reasons)
    if judged.valid and not run.generator_is_measured:
        assert unranked == (judged.limit in ("latency", "none_found"))


@given(FIGURES)
def test_a_generator_that_is_measured_voids_no_run(run: RunFigures) -> None:
    judged = judge(msgspec.structs.replace(run, generator_is_measured=True))
    void = {type(reason).__name__ for reason in judged.reasons if reason.invalidates}
    assert not void & {"LoadWorkerAtLimit", "LoadSharesCores"}


@given(FIGURES)
def test_the_first_reason_that_names_a_limit_names_the_runs(run: RunFigures) -> None:
    judged = judge(run)
    named = [reason.limit for reason in judged.reasons if reason.limit is not None]
    if named and judged.limit not in ("server_cpu", "server_and_database_cpu"):
        assert judged.limit == named[0]
    priorities = [reason.priority for reason in judged.reasons]
    assert priorities == sorted(priorities)


@given(FIGURES)
def test_every_reason_carries_text_and_remedy_and_survives_the_disk(run: RunFigures) -> None:
    for reason in judge(run).reasons:
        kept = reason.as_reason()
        assert kept.code == type(reason).__name__
        assert kept.text
        assert kept.remedy
        assert msgspec.json.decode(msgspec.json.encode(reason), type=Union[RULES]) == reason  # noqa: UP007


def test_every_rule_is_found_in_its_file_and_says_what_it_must() -> None:
    """A class in bench/judge/rules needs no other line: its name is its code in results."""
    names = [rule.code() for rule in RULES]
    assert len(set(names)) == len(names) >= 24
    for rule in RULES:
        assert rule.__module__.startswith("bench.judge.rules.")
        assert rule.__doc__
        assert rule.find.__func__ is not Rule.find.__func__, rule  # type: ignore[attr-defined]
        assert rule.text is not Rule.text, rule


def test_a_load_worker_that_waits_for_its_core_is_at_its_limit_all_the_same() -> None:
    """A client that is always busy, on a core that it has to share."""
    server = CpuUse(core_share=0.3, cores=1)
    shared = LoadUse("a/0", core_share=0.5, core_wait_share=0.45)
    judgement = judge(RunFigures(requests=1_000, server=server, load=(shared,)))
    assert judgement.limit == "load_generator"
    (reason,) = [one for one in judgement.reasons if isinstance(one, LoadWorkerAtLimit)]
    assert reason.invalidates
    assert "used 0.50 of its core and waited for it for 0.45 s" in reason.text
    free = LoadUse("a/0", core_share=0.5, core_wait_share=0.05)
    assert judge(RunFigures(requests=1_000, server=server, load=(free,))).limit != "load_generator"
