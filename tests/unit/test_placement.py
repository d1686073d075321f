"""Which parties may run on the same cores, and so take CPU from each other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.environment.hosts import Host, HostFacts, Inventory
from bench.judge.hosts import host_reasons
from bench.plan.placement import (
    Cores,
    agent_cores,
    halves,
    may_share,
    place,
    place_on_server,
    share_physical_core,
)
from tests.helpers.results_example import example

FACTS = next(iter(example().environment.facts.values()))
SERVER = Host("one", ("server", "loadgen"), address="192.0.2.1")
APART = Host("two", ("loadgen",), address="192.0.2.2")


def facts(cores: tuple[int, ...], *, can_pin: bool = True) -> dict[str, HostFacts]:
    one = dataclasses.replace(FACTS, cores_usable=cores, can_pin=can_pin)
    return {"one": one, "two": one}


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((0, 1), (1, 2), True),
        ((0, 1), (2, 3), False),
        (None, (2, 3), True),
        ((2, 3), None, True),
        (None, None, True),
    ],
)
def test_parties_may_share_a_core_unless_both_are_pinned_apart(
    one: Cores, other: Cores, shared: bool
) -> None:
    assert may_share(one, other) is shared


@pytest.mark.parametrize(
    ("load", "cores", "can_pin", "on_server_cores"),
    [
        pytest.param(SERVER, (0, 1, 2, 3), True, False, id="beside the load, on the other half of the cores"),
        pytest.param(SERVER, (0,), True, True, id="one core for all"),
        pytest.param(SERVER, (0, 1, 2, 3), False, True, id="nothing can be pinned"),
        pytest.param(APART, (0, 1, 2, 3), True, True, id="no load there to be beside"),
    ],
)
def test_the_agent_is_on_the_servers_cores_where_nothing_keeps_it_off(
    load: Host, cores: tuple[int, ...], can_pin: bool, on_server_cores: bool
) -> None:
    inventory = Inventory("lab", "lab.yml", SERVER, (load,))
    placement = place(inventory, facts(cores, can_pin=can_pin), workers_per_host=None)
    assert may_share(agent_cores(placement, "one"), placement.server) is on_server_cores


def test_an_agent_beside_the_load_is_on_the_servers_cores_once_the_server_has_them_all() -> None:
    """The agents are started once. With the load on its own host, the server may use any of its cores."""
    inventory = Inventory("lab", "lab.yml", SERVER, (SERVER,))
    usual = place(inventory, facts((0, 1, 2, 3)), workers_per_host=None)
    papers = place_on_server(usual, inventory, facts((0, 1, 2, 3)), 6)
    assert may_share(agent_cores(usual, "one"), papers.server)


# ---------------------------------------------------------------- threads of one physical core


BESIDE = ((0, 1), (2, 3))
APART_BY_HALF = ((0, 2), (1, 3))


@pytest.mark.parametrize(
    ("cores", "siblings", "server", "load"),
    [
        pytest.param((0, 1, 2, 3), BESIDE, (0, 1), (2, 3), id="siblings beside each other"),
        pytest.param((0, 1, 2, 3), APART_BY_HALF, (0, 2), (1, 3), id="siblings half of the numbers apart"),
        pytest.param(
            tuple(range(8)),
            ((0, 4), (1, 5), (2, 6), (3, 7)),
            (0, 1, 4, 5),
            (2, 3, 6, 7),
            id="four cores of two threads",
        ),
        pytest.param(
            tuple(range(6)), ((0, 3), (1, 4), (2, 5)), (0, 3), (1, 2, 4, 5), id="three cores of two threads"
        ),
        pytest.param((0, 1, 2, 5), ((0, 4), (1, 5), (2, 6)), (0, 2), (1, 5), id="some threads not usable"),
        pytest.param((0, 1, 2, 3), ((0,), (1,), (2,), (3,)), (0, 1), (2, 3), id="one thread each"),
        pytest.param((0, 1, 2), (), (0,), (1, 2), id="nothing is known"),
        pytest.param((0, 1), ((0, 1),), (0,), (1,), id="one physical core for both"),
        pytest.param((0,), ((0, 1),), (0,), (0,), id="one thread for both"),
    ],
)
def test_server_and_load_share_no_physical_core_where_there_is_a_choice(
    cores: tuple[int, ...],
    siblings: tuple[tuple[int, ...], ...],
    server: tuple[int, ...],
    load: tuple[int, ...],
) -> None:
    of_host = {"one": dataclasses.replace(FACTS, cores_usable=cores, can_pin=True, thread_siblings=siblings)}
    placement = place(Inventory("lab", "lab.yml", SERVER, (SERVER,)), of_host, workers_per_host=None)
    assert placement.server == server
    assert placement.load["one"] == load


@given(
    st.integers(2, 6),
    st.sampled_from(["beside", "apart"]),
    st.sets(st.integers(0, 11), min_size=2, max_size=12),
)
def test_halves_hold_every_core_once_and_cut_no_physical_core(
    count: int, style: str, wanted: set[int]
) -> None:
    siblings = (
        tuple((2 * one, 2 * one + 1) for one in range(count))
        if style == "beside"
        else tuple((one, one + count) for one in range(count))
    )
    cores = tuple(sorted(core for core in wanted if core < 2 * count))
    if len(cores) < 2:
        return
    server, load = halves(cores, siblings)
    assert tuple(sorted(server + load)) == cores
    assert server and load
    physical = {core for core in siblings if not set(core).isdisjoint(cores)}
    if len(physical) > 1:
        assert not share_physical_core(server, load, siblings)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        pytest.param(
            {"thread_siblings": BESIDE, "is_virtual": False},
            "each has its own physical cores",
            id="bare metal",
        ),
        pytest.param(
            {"thread_siblings": ((0,), (1,), (2,), (3,)), "is_virtual": True},
            "each has its own vCPUs, whose physical cores are not known",
            id="a virtual machine",
        ),
        pytest.param({}, "each has its own CPUs, whose physical cores are not known", id="nothing is known"),
        pytest.param(
            {"cores_usable": (0, 1), "thread_siblings": ((0, 1),), "is_virtual": False},
            "server and load share a physical core, whose threads slow each other down",
            id="one core of two threads",
        ),
        pytest.param({"cores_usable": (3,)}, "both are on the same core", id="one core"),
        pytest.param(
            {"can_pin": False},
            "nothing keeps them on cores of their own: this system can't pin",
            id="no pinning",
        ),
    ],
)
def test_whose_cores_they_are_is_said_as_far_as_it_is_known(known: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {"cores_usable": (0, 1, 2, 3), "can_pin": True}
    of_host = {"one": dataclasses.replace(FACTS, **(usual | known))}
    inventory = Inventory("lab", "lab.yml", SERVER, (SERVER,))
    reasons = host_reasons(inventory, of_host, place(inventory, of_host, workers_per_host=None))
    (shared,) = [reason for reason in reasons if reason.code == "shared_host"]
    assert shared.text == f"the load generator shares one with the server; {said}"


def test_loopbacks_packets_are_said_where_the_load_goes_over_it() -> None:
    def codes(load: Host, mtu: int | None) -> set[str]:
        inventory = Inventory("lab", "lab.yml", SERVER, (load,))
        one = dataclasses.replace(FACTS, loopback_mtu=mtu)
        of_hosts = {"one": one, "two": one}
        placement = place(inventory, of_hosts, workers_per_host=None)
        return {reason.code for reason in host_reasons(inventory, of_hosts, placement)}

    assert "loopback" in codes(SERVER, 65_536)
    assert "loopback" not in codes(APART, 65_536)
    assert "loopback" not in codes(SERVER, 1_500)
    assert "loopback" not in codes(SERVER, None)
