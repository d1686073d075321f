"""The hosts made ready: all that a run needs, passed explicitly."""

from __future__ import annotations

import msgspec

from bench.environment.links import Links
from bench.plan.placement import Placement
from bench.plan.plan import Plan
from bench.spec import Client, LoadPlace
from loadgen.cluster import Cluster, LoadHost
from remote.agents import Agents
from remote.database import Database
from remote.fleet import Fleet
from remote.server import Deployment

Way = tuple[Client, LoadPlace]

LOAD_GROUP = "load"


class Load(msgspec.Struct, frozen=True):
    """One way of making the load: where everything runs meanwhile, and the load workers to start."""

    placement: Placement
    hosts: tuple[LoadHost, ...]


class Stage(msgspec.Struct, frozen=True):
    """The hosts made ready: all that a run needs.

    ``cluster`` makes the load in the way ``way``, one of ``loads``; ``placement`` is that of it.
    """

    plan: Plan
    fleet: Fleet
    placement: Placement
    deployments: dict[str, Deployment]
    database: Database | None
    cluster: Cluster
    agents: Agents
    clock_offsets: dict[str, float]
    tokens: tuple[str, ...]
    body_sha256: dict[str, tuple[str, ...]]
    port: int
    loads: dict[Way, Load]
    way: Way
    links: Links | None


def sampled(stage: Stage) -> tuple[str, ...]:
    """The hosts that something of a run is on."""
    database = () if stage.database is None else (stage.fleet.database.host.name,)
    load = (host.guarded.host.name for host in stage.cluster.hosts)
    return tuple(dict.fromkeys((stage.fleet.server.host.name, *database, *load)))
