"""What a run and a benchmark leave behind. Versioned, immutable; every field's unit is in its name.

``RunResult`` is one run's run.json; ``Summary`` is summary.json, whose schema is reports/summary.schema.json.
None means that it could not be had, and ``unavailable`` or ``reasons`` says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from bench.clients import USUAL_CLIENT, Client, client_of, rank_of
from bench.results.latency import Latency
from bench.spec import LoadPlace

RESULT_VERSION = 1
SUMMARY_VERSION = 1


class Cell(msgspec.Struct, frozen=True):
    """What is compared: server configuration x endpoint x server workers x load level x environment.

    An open-loop cell has one of the two rates: requests a second, or the share of what the server reached in
    the same cell's closed loop, which is known only once that has been measured.
    ``client`` and ``load_on`` are how the load is made; by default our engine on the load hosts.
    """

    server: str
    endpoint: str
    workers: int
    connections: int
    environment: str
    rate_per_second: float | None = None
    rate_share: float | None = None
    client: Client = USUAL_CLIENT
    load_on: LoadPlace = "loadgen"

    @property
    def id(self) -> str:
        bare = f"{self.server}-{self.endpoint}-w{self.workers}-c{self.connections}"
        if self.is_of_method:
            bare += f"-{self.client}-on-{self.load_on}"
        if self.rate_per_second is not None:
            return f"{bare}-r{self.rate_per_second:.12g}"
        return bare if self.rate_share is None else f"{bare}-r{self.rate_share * 100:.12g}pct"

    @property
    def is_open_loop(self) -> bool:
        return self.rate_per_second is not None or self.rate_share is not None

    @property
    def is_of_method(self) -> bool:
        """The load is made as the paper made it: its figure is of server and load generator together."""
        return (self.client, self.load_on) != (USUAL_CLIENT, "loadgen")

    @property
    def closed_loop(self) -> Cell:
        """The same without a stated rate."""
        return msgspec.structs.replace(self, rate_per_second=None, rate_share=None)

    @property
    def title(self) -> str:
        """``uvicorn shortbody``, with the rate where one is stated and the client where it isn't usual."""
        bare = f"{self.server} {self.endpoint}"
        if self.is_of_method:
            where = " on the server's host" if self.load_on == "server" else ""
            bare += f" by {client_of(self.client).title}{where}"
        if self.rate_per_second is not None:
            return f"{bare} at {self.rate_per_second:,g} requests/s"
        return bare if self.rate_share is None else f"{bare} at {self.rate_share * 100:g} % of its maximum"


class Bytes(msgspec.Struct, frozen=True):
    """Memory of the server's whole process tree, summed: before load, in the window, at most."""

    idle: int | None
    median: int | None
    peak: int | None
    after: int | None = None


class Second(msgspec.Struct, frozen=True):
    """One second of a run. ``second`` counts from the start of the load; the warm-up comes first."""

    second: int
    in_window: bool
    requests: int
    failures: int
    p50_seconds: float | None
    p99_seconds: float | None
    server_rss_bytes: int | None


class MemoryPoint(msgspec.Struct, frozen=True):
    """``seconds`` from the start of the load (negative: idle before it)."""

    seconds: float
    rss_bytes: int


class LoadWorker(msgspec.Struct, frozen=True):
    """One load worker in the window. Core shares: 1.0 is one core in full; the median is of the seconds'.

    ``core_wait_share_median``: ready to run while others had its core; 0 where the system doesn't tell.
    ``engine_core_share`` is work. ``engine_busy_poll_share`` is what the engine spent beside it looking for
    answers that weren't there yet: CPU that more load would have had.
    """

    name: str
    host: str
    requests: int
    engine_core_share: float
    locust_core_share: float
    loop_lag_seconds_max: float
    connects: int
    reconnects: int
    bytes_received: int
    engine_core_share_median: float = 0.0
    locust_core_share_median: float = 0.0
    core_wait_share_median: float = 0.0
    engine_busy_poll_share: float = 0.0

    @property
    def work_share(self) -> float:
        """How busy the worker was in the window: 1.0 is a core with no time left for more requests.

        The sum of its two processes' work in their median seconds: the engine and its Locust worker are
        pinned to the same core, so together they fill it, although either alone may look far from full.
        (Locust's own clients are one process, pinned or not.) What the engine spent polling is left out,
        since more load would have had it; ``cpu_share`` has it. The median leaves out the window's
        exceptional seconds. Results from before the medians were kept have the mean.
        """
        median = self.engine_core_share_median + self.locust_core_share_median
        return median or self.engine_core_share + self.locust_core_share

    @property
    def cpu_share(self) -> float:
        """All CPU that both processes took, polling included: what other programs could not have."""
        return self.engine_core_share + self.engine_busy_poll_share + self.locust_core_share


class TreeCpu(msgspec.Struct, frozen=True):
    """CPU of a process tree in the window. ``cores`` is how many it was allowed to use."""

    cpu_seconds: float
    core_share: float
    cores: int
    processes: int


class NetworkUse(msgspec.Struct, frozen=True):
    """Traffic of a host's interfaces in the window, loopback left out."""

    sent_bytes_per_second: float
    received_bytes_per_second: float


class Counts(msgspec.Struct, frozen=True):
    """Requests answered in the whole run (warm-up and all), as each party counted them."""

    engine: int
    server: int | None
    locust: int
    spool: int | None
    in_flight_at_stop: int = 0


class DatabaseCounters(msgspec.Struct, frozen=True):
    """pg_stat_database of the benchmark's database. A reading itself makes ``own_transactions``."""

    xact_commit: int
    xact_rollback: int
    tup_returned: int
    tup_fetched: int
    own_transactions: int
    server_version: str


class DatabaseUse(msgspec.Struct, frozen=True):
    """pg_stat_database before and after the run, against the requests served."""

    transactions: int
    requests: int
    transactions_per_request: float
    rows_fetched: int


class Reason(msgspec.Struct, frozen=True):
    """Something a reader must know of a run. ``invalidates``: the run says nothing about the server."""

    code: str
    text: str
    remedy: str = ""
    invalidates: bool = False


class Limit(msgspec.Struct, frozen=True):
    """What held the run back: server_cpu, load_generator, database, network, latency or none_found.

    ``offered_rate``: nothing did, the stated rate of an open-loop run was served in full.
    """

    name: str
    text: str


class OpenLoop(msgspec.Struct, frozen=True):
    """A run at a stated rate, in the window; over a cell's runs, medians, and the greatest of the backlog.

    ``latency_seconds`` of such a run is from the moment a request was due. ``send_lag_seconds`` is its part
    from due to sent, ``service_latency_seconds`` that from sent to answered. The backlog holds requests that
    were due while all connections were busy; those dropped found it full, and are in no latency.
    """

    offered_rate_per_second: float
    achieved_rate_per_second: float
    service_latency_seconds: Latency | None
    send_lag_seconds: Latency | None
    backlog_max: int
    backlog_dropped: int


class Timing(msgspec.Struct, frozen=True):
    """Where a run's seconds went. ``overhead`` is all that is neither warm-up, window nor memory rest."""

    start_seconds: float
    rest_seconds: float
    warmup_seconds: float
    window_seconds: float
    stop_seconds: float
    total_seconds: float
    overhead_seconds: float


class RunResult(msgspec.Struct, frozen=True):
    """One cell measured once."""

    version: int
    run_id: str
    cell: Cell
    block: int
    position: int
    started_at: str  # ISO 8601, UTC
    server_version: str
    server_command: tuple[str, ...]
    server_settings: dict[str, str | int | bool]
    unhonoured_settings: dict[str, str]
    server_pids: tuple[int, ...]
    server_configuration: dict[str, str | int | bool | None]  # as the running server told it itself
    requests: int
    failures: dict[str, int]
    requests_per_second: float
    bytes_per_second: float
    latency_seconds: Latency | None
    seconds: tuple[Second, ...]
    memory: tuple[MemoryPoint, ...]
    rss_bytes: Bytes
    pss_bytes: Bytes | None
    uss_bytes: Bytes | None
    server_cpu: TreeCpu | None
    database_cpu: TreeCpu | None
    cpu_seconds_per_request: float | None
    load_workers: tuple[LoadWorker, ...]
    agent_core_share: dict[str, float]
    counts: Counts
    database: DatabaseUse | None
    timing: Timing
    limit: Limit
    valid: bool
    reasons: tuple[Reason, ...]
    attempt: int = 1
    network: dict[str, NetworkUse] = {}
    open_loop: OpenLoop | None = None


class Estimate(msgspec.Struct, frozen=True):
    """Median over the valid runs; low and high bound its 95 % interval, None with fewer than 2 runs."""

    median: float | None
    low: float | None
    high: float | None
    runs: int


class CellSummary(msgspec.Struct, frozen=True):
    """One cell over all its runs. Its rates are null in closed loop.

    Where ``rate_share`` is stated, ``rate_per_second`` is the median of what that came to, null before a run.
    """

    server: str
    server_version: str
    endpoint: str
    workers: int
    connections: int
    environment: str
    requests_per_second: Estimate
    latency_seconds: Latency | None
    rss_bytes: Bytes
    pss_bytes: Bytes | None
    uss_bytes: Bytes | None
    cpu_seconds_per_request: float | None
    failures: int
    limit: str
    valid: bool
    reasons: tuple[Reason, ...]
    rate_per_second: float | None = None
    rate_share: float | None = None
    open_loop: OpenLoop | None = None
    client: Client = USUAL_CLIENT
    load_on: LoadPlace = "loadgen"

    @property
    def cell(self) -> Cell:
        """As the plan has it."""
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
        )

    @property
    def is_open_loop(self) -> bool:
        return self.cell.is_open_loop


class SkippedCell(msgspec.Struct, frozen=True):
    """A cell that was asked for and can't be measured, with the reason."""

    cell: Cell
    reason: str


class Summary(msgspec.Struct, frozen=True):
    """summary.json"""

    version: int
    name: str
    created_at: str
    environment: str
    profile: str
    seed: int
    complete: bool
    runs_planned: int
    runs_done: int
    cells: tuple[CellSummary, ...]
    skipped: tuple[SkippedCell, ...]
    warnings: tuple[Reason, ...]

    @property
    def closed_loop_cells(self) -> tuple[CellSummary, ...]:
        """Those that servers are ranked by: of several ways to make the load, the one that takes the least.

        That is our engine before Locust's clients, on the load hosts before the server's own.
        """
        return tuple(ranking_cells(self.cells))


Either = TypeVar("Either", Cell, CellSummary)


def ranking_cells(cells: Iterable[Either]) -> list[Either]:
    """As Summary.closed_loop_cells, of planned cells or of those summed up."""
    closed = [cell for cell in cells if not cell.is_open_loop]
    best = min(map(_cost_of_client, closed), default=None)
    return [cell for cell in closed if _cost_of_client(cell) == best]


def _cost_of_client(cell: Cell | CellSummary) -> tuple[bool, bool, int]:
    by_users, place_in_order = rank_of(cell.client)
    return by_users, cell.load_on != "loadgen", place_in_order
