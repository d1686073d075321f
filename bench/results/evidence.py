"""All that one run has brought home, grouped by who reports it. ``assemble.run_result`` reads it."""

from __future__ import annotations

import msgspec

from bench.balancers import Balancer
from bench.environment.links import Links
from bench.plan.plan import PlannedRun
from bench.results.clocks import ClockEvidence
from bench.results.figures import DatabaseCounters, OpenLoop, Second
from bench.results.invariants import Contradiction
from bench.results.latency import Latency
from bench.results.reached import TlsUse
from bench.results.speed import SpeedEvidence
from bench.results.window import Window
from bench.spec import Endpoint, Profile, ServerSpec
from bench.wire.observation import ServerSeen


class Planned(msgspec.Struct, frozen=True):
    """What was to be measured."""

    run: PlannedRun
    attempt: int  # 1 for the first try of this run
    spec: ServerSpec
    endpoint: Endpoint


class CoresGiven(msgspec.Struct, frozen=True):
    """Which cores each party could use. Cores are numbers as the host's system counts them."""

    server: tuple[int, ...]  # that the server is placed on
    server_fills: int  # how many of them it can fill: one for each of its workers
    database_count: int
    load: dict[str, tuple[int, ...]]  # by load host
    load_workers_on_server: frozenset[str]  # names of the load workers that may run on the server's cores
    agent_on_server: bool  # the agent of the server's host may run on the server's cores
    # By load host, other load hosts of the same machine whose workers may run on its cores: one kernel counts
    # for all of them, so that what they took stands among what others took there.
    same_cores: dict[str, frozenset[str]] = {}


class BalancerEvidence(msgspec.Struct, frozen=True):
    """The load balancer before the server, as it was started."""

    name: Balancer
    version: str
    configuration: str  # the text of its file
    is_apart: bool  # it had a core that the server's processes don't run on
    is_pushed: bool  # from the controller; else the host's own


class ServerEvidence(msgspec.Struct, frozen=True):
    """What the server was, as found when it was ready, and its own count."""

    host: str
    version: str
    command: tuple[str, ...]
    pids: tuple[int, ...]  # of its worker processes
    configuration: dict[str, str | int | bool | None]  # as the running server reported it
    requests: int | None  # that it counted in the whole run; None: it can't count what was asked
    seen: ServerSeen | None = None  # before its load; None: not looked at
    log_lines: int | None = None  # that its log grew by until it had stopped; None: not known
    answering: int | None = None  # how many of its processes have answered; None: not known
    # That each of its processes counted in the whole run, those that answered none left out; (): not known.
    worker_requests: tuple[int, ...] = ()
    balancer: BalancerEvidence | None = None  # None: nothing stood between load and server


class LoadEvidence(msgspec.Struct, frozen=True):
    """What the load workers and Locust saw. Counts are of the whole run, warm-up included."""

    window: Window
    latency: Latency | None  # as in RunResult
    seconds: tuple[Second, ...]  # from the epoch to the window's end, without the server's memory
    engine_requests: int  # answered, as the load workers counted them
    in_flight_at_stop: int  # sent and not answered when the load stopped
    locust_requests: int  # as Locust's statistics counted them
    spool_requests: int  # as the load workers' own files counted them
    open_loop: OpenLoop | None  # None: closed loop
    contradictions: tuple[Contradiction, ...] = ()  # between figures that must be alike
    tls: TlsUse | None = None  # None: without TLS, or the client doesn't tell


class DatabaseEvidence(msgspec.Struct, frozen=True):
    """What the database counted. Counters are None where the endpoint doesn't use it."""

    host: str  # whose agent samples it; "": it isn't ours
    before: DatabaseCounters | None
    after: DatabaseCounters | None


class AgentEvidence(msgspec.Struct, frozen=True):
    """What the hosts' agents sampled."""

    samples: dict[str, bytes]  # by host: the agent's JSON lines


class Timeline(msgspec.Struct, frozen=True):
    """When each part of a run began, in seconds on the controller's monotonic clock."""

    started_at: float  # the time of day at the run's begin, in seconds since 1970; for readers alone
    began: float  # the server's start
    ready: float  # the server answers; it rests from here on
    load_began: float
    epoch: float  # the load's second 0
    load_stopped: float  # when the load workers were told to stop
    load_collected: float  # when their data was in; the server rests from here on
    rested: float
    stopped: float  # the server has gone and everything is fetched
    profile: Profile
    # In which all connections were open and none had sent anything; None: there was no such time.
    held: tuple[float, float] | None = None

    @property
    def window(self) -> tuple[float, float]:
        """Start and end of the measured window."""
        start = self.epoch + self.profile.warmup_seconds
        return start, start + self.profile.window_seconds


class RunEvidence(msgspec.Struct, frozen=True):
    """All that one run has brought home."""

    planned: Planned
    cores: CoresGiven
    server: ServerEvidence
    load: LoadEvidence
    database: DatabaseEvidence
    agents: AgentEvidence
    timeline: Timeline
    clocks: ClockEvidence
    links: Links | None = None  # None: what the links carry is not known
    speed: SpeedEvidence | None = None  # None: no yardstick was read
