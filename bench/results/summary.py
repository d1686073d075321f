"""summary.json: every cell over all its runs. Versioned; its schema is reports/summary.schema.json."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from bench.balancers import NO_BALANCER, Balancer
from bench.clients import USUAL_CLIENT, Client, rank_of
from bench.judge.benchmark import DERIVED_CODES
from bench.judge.reason import Reason
from bench.results.balancer import BalancerFigures
from bench.results.cell import Cell, SkippedCell
from bench.results.course import CellSpeed
from bench.results.estimate import Estimate
from bench.results.figures import Bytes, OpenLoop
from bench.results.growth import Growth
from bench.results.latency import Latency, latency_schema
from bench.results.over_runs import LatencyOverRuns
from bench.served import USUAL_PROTOCOL, Served
from bench.spec import LoadPlace

SUMMARY_VERSION = 1


class CellSummary(msgspec.Struct, frozen=True):
    """One cell over its valid runs, or over all its runs where none is valid. None: no run has the figure.

    Figures are medians over runs; a peak or a maximum is the greatest.
    """

    server: str
    server_version: str  # "" before its first run
    endpoint: str
    workers: int  # of the server
    connections: int  # of all load workers together
    environment: str  # the inventory's name
    requests_per_second: Estimate
    latency_seconds: Latency | None
    rss_bytes: Bytes
    pss_bytes: Bytes | None
    uss_bytes: Bytes | None
    cpu_seconds_per_request: float | None  # of the server
    failures: int  # requests, over these runs
    limit: str  # that of most runs
    valid: bool  # at least one run is
    reasons: tuple[Reason, ...]  # each with the number of runs that gave it
    # requests/s: as stated, or the median of what ``rate_share`` came to (None before a run); None in
    # closed loop
    rate_per_second: float | None = None
    rate_share: float | None = None  # as stated; None: no share was
    open_loop: OpenLoop | None = None  # None: closed loop
    latency_over_runs: LatencyOverRuns | None = None  # None: no run has a latency, or an older summary
    client: Client = USUAL_CLIENT
    load_on: LoadPlace = "loadgen"
    rss_growth: Growth | None = None  # in the window, with its interval; None: no run has it
    speed: CellSpeed | None = None  # None: CPU per request isn't known, or the results are older
    # Why a valid cell's throughput is no maximum of its server, so that it ranks none; None: it is one.
    unranked_because: Reason | None = None
    tls: bool = False  # whether clients connected with TLS
    protocol: str = USUAL_PROTOCOL  # that they spoke
    balancer: Balancer = NO_BALANCER  # what stood before the server; "": nothing
    balancer_figures: BalancerFigures | None = None  # None: there was none, or no run has it
    # The largest over the mean share of requests among the server's workers; None: one worker, or not known.
    imbalance: float | None = None

    @property
    def cell(self) -> Cell:
        """The cell as the plan names it: with the rate that was stated, not what a share came to."""
        stated = self.rate_per_second if self.rate_share is None else None
        return Cell(
            self.server,
            self.endpoint,
            self.workers,
            self.connections,
            self.environment,
            stated,
            self.rate_share,
            self.client,
            self.load_on,
            self.tls,
            self.protocol,
            self.balancer,
        )

    @property
    def served(self) -> Served:
        return self.cell.served

    @property
    def is_open_loop(self) -> bool:
        return self.cell.is_open_loop

    @property
    def is_ranked(self) -> bool:
        """Its throughput may be said to be more or less than another server's."""
        return self.valid and self.unranked_because is None and not self.is_open_loop


class Summary(msgspec.Struct, frozen=True):
    """summary.json: a whole benchmark."""

    version: int  # SUMMARY_VERSION
    name: str  # of the results' folder
    created_at: str  # of the plan: ISO 8601, UTC
    environment: str  # the inventory's name
    profile: str  # its name
    seed: int  # of the plan
    complete: bool  # every planned run has been made
    runs_planned: int
    runs_done: int  # valid or not
    cells: tuple[CellSummary, ...]  # every planned one, in the plan's order of servers, then endpoints
    skipped: tuple[SkippedCell, ...]  # asked for, and not to be measured
    warnings: tuple[Reason, ...]  # of the benchmark as a whole

    @property
    def closed_loop_cells(self) -> tuple[CellSummary, ...]:
        """The cells that servers are ranked by.

        Where the plan makes the load in several ways, these are of the way that costs the server least: our
        engine before Locust's clients, the load hosts before the server's own. Each way to reach the servers
        (Cell.served) has its own.
        """
        return tuple(ranking_cells(self.cells))


Either = TypeVar("Either", Cell, CellSummary)


def ranking_cells(cells: Iterable[Either]) -> list[Either]:
    """Those of planned or summarised cells that servers are ranked by: see Summary.closed_loop_cells."""
    closed = [cell for cell in cells if not cell.is_open_loop]
    costs: dict[Served, list[tuple[bool, bool, int]]] = {}
    for cell in closed:
        costs.setdefault(cell.served, []).append(_cost_of_client(cell))
    return [cell for cell in closed if _cost_of_client(cell) == min(costs[cell.served])]


def _cost_of_client(cell: Cell | CellSummary) -> tuple[bool, bool, int]:
    by_users, place_in_order = rank_of(cell.client)
    return by_users, cell.load_on != "loadgen", place_in_order


def added_warnings(summary: Summary) -> tuple[Reason, ...]:
    """The warnings of a summary that its sessions have added: plan and runs don't give them again."""
    return tuple(reason for reason in summary.warnings if reason.code not in DERIVED_CODES)


def summary_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of summary.json; reports/summary.schema.json is this, checked in."""
    schema = msgspec.json.schema(Summary)
    schema["$defs"]["Latency"] = latency_schema(schema["$defs"]["Latency"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"asgibench summary.json, version {SUMMARY_VERSION}",
        **schema,
    }
