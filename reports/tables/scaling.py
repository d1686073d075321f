"""Every point of every scaling curve of one endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.scaling import ScalingCurve, ScalingPoint
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.balancers import name_of
from reports.words.numbers import MISSING, megabytes, microseconds, rate, times
from reports.words.scaling import efficiency_text, imbalance_text


def scaling_table(endpoint: str, curves: Sequence[ScalingCurve]) -> Table:
    """Those of one endpoint."""
    rows: list[TableRow] = []
    for curve in curves:
        rows.append(group(name_of(curve.first)))
        rows += [_row(point) for point in curve.points]
    columns = (
        *words("Workers"),
        *numbers(
            "Requests/s",
            "Times one worker",
            "Efficiency",
            "RSS per worker",
            "PSS per worker",
            "PSS that each more adds",
            "Largest share over mean",
            "CPU per request, µs",
        ),
    )
    note = (
        "Efficiency is throughput over workers times that of one worker, with its 95 % interval; 100 % is "
        "linear. Memory is the median under load, in MB, of the server’s whole process tree over its "
        "workers: a parent process is in it, and RSS counts shared pages once for each process. The largest "
        "share is that of the requests which the busiest worker answered: 1 is even."
    )
    return Table(f"Scaling on {endpoint}", columns, tuple(rows), note)


def _row(point: ScalingPoint) -> TableRow:
    cell = point.cell
    name = f"{cell.workers}" if cell.valid else f"{cell.workers} (refused)"
    if not cell.valid:
        return TableRow((name, *((MISSING,) * 8)), tone(cell))
    found, memory = point.efficiency, point.memory
    return TableRow(
        (
            name,
            rate(cell.requests_per_second.median),
            MISSING if found is None else times(found.mean * cell.workers),
            efficiency_text(found),
            megabytes(memory.rss_bytes),
            megabytes(memory.pss_bytes),
            megabytes(memory.added_pss_bytes),
            imbalance_text(point.imbalance),
            microseconds(cell.cpu_seconds_per_request),
        )
    )


def balancer_table(cells: Sequence[CellSummary]) -> Table | None:
    """What the balancer took in each cell behind one; None without any."""
    rows = tuple(_balancer_row(cell) for cell in cells if cell.balancer)
    if not rows:
        return None
    columns = (
        *words("Server"),
        *numbers("Workers", "Balancer, cores"),
        *words("On a core of"),
        *numbers(
            "Balancer’s CPU per request, µs", "Server’s CPU per request, µs", "Balancer RSS, MB", "PSS, MB"
        ),
    )
    return Table("What the balancer took", columns, rows, "Its CPU and memory are in no figure of a server.")


def _balancer_row(cell: CellSummary) -> TableRow:
    name, used = f"{named(cell)} on {cell.endpoint}", cell.balancer_figures
    if used is None or not cell.valid:
        return TableRow((name, f"{cell.workers}", *((MISSING,) * 6)), tone(cell))
    return TableRow(
        (
            name,
            f"{cell.workers}",
            MISSING if used.core_share is None else f"{used.core_share:.2f}",
            "its own" if used.is_apart else "the server’s",
            microseconds(used.cpu_seconds_per_request),
            microseconds(cell.cpu_seconds_per_request),
            megabytes(used.rss_bytes),
            megabytes(used.pss_bytes),
        )
    )
