"""All that one report says, as frozen plain values: what the template prints."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bench.environment.calibration import Calibration
from bench.plan.plan import Environment, Plan
from bench.results.result import Reason, RunResult, Summary
from reports.charts.busy import busy_figure
from reports.charts.latency import latency_figure
from reports.charts.memory import memory_figure, memory_over_time_figure
from reports.charts.panels import Figure
from reports.charts.rates import StatedRates, stated_rates
from reports.charts.speed import drift_figure, ratio_figure, throughput_figure
from reports.paper import figures as paper
from reports.paper.claims import judge_claims, servers_compared
from reports.paper.method import Method, method_of
from reports.tables.ceilings import ceilings_table
from reports.tables.setup import (
    Fact,
    ServerView,
    asked_table,
    endpoints_table,
    facts_of,
    hosts_table,
    package_tables,
    profile_facts,
    server_views,
    told_table,
)
from reports.tables.table import (
    Row,
    Table,
    claims_table,
    memory_table,
    paper_table,
    runs_table,
    verdict_table,
    words,
)
from reports.words.numbers import counted, duration, listed, percent
from reports.words.sentences import Answer, answer, headline, validity
from reports.words.trust import agent_shares, cautions, load_share, overhead_share
from reports.words.verdicts import LEVEL_MARGIN, contests, label_of


@dataclass(frozen=True)
class Page:
    """The report. None or empty: the results don't hold it, and the template says so or leaves it out."""

    title: str
    eyebrow: str
    headline: str
    scope: str
    answers: tuple[Answer, ...]
    verdicts: Table
    skipped: Table | None
    validity: tuple[Fact, ...]
    is_all_valid: bool
    cautions: tuple[Reason, ...]
    busy: Figure
    ceilings: Table
    drift: Figure | None
    costs: tuple[Fact, ...]
    claims: Table
    claims_servers: str
    paper_tables: tuple[Table, ...]
    method: Method | None
    paper_citation: str
    paper_machine: str
    throughput: Figure
    ratios: Figure | None
    latency: Figure
    rates: StatedRates | None
    memory_table: Table
    memory: Figure
    memory_over_time: Figure | None
    servers: tuple[ServerView, ...]
    asked: Table
    told: Table
    hosts: Table
    packages: tuple[Table, ...]
    placement: tuple[Fact, ...]
    controller: tuple[Fact, ...]
    profile: tuple[Fact, ...]
    locustfile: str
    endpoints: Table
    level_from: str
    level_to: str
    runs: Table
    command: str
    seed: int
    connections: int
    store_name: str
    made_with: str


def page_of(
    plan: Plan,
    environment: Environment,
    summary: Summary,
    runs: Sequence[RunResult],
    calibration: Calibration | None = None,
) -> Page:
    """``calibration`` has the load hosts' ceilings, None where they weren't measured."""
    found = contests(summary, runs, [endpoint.name for endpoint in plan.endpoints])
    labelled = [(label_of(contest, found), contest) for contest in found]
    valid = sum(run.valid for run in runs)
    return Page(
        title=f"asgibench: {headline(labelled)}",
        eyebrow=f"asgibench report · {plan.name} · {plan.environment} · profile {plan.profile.name}",
        headline=headline(labelled),
        scope=_scope(plan, environment),
        answers=tuple(answer(contest, label) for label, contest in labelled),
        verdicts=verdict_table(labelled),
        validity=_validity(summary, runs, valid),
        is_all_valid=summary.complete and valid == len(runs),
        cautions=cautions(plan, environment, summary, runs),
        busy=busy_figure(labelled, runs),
        ceilings=ceilings_table(labelled, runs, calibration),
        drift=drift_figure(labelled, runs, plan),
        claims=claims_table(judge_claims(plan, summary, runs)),
        claims_servers=_claims_servers(plan, summary),
        paper_tables=_paper_tables(plan, summary),
        method=method_of(plan, environment, summary, runs),
        paper_citation=paper.CITATION,
        paper_machine=paper.MACHINE,
        throughput=throughput_figure(labelled, runs),
        ratios=ratio_figure(labelled, runs),
        latency=latency_figure(labelled, plan),
        rates=stated_rates(plan, summary),
        memory=memory_figure(labelled),
        memory_table=memory_table(labelled, environment),
        memory_over_time=memory_over_time_figure(plan, runs),
        skipped=_skipped(summary),
        servers=server_views(plan, runs),
        asked=asked_table(plan, runs),
        told=told_table(plan, runs),
        hosts=hosts_table(environment),
        packages=package_tables(environment),
        placement=facts_of(environment.placement),
        controller=facts_of(environment.controller),
        profile=profile_facts(plan),
        locustfile="" if plan.locustfile is None else plan.locustfile.title,
        endpoints=endpoints_table(plan),
        level_from=f"{1 / LEVEL_MARGIN:.2f}",
        level_to=f"{LEVEL_MARGIN:.2f}",
        costs=_costs(runs),
        runs=runs_table(runs),
        command=shlex.join(plan.command),
        seed=plan.seed,
        connections=plan.profile.connections,
        store_name=plan.name,
        made_with=f"asgibench {plan.asgibench_version}, {plan.created_at}, lock {plan.lock_sha256[:12]}",
    )


def _scope(plan: Plan, environment: Environment) -> str:
    servers, endpoints = len(plan.servers), len(plan.endpoints)
    runs = counted(len(plan.runs), "run")
    blocks = counted(plan.profile.blocks, "block")
    where = f"Server on {environment.server}, load from {listed(environment.loadgen)}"
    if environment.loadgen == (environment.server,):
        where = f"Server and load together on {environment.server}"
    return (
        f"{counted(servers, 'server')} on {counted(endpoints, 'endpoint')}, {blocks}, {runs}. "
        f"{where}, {plan.profile.connections} connections."
    )


def _validity(summary: Summary, runs: Sequence[RunResult], valid: int) -> tuple[Fact, ...]:
    shares = [share for run in runs if (share := load_share(run)) is not None]
    failures = sum(sum(run.failures.values()) for run in runs)
    requests = sum(run.requests for run in runs)
    return (
        Fact("Runs", validity(summary, valid)),
        Fact("Load worker’s CPU, at most", percent(max(shares, default=None))),
        Fact("Failures", f"{failures:,} beside {requests:,} requests answered in the windows"),
    )


def _paper_tables(plan: Plan, summary: Summary) -> tuple[Table, ...]:
    planned = {endpoint.name for endpoint in plan.endpoints}
    return tuple(paper_table(name, plan, summary) for name in paper.ENDPOINTS if name in planned)


def _claims_servers(plan: Plan, summary: Summary) -> str:
    versions = {cell.server: cell.server_version for cell in summary.cells}
    chosen = servers_compared(plan, summary)
    parts = [
        f"{name} {versions.get(name, '')}".strip() + f" (the paper: {paper.VERSIONS[package]})"
        for package, name in chosen.items()
    ]
    return listed(parts) if parts else "none of the paper’s servers"


def _skipped(summary: Summary) -> Table | None:
    if not summary.skipped:
        return None
    rows = tuple(
        Row((item.cell.server, item.cell.endpoint, str(item.cell.workers), item.reason))
        for item in summary.skipped
    )
    return Table("Cells not measured", words("Server", "Endpoint", "Workers", "Why"), rows)


def _costs(runs: Sequence[RunResult]) -> tuple[Fact, ...]:
    total = sum(run.timing.total_seconds for run in runs)
    share = percent(overhead_share(runs))
    agents = [
        Fact(f"Agent on {host}", f"{percent(cpu)} of a core at most")
        for host, cpu in agent_shares(runs).items()
    ]
    return (
        Fact("Time of all runs", duration(total)),
        Fact("Overhead", f"{share} of it: neither warm-up, window nor memory rest"),
        *agents,
    )
