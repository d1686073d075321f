"""Latency at stated rates: what an open loop found, in words, a table and a figure for each endpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench.plan.plan import Plan
from bench.results.result import CellSummary, OpenLoop, Summary
from reports.charts.panels import Axis, Figure, Plot, Series, Style, line_key, line_panel, slug, style_of
from reports.charts.svg import log_ticks, nice_ticks
from reports.tables.table import Row, Table, named, numbers, tone, words
from reports.words.numbers import MISSING, counted, listed, milliseconds, rate

BEHIND = "ServerBehindRate"
"""The code by which a valid run says that it missed its rate; what else missed one is void."""
_MOST_TICKS = 5


@dataclass(frozen=True)
class StatedRates:
    """The figure has a panel and a table for each endpoint."""

    sentences: tuple[str, ...]
    figure: Figure


@dataclass(frozen=True)
class _Group:
    """The open-loop cells that may be compared."""

    label: str
    cells: tuple[CellSummary, ...]


def stated_rates(plan: Plan, summary: Summary) -> StatedRates | None:
    """None where no rate was stated."""
    groups = _groups(plan, summary)
    if not groups:
        return None
    return StatedRates(
        tuple(sentence for group in groups for sentence in _sentences(group)),
        _figure(groups, plan),
    )


def _groups(plan: Plan, summary: Summary) -> tuple[_Group, ...]:
    cells = [cell for cell in summary.cells if cell.is_open_loop]
    several = len({cell.workers for cell in cells}) > 1
    groups = []
    for endpoint in plan.endpoints:
        for workers in sorted({cell.workers for cell in cells}):
            own = tuple(cell for cell in cells if (cell.endpoint, cell.workers) == (endpoint.name, workers))
            if own:
                label = f"{endpoint.name}, {counted(workers, 'worker')}" if several else endpoint.name
                groups.append(_Group(label, own))
    return tuple(groups)


# ---------------------------------------------------------------- in words


def _sentences(group: _Group) -> tuple[str, ...]:
    """One for rates in requests/s and one for shares of each server's maximum, where there are any."""
    by_rate: dict[float, list[CellSummary]] = {}
    by_share: dict[float, list[CellSummary]] = {}
    for cell in group.cells:
        if cell.rate_share is not None:
            by_share.setdefault(cell.rate_share, []).append(cell)
        elif cell.rate_per_second is not None:
            by_rate.setdefault(cell.rate_per_second, []).append(cell)
    said = []
    for levels, words_of in ((by_rate, _rate_words), (by_share, _share_words)):
        level = _telling_level(levels)
        if level is not None:
            sentence = _tail_sentence(f"{words_of(level)} on {group.label}", levels[level])
            said.append(sentence + _overload(levels, level, words_of))
    return tuple(said)


def _telling_level(levels: Mapping[float, Sequence[CellSummary]]) -> float | None:
    """The highest load that every server with figures served in full; else the lowest with any figures."""
    shown = {level: _with_latency(cells) for level, cells in sorted(levels.items())}
    most = max((len(cells) for cells in shown.values()), default=0)
    if most == 0:
        return None
    whole = [level for level, cells in shown.items() if len(cells) == most]
    met = [level for level in whole if not any(map(_is_behind, shown[level]))]
    return max(met) if met else min(whole)


def _tail_sentence(load: str, cells: Sequence[CellSummary]) -> str:
    """The slowest first, as report readers quote it."""
    shown = sorted(_with_latency(cells), key=lambda cell: -_p99(cell))
    first, *others = shown
    text = f"At {load} one request in 100 to {_who(first)} took longer than {milliseconds(_p99(first))} ms"
    if others:
        text += "; " + ", ".join(f"{_who(cell)}: {milliseconds(_p99(cell))} ms" for cell in others)
    refused = [cell.server for cell in cells if not cell.valid]
    return text + (f"; {listed(refused)}: refused." if refused else ".")


def _overload(
    levels: Mapping[float, Sequence[CellSummary]], told: float, words_of: Callable[[float], str]
) -> str:
    """The next load that was too much for some, in a sentence to follow."""
    for level in sorted(level for level in levels if level > told):
        behind = [cell.server for cell in _with_latency(levels[level]) if _is_behind(cell)]
        if behind:
            return f" At {words_of(level)} {listed(behind)} did not keep up."
    return ""


def _who(cell: CellSummary) -> str:
    said = []
    if cell.rate_share is not None:
        said.append(f"{rate(cell.rate_per_second)} requests/s")
    if _is_behind(cell):
        said.append(f"which answered only {rate(_achieved(cell))} requests/s")
    return f"{cell.server} ({', '.join(said)})" if said else cell.server


def _rate_words(level: float) -> str:
    return f"{rate(level)} requests/s"


def _share_words(level: float) -> str:
    return f"{level * 100:g} % of its own maximum"


def _with_latency(cells: Sequence[CellSummary]) -> list[CellSummary]:
    return [cell for cell in cells if cell.valid and cell.latency_seconds is not None]


def _is_behind(cell: CellSummary) -> bool:
    return any(reason.code == BEHIND for reason in cell.reasons)


def _p99(cell: CellSummary) -> float:
    return 0.0 if cell.latency_seconds is None else cell.latency_seconds.p99


def _achieved(cell: CellSummary) -> float | None:
    return None if cell.open_loop is None else cell.open_loop.achieved_rate_per_second


# ---------------------------------------------------------------- table and figure


def _table(group: _Group) -> Table:
    columns = (
        *words("Server"),
        *numbers("Offered, requests/s", "Achieved", "p50, ms", "p99", "p99.9", "Max"),
        *numbers("Service p99, ms", "Send lag p99, ms", "Backlog dropped"),
    )
    return Table(
        f"Latency at stated rates on {group.label}", columns, tuple(_row(cell) for cell in group.cells)
    )


def _row(cell: CellSummary) -> Row:
    latency, found = cell.latency_seconds, cell.open_loop
    values = (None,) * 4 if latency is None else (latency.p50, latency.p99, latency.p99_9, latency.max)
    return Row(
        (named(cell), _offered(cell), rate(_achieved(cell)), *map(milliseconds, values), *_parts(found)),
        tone(cell),
    )


def _offered(cell: CellSummary) -> str:
    if cell.rate_share is None:
        return rate(cell.rate_per_second)
    return f"{rate(cell.rate_per_second)} ({cell.rate_share * 100:g} %)"


def _parts(found: OpenLoop | None) -> tuple[str, str, str]:
    if found is None:
        return MISSING, MISSING, MISSING
    service, lag = found.service_latency_seconds, found.send_lag_seconds
    return (
        milliseconds(service.p99 if service else None),
        milliseconds(lag.p99 if lag else None),
        f"{found.backlog_dropped:,}",
    )


def _figure(groups: Sequence[_Group], plan: Plan) -> Figure:
    styles = style_of([server.name for server in plan.servers])
    drawn = [(group, own) for group in groups if (own := _by_server(group))]
    shown = {server for _, own in drawn for server in own}
    return Figure(
        "latency-at-rates",
        "p99 against the offered rate",
        "Both axes are logarithmic; below, the share of the offered requests that was answered. "
        "Less latency is better. Refused cells are in the table only.",
        tuple(
            line_key(style.line_class, name, style.shape, style.mark_class)
            for name, style in styles.items()
            if name in shown
        ),
        tuple(_panel(group, own, styles) for group, own in drawn),
        tuple(_table(group) for group in groups),
    )


def _by_server(group: _Group) -> dict[str, list[tuple[float, float, float]]]:
    """(offered, p99 in ms, achieved share) of each valid cell, by rising rate."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for cell in _with_latency(group.cells):
        offered, achieved = cell.rate_per_second, _achieved(cell)
        if offered is not None and achieved is not None and _p99(cell) > 0:
            found.setdefault(cell.server, []).append((offered, _p99(cell) * 1e3, achieved / offered))
    return {server: sorted(points) for server, points in found.items()}


def _panel(
    group: _Group, own: Mapping[str, Sequence[tuple[float, float, float]]], styles: Mapping[str, Style]
) -> Markup:
    points = [point for found in own.values() for point in found]
    x_ticks = _few(log_ticks(min(point[0] for point in points), max(point[0] for point in points)))
    y_ticks = _few(log_ticks(min(point[1] for point in points), max(point[1] for point in points)))
    share_ticks = nice_ticks(max(1.0, *(point[2] for point in points)), 2)
    labelled = tuple((tick, f"{tick:,g}") for tick in x_ticks)
    # Room for the half of the last label that stands beyond its tick.
    right = x_ticks[-1] * (x_ticks[-1] / x_ticks[0]) ** 0.06
    bare = Axis("", labelled, x_ticks[0], right, is_log=True)
    titled = Axis("requests/s offered", labelled, x_ticks[0], right, is_log=True)
    latency = Axis("p99, ms", tuple((t, f"{t:,g}") for t in y_ticks), y_ticks[0], y_ticks[-1], is_log=True)
    answered = Axis("answered", tuple((t, f"{t * 100:.0f} %") for t in share_ticks), 0.0, share_ticks[-1])
    heard = "; ".join(
        f"{server} " + ", ".join(f"{p99:.3g} ms at {offered:,.0f}" for offered, p99, _ in found)
        for server, found in own.items()
    )

    def series(column: int) -> tuple[Series, ...]:
        return tuple(
            Series(
                server,
                tuple((point[0], point[column]) for point in found),
                styles[server].line_class,
                styles[server].mark_class,
                styles[server].shape,
            )
            for server, found in own.items()
        )

    return line_panel(
        f"rates-{slug(group.label)}",
        group.label,
        f"p99 latency against offered requests a second on {group.label}. {heard}.",
        [Plot("", bare, latency, series(1), 140.0), Plot("", titled, answered, series(2), 50.0)],
    )


def _few(ticks: Sequence[float]) -> tuple[float, ...]:
    """Powers of ten and the ends where all would crowd the axis."""
    if len(ticks) <= _MOST_TICKS:
        return tuple(ticks)
    middle = [tick for tick in ticks[1:-1] if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    return (ticks[0], *middle, ticks[-1])
