"""Latency at stated rates, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.plan.plan import Plan
from bench.results.latency import P99
from bench.results.summary import CellSummary, Summary
from reports.words.latency import latency_ms
from reports.words.numbers import counted, listed, milliseconds, rate

BEHIND = "ServerBehindRate"
"""The code by which a valid run says that it missed its rate; what else missed one is void."""


@dataclass(frozen=True)
class RateGroup:
    """The open-loop cells that may be compared."""

    label: str
    cells: tuple[CellSummary, ...]


def rate_groups(plan: Plan, summary: Summary) -> tuple[RateGroup, ...]:
    cells = [cell for cell in summary.cells if cell.is_open_loop]
    several = len({cell.workers for cell in cells}) > 1
    groups = []
    for endpoint in plan.endpoints:
        for workers in sorted({cell.workers for cell in cells}):
            own = tuple(cell for cell in cells if (cell.endpoint, cell.workers) == (endpoint.name, workers))
            if own:
                label = f"{endpoint.name}, {counted(workers, 'worker')}" if several else endpoint.name
                groups.append(RateGroup(label, own))
    return tuple(groups)


def rate_sentences(group: RateGroup) -> tuple[str, ...]:
    """A sentence on rates in requests/s and one on shares of each server's maximum, where there are any."""
    by_rate: dict[float, list[CellSummary]] = {}
    by_share: dict[float, list[CellSummary]] = {}
    for cell in group.cells:
        if cell.rate_share is not None:
            by_share.setdefault(cell.rate_share, []).append(cell)
        elif cell.rate_per_second is not None:
            by_rate.setdefault(cell.rate_per_second, []).append(cell)
    sentences = []
    for levels, words_of in ((by_rate, _rate_words), (by_share, _share_words)):
        level = _telling_level(levels)
        if level is not None:
            sentence = _tail_sentence(f"{words_of(level)} on {group.label}", levels[level])
            sentences.append(sentence + _overload(levels, level, words_of))
    return tuple(sentences)


def _telling_level(levels: Mapping[float, Sequence[CellSummary]]) -> float | None:
    """The highest load that every server with figures served in full; else the lowest with any figures."""
    shown = {level: with_latency(cells) for level, cells in sorted(levels.items())}
    most = max((len(cells) for cells in shown.values()), default=0)
    if most == 0:
        return None
    whole = [level for level, cells in shown.items() if len(cells) == most]
    met = [level for level in whole if not any(map(is_behind, shown[level]))]
    return max(met) if met else min(whole)


def _tail_sentence(load: str, cells: Sequence[CellSummary]) -> str:
    """p99 of each server in words, the slowest first."""
    shown = sorted(with_latency(cells), key=lambda cell: -(p99_seconds(cell) or 0.0))
    first, *others = shown
    slowest = milliseconds(p99_seconds(first))
    text = f"At {load} one request in 100 to {_who(first)} took longer than {slowest} ms"
    if others:
        text += "; " + ", ".join(
            f"{_who(cell)}: {latency_ms(cell.latency_seconds, P99.name)} ms" for cell in others
        )
    refused = [cell.server for cell in cells if not cell.valid]
    return text + (f"; {listed(refused)}: refused." if refused else ".")


def _overload(
    levels: Mapping[float, Sequence[CellSummary]], shown: float, words_of: Callable[[float], str]
) -> str:
    """A sentence on the next load that was too much for some server; empty where there is none."""
    for level in sorted(level for level in levels if level > shown):
        behind = [cell.server for cell in with_latency(levels[level]) if is_behind(cell)]
        if behind:
            return f" At {words_of(level)} {listed(behind)} did not keep up."
    return ""


def _who(cell: CellSummary) -> str:
    details = []
    if cell.rate_share is not None:
        details.append(f"{rate(cell.rate_per_second)} requests/s")
    if is_behind(cell):
        details.append(f"which answered only {rate(achieved_rate(cell))} requests/s")
    return f"{cell.server} ({', '.join(details)})" if details else cell.server


def _rate_words(level: float) -> str:
    return f"{rate(level)} requests/s"


def _share_words(level: float) -> str:
    return f"{level * 100:g} % of its own maximum"


def with_latency(cells: Sequence[CellSummary]) -> list[CellSummary]:
    return [cell for cell in cells if cell.valid and p99_seconds(cell) is not None]


def is_behind(cell: CellSummary) -> bool:
    return any(reason.code == BEHIND for reason in cell.reasons)


def p99_seconds(cell: CellSummary) -> float | None:
    return P99.of(cell.latency_seconds)


def achieved_rate(cell: CellSummary) -> float | None:
    return None if cell.open_loop is None else cell.open_loop.achieved_rate_per_second
