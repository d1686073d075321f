"""The lines that end a benchmark on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from reports.words.numbers import counted, percent, rate
from reports.words.sentences import LIMITS, ONE_RUN, against_next, refused_because
from reports.words.shares import load_share
from reports.words.verdicts import Contest, Verdict, contests, label_of


def closing_lines(summary: Summary, runs: Sequence[RunResult]) -> list[str]:
    """One line per cell, by endpoint and the fastest first, then what bounds the figures.

    The lines have no colour and no path.
    """
    endpoints = list(dict.fromkeys(cell.endpoint for cell in summary.cells))
    found = contests(summary, runs, endpoints)
    rows = [row for contest in found for row in _rows(contest, label_of(contest, found))]
    lines = _aligned(rows)
    if any(step.verdict is Verdict.UNKNOWN for contest in found for step in contest.steps):
        lines.append(f"Note   {ONE_RUN}")
    lines += [f"Skip   {item.cell.server} {item.cell.endpoint}: {item.reason}" for item in summary.skipped]
    lines += [_limit_line(summary), _valid_line(summary, runs)]
    return lines


def _rows(contest: Contest, label: str) -> list[tuple[str, str, str, str, str]]:
    against = {step.better.server: against_next(step) for step in contest.steps}
    rows = []
    for index, cell in enumerate(contest.cells):
        name = label if index == 0 else ""
        if cell in contest.refused:
            rows.append((name, cell.server, "", "", f"refused: {refused_because(cell)}"))
        else:
            figures = rate(cell.requests_per_second.median)
            rows.append((name, cell.server, figures, _brackets(cell), against.get(cell.server, "")))
    return rows


def _brackets(cell: CellSummary) -> str:
    figures = cell.requests_per_second
    if figures.low is None or figures.high is None:
        return ""
    return f"[{rate(figures.low)}, {rate(figures.high)}]"


def _aligned(rows: Sequence[tuple[str, str, str, str, str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    lines = []
    for label, server, figure, interval, against in rows:
        if against.startswith("refused"):
            line = f"{label:<{widths[0]}}  {server:<{widths[1]}}  {against}"
        else:
            parts = [f"{label:<{widths[0]}}", f"{server:<{widths[1]}}", f"{figure:>{widths[2]}}"]
            if widths[3]:
                parts.append(f"{interval:<{widths[3]}}")
            line = "  ".join([*parts, against])
        lines.append(line.rstrip())
    return lines


def _limit_line(summary: Summary) -> str:
    """What held the valid cells back. A figure that the database held back is not the server's."""
    limits = Counter(LIMITS.get(cell.limit, cell.limit) for cell in summary.closed_loop_cells if cell.valid)
    counts = [f"{name} in {counted(count, 'cell')}" for name, count in limits.items()]
    return f"Limit  {', '.join(counts) or 'unknown: no valid cell'}"


def _valid_line(summary: Summary, runs: Sequence[RunResult]) -> str:
    valid = sum(run.valid for run in runs)
    shares = [share for run in runs if (share := load_share(run)) is not None]
    busiest = f"; load CPU at most {percent(max(shares))}" if shares else ""
    missing = "" if summary.complete else f" ({summary.runs_planned} planned)"
    return f"Valid  {valid} of {len(runs)} runs{missing}{busiest}"
