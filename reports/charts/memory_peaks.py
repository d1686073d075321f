"""Peak memory of each cell."""

from __future__ import annotations

from bench.results.figures import Bytes
from bench.results.summary import CellSummary
from reports.charts.panels import DotRow, Figure, Mark, dot_panel, linear_axis, mark_key, slug, spoken
from reports.tables.table import Table, TableRow, named, numbers, tone, words
from reports.words.memory import MemoryKind, amounts, by_memory, kind_of
from reports.words.numbers import megabytes
from reports.words.verdicts import Labelled


def memory_peaks_figure(contests: Labelled) -> Figure:
    cells = [cell for _, contest in contests for cell in contest.cells]
    highest = max((cell.rss_bytes.peak or 0 for cell in cells), default=0) / 1e6
    axis = linear_axis("MB", highest, ",.0f")
    kind = kind_of(contests)
    panels, tables = [], []
    for label, contest in contests:
        cells_here = by_memory(contest.cells, kind)
        rows = [_memory_row(cell, kind) for cell in cells_here]
        panels.append(
            dot_panel(
                f"memory-{slug(label)}",
                label,
                f"Peak memory on {label} in MB. " + spoken(rows),
                axis,
                rows,
            )
        )
        tables.append(
            Table(
                f"Peaks on {label}, MB",
                (*words("Server"), *numbers("RSS idle", "RSS peak", "PSS peak")),
                tuple(
                    TableRow(
                        (
                            cell.server,
                            megabytes(cell.rss_bytes.idle),
                            megabytes(cell.rss_bytes.peak),
                            megabytes(_peak(cell.pss_bytes)),
                        ),
                        tone(cell),
                    )
                    for cell in cells_here
                ),
            )
        )
    keys = [mark_key("circle", "mark s0", "RSS peak"), mark_key("bar", "mark s4", "RSS idle")]
    if any(_peak(cell.pss_bytes) is not None for cell in cells):
        keys.insert(1, mark_key("diamond", "mark s1", "PSS peak"))
    return Figure(
        "memory-peaks",
        "Peak memory",
        f"All of a server’s processes, summed. The figures are of {kind}, and so is the order, by the median "
        "under load. The axes begin at 0 and are the same. Less is better.",
        tuple(keys),
        tuple(panels),
        tuple(tables),
    )


def _memory_row(cell: CellSummary, kind: MemoryKind) -> DotRow:
    marks = []
    if cell.rss_bytes.idle is not None:
        marks.append(Mark(cell.rss_bytes.idle / 1e6, "bar", "mark s4", 3.5))
    pss = _peak(cell.pss_bytes)
    if pss is not None:
        marks.append(Mark(pss / 1e6, "diamond", "mark s1", 4.0))
    if cell.rss_bytes.peak is not None:
        marks.append(Mark(cell.rss_bytes.peak / 1e6, "circle", "mark s0", 4.0))
    shown = megabytes(_peak(amounts(cell, kind)))
    return DotRow(named(cell), shown, tuple(marks), None, is_refused=not cell.valid)


def _peak(amounts: Bytes | None) -> int | None:
    return None if amounts is None else amounts.peak
