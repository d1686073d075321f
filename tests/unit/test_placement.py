"""Which parties may run on the same cores, and so take CPU from each other."""

from __future__ import annotations

import dataclasses

import pytest

from bench.environment.hosts import Host, HostFacts, Inventory
from bench.plan.placement import Cores, agent_cores, may_share, place, place_on_server
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
