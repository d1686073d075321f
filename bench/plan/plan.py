"""The seeded plan: which cell is measured when. Blocks run every cell once, in a random order.

Cells whose load is made in the same way come together: for another way other load workers are started.

The closed loops of all blocks come first, then the open loops of all blocks: what a server reaches at most
is known over every block before a share of it is offered, so that the share is one rate in all of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

import msgspec

from bench.clients import client_of
from bench.environment.hosts import Host, HostFacts
from bench.plan.load_clients import is_spoken
from bench.plan.locustfile import UserLocustfile
from bench.plan.rate import parse_rates
from bench.plan.scaling import why_not_behind, why_not_workers
from bench.plan.serving import servings_of, why_not_reached
from bench.results.cell import Cell, SkippedCell
from bench.spec import Endpoint, Profile, ServerSpec

PLAN_VERSION = 1


class PlannedRun(msgspec.Struct, frozen=True):
    """One run. ``position`` counts all runs of the plan from 0; ``id`` names its folder."""

    id: str
    cell: Cell
    block: int
    position: int

    @property
    def title(self) -> str:
        """For readers: ``uvicorn shortbody, block 2``."""
        return f"{self.cell.title}, block {self.block}"


class Plan(msgspec.Struct, frozen=True):
    """All that is needed to run the same benchmark again; plan.json."""

    version: int
    name: str
    environment: str
    inventory_path: str
    profile: Profile
    servers: tuple[ServerSpec, ...]
    endpoints: tuple[Endpoint, ...]
    seed: int
    runs: tuple[PlannedRun, ...]
    skipped: tuple[SkippedCell, ...]
    command: tuple[str, ...]
    created_at: str
    lock_sha256: str
    asgibench_version: str
    locustfile: UserLocustfile | None = None
    own_locks: dict[str, str] = {}  # {ServerSpec.group: SHA-256 of its lock} of requirements of their own

    @property
    def run_seconds(self) -> float:
        """What one run takes without its overhead: warm-up, window and rests."""
        profile = self.profile
        load = profile.warmup_seconds + profile.window_seconds
        return load + profile.idle_rest_seconds + profile.after_rest_seconds

    @property
    def load_seconds(self) -> float:
        """What all runs take without their overhead."""
        return self.run_seconds * len(self.runs)


class Environment(msgspec.Struct, frozen=True):
    """The hosts a benchmark ran on, with their fingerprints; hosts.json.

    ``versions`` maps a host to its environments' packages: ``{host: {group: {package: version}}}``.
    """

    name: str
    server: str
    loadgen: tuple[str, ...]
    database: str
    hosts: tuple[Host, ...]
    facts: dict[str, HostFacts]
    versions: dict[str, dict[str, dict[str, str]]]
    controller: dict[str, str]
    placement: dict[str, str]
    database_version: str = ""


def plan_runs(
    servers: Sequence[ServerSpec],
    endpoints: Sequence[Endpoint],
    profile: Profile,
    environment: str,
    seed: int,
) -> tuple[tuple[PlannedRun, ...], tuple[SkippedCell, ...]]:
    """Every cell once a block, shuffled within its part of it by ``seed``.

    All blocks of the closed loops come before the first block of the open loops. Raises UsageError for a
    wrong rate.
    """
    cells, skipped = _cells(servers, endpoints, profile, environment)
    order = random.Random(seed)
    runs: list[PlannedRun] = []
    for is_open_loop in (False, True):
        part = [cell for cell in cells if cell.is_open_loop == is_open_loop]
        for block in range(1, profile.blocks + 1):
            for cell in _same_load_together(order.sample(part, len(part))):
                position = len(runs)
                runs.append(PlannedRun(f"{position + 1:03}-{cell.id}-b{block}", cell, block, position))
    return tuple(runs), tuple(skipped)


def _cells(
    servers: Sequence[ServerSpec], endpoints: Sequence[Endpoint], profile: Profile, environment: str
) -> tuple[list[Cell], list[SkippedCell]]:
    cells: list[Cell] = []
    skipped: list[SkippedCell] = []
    for server in servers:
        for endpoint in endpoints:
            for workers, served, load_on, client in product(
                profile.server_workers, servings_of(profile, endpoint), profile.load_on, profile.clients
            ):
                speaks = served.protocol in client_of(client).protocols
                if not speaks and is_spoken(served.protocol, profile.clients):
                    continue  # another client of the plan asks so
                cell = Cell(
                    server.name,
                    endpoint.name,
                    workers,
                    profile.connections,
                    environment,
                    client=client,
                    load_on=load_on,
                    tls=served.tls,
                    protocol=served.protocol,
                    balancer=served.balancer,
                )
                reason = server.unsupported_endpoints.get(endpoint.name)
                reason = why_not_reached(server, served.without_balancer, client_of(client)) or reason
                reason = why_not_workers(served, server, workers) or reason
                reason = why_not_behind(served, server) or reason
                if reason is None:
                    cells.append(cell)
                else:
                    skipped.append(SkippedCell(cell, reason))
    rates = parse_rates(profile.rates)
    stated = [
        msgspec.structs.replace(cell, rate_per_second=rate.per_second, rate_share=rate.share)
        for cell in cells
        if cell.is_usual_load
        for rate in rates
    ]
    return cells + stated, skipped


def _same_load_together(shuffled: Sequence[Cell]) -> list[Cell]:
    """The ways in the order in which the first cell of each came."""
    ways = list(dict.fromkeys((cell.client, cell.load_on) for cell in shuffled))
    return sorted(shuffled, key=lambda cell: ways.index((cell.client, cell.load_on)))
