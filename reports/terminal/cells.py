"""Each cell of a benchmark as one row of words: measured, void or skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.clients import client_of
from bench.results.cell import Cell, SkippedCell
from bench.results.latency import P50, P99
from bench.results.pairs import runs_of
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from bench.served import USUALLY_SERVED
from bench.verdicts.contest import all_contests
from bench.verdicts.pair import PairVerdict
from reports.words.memory import MemoryKind, amounts, memory_kind
from reports.words.numbers import counted, megabytes, rate
from reports.words.over_runs import milliseconds_of
from reports.words.rates import achieved_rate, ended_early, is_behind, p99_seconds, tail_verdict
from reports.words.sentences import LIMITS, against_next, refused_because, unranked_because
from reports.words.served import served_words


@dataclass(frozen=True)
class CellRow:
    """A cell's figures as text, in the order of their columns. Empty: there is none.

    ``tone`` is "", "void", "skipped", or "behind" where the server did not keep up with its rate.
    """

    endpoint: str = ""
    server: str = ""
    load: str = ""  # what tells it from the server's other cells on this endpoint
    rate: str = ""
    interval: str = ""
    p50: str = ""
    p99: str = ""
    pss: str = ""  # memory under load, by what servers are ranked by: this or the next
    rss: str = ""
    limit: str = ""
    verdict: str = ""
    tone: str = ""


def cell_rows(summary: Summary, runs: Sequence[RunResult]) -> list[CellRow]:
    """One row for each cell that was asked for: by endpoint and load, the best first, the skipped last."""
    asked: list[CellSummary | SkippedCell] = [*summary.cells, *summary.skipped]
    cells = [one.cell for one in asked]
    endpoints = list(dict.fromkeys(cell.endpoint for cell in cells))
    load_of = _load_words(cells)
    judged = all_contests(summary, runs, endpoints)
    found, at_rates = judged.by_throughput, judged.by_rate
    against = {step.better.cell: against_next(step) for contest in found for step in contest.steps}
    tails = {step.better.cell: step for contest in at_rates for step in contest.steps}
    places = {cell.cell: place for contest in (*found, *at_rates) for place, cell in enumerate(contest.cells)}

    def place(one: CellSummary | SkippedCell) -> tuple[Any, ...]:
        cell = one.cell
        served = (cell.served != USUALLY_SERVED, cell.served)
        load = (cell.is_of_method, served, cell.load_on, cell.client, cell.workers, cell.connections)
        rates = (cell.is_open_loop, cell.rate_share or 0.0, cell.rate_per_second or 0.0)
        return (endpoints.index(cell.endpoint), load, rates, *_rank(one, places))

    kind = memory_kind(summary.cells)
    rows = []
    for one in sorted(asked, key=place):
        names = {"endpoint": one.cell.endpoint, "server": one.cell.server, "load": load_of(one)}
        if isinstance(one, SkippedCell):
            rows.append(CellRow(**names, verdict=f"skipped: {one.reason}", tone="skipped"))
        elif not one.valid:
            rows.append(_void_row(one, names, summary))
        else:
            in_contest = one.cell in places
            verdict = _verdict(one, against.get(one.cell, ""), tails.get(one.cell), in_contest=in_contest)
            rows.append(_measured_row(one, names, verdict + _left_out(one, runs), kind))
    return rows


def _rank(one: CellSummary | SkippedCell, places: Mapping[Cell, int]) -> tuple[int, float]:
    """Valid before void before skipped; as ranked, at a rate the one of the shortest tail first."""
    if isinstance(one, SkippedCell):
        return (2, 0.0)
    if not one.valid:
        return (1, 0.0)
    if one.cell in places:
        return (0, places[one.cell])
    return (0, p99_seconds(one) or 0.0 if one.is_open_loop else -(one.requests_per_second.median or 0.0))


def _measured_row(cell: CellSummary, names: dict[str, str], verdict: str, kind: MemoryKind) -> CellRow:
    figures = cell.requests_per_second
    low, high = rate(figures.low), rate(figures.high)
    amount = amounts(cell, kind)
    memory = megabytes(amount.median if amount else None)
    is_known = figures.low is not None and figures.high is not None and low != high
    return CellRow(
        **names,
        rate=rate(figures.median),
        interval=f"[{low}, {high}]" if is_known else "",
        p50=milliseconds_of(cell, P50),
        p99=milliseconds_of(cell, P99),
        pss=memory if kind == "PSS" else "",
        rss=memory if kind == "RSS" else "",
        limit=LIMITS.get(cell.limit, cell.limit),
        verdict=verdict,
        tone="behind" if is_behind(cell) else "",
    )


def _void_row(cell: CellSummary, names: dict[str, str], summary: Summary) -> CellRow:
    """Without figures: they say nothing about the server."""
    if cell.requests_per_second.runs:
        limit = LIMITS.get(cell.limit, cell.limit)
        return CellRow(**names, limit=limit, verdict=f"void: {refused_because(cell)}", tone="void")
    title = f"{cell.cell.title}, block "
    has_failed = any(one.code == "run_failed" and one.text.startswith(title) for one in summary.warnings)
    why = "its run failed, see below" if has_failed else refused_because(cell)
    return CellRow(**names, verdict=f"not measured: {why}", tone="void")


def _verdict(cell: CellSummary, against: str, tail: PairVerdict | None, *, in_contest: bool) -> str:
    if is_behind(cell):
        ended = f", {ended_early(cell)}" if ended_early(cell) else ""
        return f"did not keep up: {rate(achieved_rate(cell))} requests/s answered{ended}"
    if cell.is_open_loop:
        return tail_verdict(tail)
    if not in_contest and cell.cell.is_of_method:
        return "valid, of server and load generator together"
    if not in_contest:
        return "valid; servers are ranked by our engine"
    return unranked_because(cell) or against or "valid"


def _left_out(cell: CellSummary, runs: Sequence[RunResult]) -> str:
    made = runs_of(cell, runs)
    void = sum(not run.valid for run in made)
    return f"; {void} of {counted(len(made), 'run')} void" if void else ""


def _load_words(cells: Sequence[Cell]) -> Callable[[CellSummary | SkippedCell], str]:
    """Names of a cell's load by what differs between ``cells``; empty where nothing does."""
    has_rates = any(cell.is_open_loop for cell in cells)
    many_workers = len({cell.workers for cell in cells}) > 1
    many_connections = len({cell.connections for cell in cells}) > 1
    many_ways = len({(cell.client, cell.load_on) for cell in cells}) > 1
    reached = {cell.served for cell in cells}

    def words(one: CellSummary | SkippedCell) -> str:
        cell = one.cell
        parts = [served_words(cell.served, reached)]
        if many_workers:
            parts.append(counted(cell.workers, "worker"))
        if many_connections:
            parts.append(counted(cell.connections, "connection"))
        if many_ways:
            place = "the server's host" if cell.load_on == "server" else "load hosts"
            parts.append(f"{client_of(cell.client).title} on {place}")
        if has_rates:
            offered = one.rate_per_second if isinstance(one, CellSummary) else cell.rate_per_second
            parts.append(_rate_words(cell, offered))
        return ", ".join(filter(None, parts))

    return words


def _rate_words(cell: Cell, offered: float | None) -> str:
    """``closed loop``, ``at 500/s``, ``at 70 % (11,186/s)``."""
    if not cell.is_open_loop:
        return "closed loop"
    if cell.rate_share is None:
        return f"at {rate(offered)}/s"
    came_to = "" if offered is None else f" ({rate(offered)}/s)"
    return f"at {cell.rate_share * 100:g} %{came_to}"
