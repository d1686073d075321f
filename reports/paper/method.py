"""The paper's three tables beside ours: each server by each client and place of the load, and what made it.

Such a figure describes server and load generator together. How it changes when only the client changes tells
which of the two it is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.clients import Client, client_of
from bench.judge.rule import SERVERS_OWN
from bench.plan.plan import Environment, Plan
from bench.results.pairs import valid_runs
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from bench.served import USUALLY_SERVED
from bench.spec import LoadPlace
from reports.paper import figures as paper
from reports.tables.table import Fact, Table, TableRow, group, numbers, tone, words
from reports.words.numbers import (
    MISSING,
    capital,
    counted,
    listed,
    megabytes,
    milliseconds,
    percent,
    rate,
    times,
)
from reports.words.sentences import LIMITS, refused_because
from reports.words.shares import cell_server_share

_MORE = 1.10
"""What our engine gets beyond a client's figure by less than this is no more than two runs differ."""


@dataclass(frozen=True)
class EndpointMethod:
    """One of the paper's tables. ``sentences`` has one for each server."""

    title: str
    sentences: tuple[str, ...]
    table: Table


@dataclass(frozen=True)
class Method:
    """``apart`` says how far apart the servers are by each way of making the load."""

    intro: tuple[str, ...]
    apart: Table
    endpoints: tuple[EndpointMethod, ...]
    differs: tuple[Fact, ...]
    ranked_by: str


def is_of_method(summary: Summary) -> bool:
    """Whether some cell makes its load as the paper made it."""
    return any(cell.cell.is_of_method for cell in summary.cells)


def method_of(
    plan: Plan, environment: Environment, summary: Summary, runs: Sequence[RunResult]
) -> Method | None:
    """The comparison with the paper's tables; None where all load is our engine's on the load hosts."""
    if not is_of_method(summary):
        return None
    plain = [cell for cell in summary.cells if cell.served == USUALLY_SERVED]
    cells = [cell for cell in plain if not cell.is_open_loop and cell.endpoint in paper.ENDPOINTS]
    ours = _Ours(plan, environment, cells, runs)
    planned = {endpoint.name for endpoint in plan.endpoints}
    endpoints = [name for name in paper.ENDPOINTS if name in planned]
    return Method(
        intro=_intro(plan, environment),
        apart=_apart(ours, endpoints),
        endpoints=tuple(_endpoint(ours, name) for name in endpoints),
        differs=_differs(plan, environment, summary),
        ranked_by=_by(ours, summary.closed_loop_cells[0]),
    )


@dataclass(frozen=True)
class _Ours:
    plan: Plan
    environment: Environment
    cells: Sequence[CellSummary]
    runs: Sequence[RunResult]

    def of(self, endpoint: str, server: str) -> list[CellSummary]:
        return [cell for cell in self.cells if (cell.endpoint, cell.server) == (endpoint, server)]

    def by(self, endpoint: str, client: Client, load_on: LoadPlace) -> list[CellSummary]:
        way = (endpoint, client, load_on)
        return [cell for cell in self.cells if (cell.endpoint, cell.client, cell.load_on) == way]

    @property
    def ways(self) -> tuple[tuple[Client, LoadPlace], ...]:
        return tuple(dict.fromkeys((cell.client, cell.load_on) for cell in self.cells))

    def package(self, server: str) -> str:
        return next(one.package for one in self.plan.servers if one.name == server)

    def title(self, client: Client, load_on: LoadPlace) -> str:
        return f"{capital(client_of(client).title)}, {_place(load_on, self.environment)}"


def _place(load_on: LoadPlace, environment: Environment) -> str:
    if load_on == "server":
        return "on the server’s cores"
    if environment.loadgen == (environment.server,):
        return "on cores of its own"
    return "on a host of its own" if len(environment.loadgen) == 1 else "on hosts of its own"


def _intro(plan: Plan, environment: Environment) -> tuple[str, ...]:
    cores, workers = _server_cores(plan, environment), plan.profile.load_workers_in_all
    shared = ""
    if "server" in plan.profile.load_on and cores is not None:
        shared = f"; here server and load share {counted(cores, 'core')}, in the paper six"
    by = "" if workers is None else f", by {counted(workers, 'load worker')}"
    return (
        "The paper loaded each server with six Locust workers on the server’s own cores. Here that is done "
        f"with Locust’s two clients, HttpUser and FastHttpUser, and with our engine{by}{shared}. Such a "
        "figure is of server and load generator together: it says how fast the server is only where the "
        "server was what held it back, and the last column says whether it was.",
        "Requests/s of different machines can’t be compared, so a ratio to the paper’s figure says little of "
        "a server: where all servers have about the same one, the machine made the difference. How far apart "
        "the servers are can be compared.",
    )


def _server_cores(plan: Plan, environment: Environment) -> int | None:
    host = next((one for one in environment.hosts if one.name == environment.server), None)
    facts = environment.facts.get(environment.server)
    if host is not None and host.cores is not None:
        return len(host.cores)
    return None if facts is None else len(facts.cores_usable)


# ---------------------------------------------------------------- how far apart


def _apart(ours: _Ours, endpoints: Sequence[str]) -> Table:
    paper_row = TableRow(("The paper", *(_paper_apart(endpoint) for endpoint in endpoints)), "muted")
    rows = [
        TableRow((ours.title(*way), *(_cells_apart(ours.by(endpoint, *way)) for endpoint in endpoints)))
        for way in ours.ways
    ]
    return Table(
        "Fastest server over slowest, in requests/s",
        (*words("Load"), *words(*endpoints)),
        (paper_row, *rows),
        "A client that is slower than the servers makes them look alike. Figures that say nothing are left "
        "out, and with them the servers that they are of.",
        style="apart",
    )


def _paper_apart(endpoint: str) -> str:
    figures = {name: paper.FIGURES[endpoint, name].requests_per_second for name in paper.SERVERS}
    return _spread(figures)


def _cells_apart(cells: Sequence[CellSummary]) -> str:
    return _spread(
        {
            cell.server: cell.requests_per_second.median
            for cell in cells
            if cell.valid and cell.requests_per_second.median
        }
    )


def _spread(figures: dict[str, float]) -> str:
    if len(figures) < 2:
        return MISSING
    first, last = max(figures, key=figures.__getitem__), min(figures, key=figures.__getitem__)
    return f"{times(figures[first] / figures[last])} ({first} over {last})"


# ---------------------------------------------------------------- one endpoint


def _endpoint(ours: _Ours, endpoint: str) -> EndpointMethod:
    rows: list[TableRow] = []
    sentences = []
    for server in ours.plan.servers:
        cells = ours.of(endpoint, server.name)
        if not cells:
            continue
        rows.append(group(_heading(endpoint, server.package, cells)))
        rows += [_row(ours, cell) for cell in cells]
        sentences.append(_what_made(ours, server.name, cells))
    columns = (
        *words("Load"),
        *numbers("Requests/s", "Of the paper’s", "RSS, MB", "Of the paper’s RSS"),
        *words("What made the figure"),
    )
    table = Table(paper.TITLES[endpoint], columns, tuple(rows), style="stacked")
    return EndpointMethod(paper.TITLES[endpoint], tuple(sentences), table)


def _heading(endpoint: str, package: str, cells: Sequence[CellSummary]) -> str:
    version = next((cell.server_version for cell in cells if cell.server_version), "")
    name = f"{cells[0].server} {version}".strip()
    figures = paper.FIGURES.get((endpoint, package))
    if figures is None:
        return f"{name}; not in the paper"
    had = "" if version == paper.VERSIONS[package] else f" with {paper.VERSIONS[package]}"
    return (
        f"{name}; the paper{had}: {rate(figures.requests_per_second)} requests/s, "
        f"{figures.rss_megabytes:.1f} MB"
    )


def _row(ours: _Ours, cell: CellSummary) -> TableRow:
    title = ours.title(cell.client, cell.load_on)
    if not cell.valid:
        because = f"says nothing: {refused_because(cell)}"
        return TableRow((f"{title} (refused)", *((MISSING,) * 4), because), tone(cell))
    figures = paper.FIGURES.get((cell.endpoint, ours.package(cell.server)))
    speed, rss = cell.requests_per_second.median, cell.rss_bytes.median
    return TableRow(
        (
            title,
            rate(speed),
            MISSING if figures is None or speed is None else times(speed / figures.requests_per_second),
            megabytes(rss),
            MISSING if figures is None or rss is None else times(rss / 1e6 / figures.rss_megabytes),
            _made_by(cell, ours.runs),
        )
    )


def _made_by(cell: CellSummary, runs: Sequence[RunResult]) -> str:
    """What held the cell back, by its limit and reasons, with the figures that show it."""
    codes = {reason.code for reason in cell.reasons}
    shares = _shares(cell, runs)
    if "DatabaseSharesCores" in codes:
        return f"the server with its database: they filled the cores that they share ({shares})"
    if cell.limit == "server_cpu":
        return f"the server: its CPU was used up ({shares})"
    if "DelayedAckSuspected" in codes:
        return f"TCP: answers wait {_median_ms(cell)} ms for delayed acknowledgements ({shares})"
    if "LoadSharesCores" in codes:
        return f"server and generator together: they filled the cores that they share ({shares})"
    if cell.limit == "load_generator":
        return f"the generator: it was at its limit, the server was not ({shares})"
    if cell.limit == "latency":
        return f"no one’s CPU: all of them waited most of the time ({shares})"
    if cell.limit == "none_found":
        return f"no one part by itself ({shares})"
    return f"the {LIMITS.get(cell.limit, cell.limit)} ({shares})"


def _median_ms(cell: CellSummary) -> str:
    return milliseconds(cell.latency_seconds.p50 if cell.latency_seconds else None)


def _shares(cell: CellSummary, runs: Sequence[RunResult]) -> str:
    used = valid_runs(cell, runs)
    parties = (
        ("server", [run.server_cpu.core_share for run in used if run.server_cpu]),
        ("generator", [_generator_cores(run) for run in used if run.load_workers]),
        ("database", [run.database_cpu.core_share for run in used if run.database and run.database_cpu]),
    )
    parts = [f"{party} {median(shares):.2f}" for party, shares in parties if shares]
    return f"{', '.join(parts)} cores" if parts else "nobody’s CPU is known"


def _generator_cores(run: RunResult) -> float:
    return sum(worker.work_share for worker in run.load_workers)


# ---------------------------------------------------------------- what made the figures


def _what_made(ours: _Ours, server: str, cells: Sequence[CellSummary]) -> str:
    """What our engine gets out of the same server beside what Locust's clients get: a sentence."""
    known = [cell for cell in cells if cell.valid and cell.requests_per_second.median]
    engines = [cell for cell in known if client_of(cell.client).has_engine]
    others = [cell for cell in known if not client_of(cell.client).is_light]
    if not engines or not others:
        lacking = "our engine" if not engines else "Locust’s own clients"
        return f"{server}: who made its figures can’t be told, since none by {lacking} counts."
    # On hosts of its own before the server's: there it takes nothing from the server.
    engine = min(engines, key=lambda cell: cell.load_on != "loadgen")
    best = engine.requests_per_second.median or 0.0
    gains = [(cell, best / (cell.requests_per_second.median or best)) for cell in others]
    if any(reason.code == "DelayedAckSuspected" for reason in engine.reasons):
        return (
            f"{server}: TCP makes its figure, and neither the server’s speed nor the generator’s: answers "
            f"wait for delayed acknowledgements (median latency {_median_ms(engine)} ms, server "
            f"{percent(cell_server_share(engine, ours.runs))} busy). That is of this version on this system."
        )
    more = [(cell, gain) for cell, gain in gains if gain >= _MORE and cell.limit not in SERVERS_OWN]
    if not more and engine.limit not in SERVERS_OWN:
        return f"{server}: who made its figures can’t be told: our engine too had the server’s CPU to spare."
    if not more:
        return (
            f"{server}: the server makes its figures: our engine gets hardly more than Locust’s clients do."
        )
    named = listed([f"{times(gain)} times what {_by(ours, cell)} gets" for cell, gain in more])
    return (
        f"{server}: the generator makes the figures of Locust’s clients: our engine "
        f"{_place(engine.load_on, ours.environment)} gets out of the same server {named}."
    )


def _by(ours: _Ours, cell: CellSummary) -> str:
    return f"{client_of(cell.client).title} {_place(cell.load_on, ours.environment)}"


# ---------------------------------------------------------------- what differs


def _differs(plan: Plan, environment: Environment, summary: Summary) -> tuple[Fact, ...]:
    profile = plan.profile
    versions = {cell.server: cell.server_version for cell in summary.cells if cell.server_version}
    other = [
        f"{server.name} {versions.get(server.name, '')}".strip()
        for server in plan.servers
        if versions.get(server.name) != paper.VERSIONS.get(server.package)
    ]
    facts = environment.facts.get(environment.server)
    system = "not known" if facts is None else f"{facts.system} {facts.release}, {facts.cpu_model}"
    return (
        Fact("Machine", f"here {system}; the paper: {paper.MACHINE}"),
        Fact("Versions", "the paper’s" if not other else f"not the paper’s: {listed(other)}"),
        Fact("Users", f"here {profile.connections}; the paper doesn’t say"),
        Fact(
            "Length",
            f"here {profile.warmup_seconds} s of warm-up and a window of {profile.window_seconds} s, "
            f"{counted(profile.blocks, 'block')}; the paper doesn’t say",
        ),
        Fact("Locust’s client", "the paper doesn’t say which of the two; here both"),
        Fact("orders", "the paper doesn’t give its code; ours checks a token and asks PostgreSQL twice"),
        Fact("Locust, Starlette, asyncpg", "today’s; the paper doesn’t give its versions"),
    )
