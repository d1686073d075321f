"""Other programs on the server's cores, and cores that a hypervisor takes away: reported, or void."""

from __future__ import annotations

from bench.judge.figures import CpuUse, HostUse, LoadUse, RunFigures
from bench.judge.judge import judge


def codes(host: HostUse | None) -> dict[str, bool]:
    figures = RunFigures(
        requests=1000, server=CpuUse(0.6, 1.0), load=(LoadUse("a/0", 0.3),), host=host, connections=50
    )
    return {type(reason).__name__: reason.invalidates for reason in judge(figures).reasons}


def test_a_quiet_host_is_not_mentioned() -> None:
    assert codes(HostUse(cores=1, busy=0.62, others=0.02, stolen=0.0)) == {}
    assert codes(None) == {}


def test_others_on_a_full_core_void_the_run() -> None:
    assert codes(HostUse(cores=1, busy=0.99, others=0.39)) == {"OthersOnServerCores": True}


def test_others_on_cores_with_room_are_reported_only() -> None:
    assert codes(HostUse(cores=8, busy=3.0, others=2.4)) == {"OthersOnServerCores": False}


def test_stolen_time_is_reported_and_much_of_it_voids() -> None:
    assert codes(HostUse(cores=2, busy=1.0, others=0.0, stolen=0.1)) == {"CpuStolen": False}
    assert codes(HostUse(cores=2, busy=1.0, others=0.0, stolen=0.5)) == {"CpuStolen": True}
