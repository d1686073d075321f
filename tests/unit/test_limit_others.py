"""What others took of the cores of server and load, and who filled them: reported, or void."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.judge.figures import CpuUse, HostUse, LoadUse, RunFigures
from bench.judge.judge import Judgement, is_spoilt_by_machine, judge
from bench.results.figures import OpenLoop
from bench.results.quota import QuotaUse

FREE_LOAD = (LoadUse("a/0", 0.3, host="a"),)


def judged(
    server: float = 0.6,
    host: HostUse | None = None,
    *,
    wait: float | None = None,
    load: tuple[LoadUse, ...] = FREE_LOAD,
    **rest: Any,
) -> Judgement:
    use = CpuUse(server, 1.0, wait_share=wait)
    return judge(RunFigures(requests=1000, server=use, load=load, host=host, connections=50, **rest))


def codes(judgement: Judgement) -> dict[str, bool]:
    return {type(reason).__name__: reason.invalidates for reason in judgement.reasons}


def of_host(host: HostUse | None, server: float = 0.98) -> dict[str, bool]:
    return codes(judged(server, host))


def test_a_quiet_host_is_not_mentioned() -> None:
    assert of_host(HostUse(cores=1, busy=1.0, others=0.02, stolen=0.0)) == {}
    assert of_host(None) == {}


def test_others_on_a_full_core_void_the_run() -> None:
    assert of_host(HostUse(cores=1, busy=0.99, others=0.39), server=0.6) == {"OthersOnServerCores": True}


def test_others_on_cores_with_room_are_reported_only() -> None:
    assert of_host(HostUse(cores=8, busy=3.4, others=2.4)) == {"OthersOnServerCores": False}


def test_stolen_time_is_reported_and_much_of_it_voids() -> None:
    assert of_host(HostUse(cores=2, busy=1.0, others=0.0, stolen=0.1)) == {"CpuStolen": False}
    assert of_host(HostUse(cores=2, busy=1.0, others=0.0, stolen=0.5)) == {"CpuStolen": True}


# ---------------------------------------------------------------- nobody at a limit


@pytest.mark.parametrize("taken", [0.30, 0.50, 0.84])
def test_nothing_at_its_limit_and_30_to_84_per_cent_of_the_loads_core_gone_to_others_is_void(
    taken: float,
) -> None:
    """Seen: such runs ranked servers the other way round than the quiet machine."""
    load_host = HostUse(cores=1, busy=min(0.89, taken + 0.35), others=taken)
    found = judged(0.7, load_hosts={"a": load_host})
    assert codes(found) == {"OthersOnLoadCores": True}
    assert is_spoilt_by_machine(found.as_reasons())
    assert found.limit == "none_found"


@pytest.mark.parametrize("taken", [0.05, 0.2, 0.6])
def test_a_few_per_cent_of_either_sides_cores_void_a_run_in_which_nobody_was_at_a_limit(taken: float) -> None:
    """However full the core was: there is no line at nine tenths of it."""
    others = HostUse(cores=1, busy=0.7, others=taken)
    stolen = HostUse(cores=1, busy=0.7, others=0.0, stolen=taken)
    assert codes(judged(0.1, others)) == {"OthersOnServerCores": True}
    assert codes(judged(0.1, stolen)) == {"CpuStolen": True}
    assert codes(judged(0.1, load_hosts={"a": others})) == {"OthersOnLoadCores": True}
    assert codes(judged(0.1, load_hosts={"a": stolen})) == {"OthersOnLoadCores": True}


def test_below_that_the_run_is_not_saturated_and_others_are_a_remark() -> None:
    others = HostUse(cores=1, busy=0.7, others=0.04)
    assert codes(judged(0.6, others)) == {"OthersOnServerCores": False, "NotSaturated": False}


def test_a_load_worker_that_others_kept_from_its_core_is_the_machines_doing() -> None:
    """Ready to run for 0.95 of the window, and 0.45 of it others had the core: no fault of the generator."""
    waiting = (LoadUse("a/0", 0.5, core_wait_share=0.45, host="a"),)
    others = HostUse(cores=1, busy=0.98, others=0.46)
    found = judged(0.7, load=waiting, load_hosts={"a": others})
    assert codes(found) == {"OthersOnLoadCores": True}
    assert is_spoilt_by_machine(found.as_reasons())
    alone = HostUse(cores=1, busy=0.98, others=0.01)
    assert codes(judged(0.7, load=waiting, load_hosts={"a": alone})) == {"LoadWorkerAtLimit": True}


def test_at_a_stated_rate_nobody_needs_to_be_at_a_limit() -> None:
    met = OpenLoop(100.0, 100.0, None, None, 0, 0)
    run: dict[str, Any] = {"open_loop": met, "window_seconds": 10.0}
    assert codes(judged(0.3, HostUse(1, busy=0.4, others=0.08), **run)) == {"OthersOnServerCores": False}
    assert codes(judged(0.3, HostUse(1, busy=0.6, others=0.25), **run)) == {"OthersOnServerCores": True}
    assert codes(judged(0.3, HostUse(8, busy=3.0, others=2.4), **run)) == {"OthersOnServerCores": False}


# ---------------------------------------------------------------- ready, and not running


def test_a_server_that_was_always_ready_is_the_limit_whatever_others_took_of_its_core() -> None:
    """0.90 of its own and 0.07 in which it had to wait: it never waited for a request."""
    found = judged(0.90, HostUse(1, busy=0.98, others=0.08), wait=0.07)
    assert (found.limit, codes(found)) == ("server_cpu", {"OthersOnServerCores": False})
    assert "for 0.07 of a core it was ready to run and had none" in found.reasons[0].text


def test_a_saturated_server_that_lost_a_tenth_of_its_core_is_measured_again() -> None:
    found = judged(0.70, HostUse(1, busy=0.99, others=0.29), wait=0.28)
    assert (found.limit, codes(found)) == ("server_cpu", {"OthersOnServerCores": True})
    assert is_spoilt_by_machine(found.as_reasons())


def test_a_server_that_its_quota_stopped_lost_nothing_to_others() -> None:
    """It is ready all the while, and others run where it may not."""
    use = QuotaUse("here", "/a", ("server",), 0.5, 100, 95, 4.9)
    found = judged(0.5, HostUse(1, busy=0.98, others=0.48), wait=0.49, quotas=(use,), window_seconds=10.0)
    assert found.limit == "cpu_quota"


def test_a_wait_for_our_own_processes_is_no_ones_loss() -> None:
    """Server and database on one core wait for each other."""
    database: dict[str, Any] = {"database": CpuUse(0.45, 1.0), "database_on_server_cores": True}
    found = judged(0.5, HostUse(1, busy=0.97, others=0.02), wait=0.44, **database)
    assert (found.limit, codes(found)) == ("server_and_database_cpu", {"DatabaseSharesCores": False})


# ---------------------------------------------------------------- no line at 0.95


def test_a_server_short_of_full_is_the_limit_and_the_margin_is_said() -> None:
    """One step below 0.95 another run is not void, or a generator's, for a figure that is a little higher."""
    busy = (LoadUse("a/0", 0.96, host="a"),)
    others = {"a": HostUse(cores=1, busy=1.0, others=0.3)}
    for server, margin in ((0.96, None), (0.94, "6%"), (0.91, "10%")):
        for found in (judged(server), judged(server, load=busy), judged(server, load_hosts=others)):
            assert (found.limit, found.valid) == ("server_cpu", True)
            said = [reason.text for reason in found.reasons if reason.code() == "ServerNotFull"]
            expected = [] if margin is None else [f"{margin} higher"]
            assert [text.rpartition("up to ")[2] for text in said] == expected
    assert judged(0.89, load=busy).limit == "load_generator"
    assert codes(judged(0.89)) == {"NotSaturated": False}


def test_a_worker_short_of_full_beside_an_idle_one_is_uneven() -> None:
    """0.94 was "latency" and 0.97 "server CPU"."""
    for busiest in (0.94, 0.97):
        run = RunFigures(1, CpuUse(busiest + 0.02, 2.0, busiest_process=busiest), FREE_LOAD)
        assert (judge(run).limit, judge(run).valid) == ("server_cpu", True)
        assert "ServerWorkersUneven" in codes(judge(run))
        assert ("ServerNotFull" in codes(judge(run))) == (busiest < 0.95)


# ---------------------------------------------------------------- what nobody's process time shows


def test_interrupts_that_the_kernel_keeps_apart_fill_a_core() -> None:
    """A full core reads 0.75 by the process's own time on such a kernel."""
    apart = HostUse(cores=1, busy=0.76, others=0.01, interrupts=0.23)
    found = judged(0.75, apart)
    assert (found.limit, codes(found)) == ("server_cpu", {})
    unknown = msgspec.structs.replace(apart, interrupts=None)
    assert codes(judged(0.75, unknown)) == {"NotSaturated": False}


def test_they_fill_a_load_workers_core_too() -> None:
    """Both sides at 0.55 and 0.45 of interrupts: not "latency", although nobody's process is busy."""
    load = (LoadUse("a/0", 0.55, interrupt_share=0.42, host="a"),)
    found = judged(0.5, load=load)
    assert (found.limit, codes(found)) == ("load_generator", {"LoadWorkerAtLimit": True})
    assert "its interrupts 0.42" in found.reasons[0].text


def test_one_process_of_several_busy_threads_is_not_full_for_their_sum() -> None:
    """One worker, 0.6 + 0.6 of two threads on four cores: 1.2 of "1 core" was "server CPU"."""

    def threads(share: float, busiest: float | None, cores: float = 4.0) -> Judgement:
        use = CpuUse(share, 1.0, busiest_thread=busiest)
        return judge(RunFigures(1000, use, FREE_LOAD, shared_cores=cores, connections=50))

    for busiest in (0.6, None):
        found = threads(1.2, busiest)
        assert (found.limit, codes(found)) == ("none_found", {"ServerThreadsUnclear": False})
        assert found.reasons[0].unranks
        assert "whether it could have used more is not known" in found.reasons[0].text
    assert codes(threads(1.0, 0.5)) == {"ServerThreadsUnclear": False}, "their sum is a core by chance"
    assert threads(1.4, 0.97).limit == "server_cpu", "one of them is full"
    assert threads(3.9, 0.98).limit == threads(3.9, None).limit == "server_cpu", "all cores are"
    assert threads(0.97, 0.93).limit == threads(0.97, None).limit == "server_cpu", "helpers take a little"
    assert threads(0.97, 0.5, cores=1.0).limit == "server_cpu", "they have one core between them"
