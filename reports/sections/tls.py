"""What TLS costs each server: the same cell with it and without it, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bench.results.pairs import PairRatio, paired_ratio, runs_of, throughput
from bench.results.run import RunResult
from bench.results.summary import CellSummary
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.numbers import MISSING, microseconds, rate, times_beside_one


def _parts(results: Results) -> tuple[Part, ...]:
    over_tls = [cell for cell in results.summary.closed_loop_cells if cell.tls]
    if not over_tls:
        return ()
    return (
        Paragraph(
            "Connections are made in the warm-up and kept, so that this is what TLS costs per request and "
            "per record, not per handshake. Ratios are of the same server with TLS over without it, over the "
            "blocks that have both: requests/s below 1 and CPU above 1 are its price."
        ),
        _table(over_tls, results),
    )


def _table(cells: Sequence[CellSummary], results: Results) -> Table:
    plain = {cell.cell: cell for cell in results.summary.cells}
    rows: list[TableRow] = []
    for endpoint in dict.fromkeys(cell.endpoint for cell in cells):
        rows.append(group(endpoint))
        for cell in cells:
            if cell.endpoint == endpoint:
                other = plain.get(msgspec.structs.replace(cell.cell, tls=False))
                rows.append(_row(cell, other, results.runs))
    columns = (
        *words("Server"),
        *numbers("Requests/s with TLS", "Over without", "CPU with TLS, µs", "Over without"),
        *words("Agreed on"),
        *numbers("Sessions resumed"),
    )
    return Table("TLS", columns, tuple(rows), "In brackets: 95 % interval.")


def _row(cell: CellSummary, plain: CellSummary | None, runs: Sequence[RunResult]) -> TableRow:
    agreed, resumed = _agreed(cell, runs)
    if not cell.valid:
        return TableRow((named(cell), *(MISSING,) * 4, agreed, resumed), tone(cell))
    speed = cost = None
    if plain is not None and plain.valid:
        speed = paired_ratio(cell, plain, runs, throughput)
        cost = paired_ratio(cell, plain, runs, lambda run: run.cpu_seconds_per_request)
    return TableRow(
        (
            _named(cell, runs),
            rate(cell.requests_per_second.median),
            _shown(speed),
            microseconds(cell.cpu_seconds_per_request),
            _shown(cost),
            agreed,
            resumed,
        )
    )


def _named(cell: CellSummary, runs: Sequence[RunResult]) -> str:
    several = len({run.cell.workers for run in runs}) > 1
    details = [f"{cell.workers} workers"] if several else []
    if cell.protocol == "h2":
        details.append("HTTP/2")
    return ", ".join([named(cell), *details])


def _shown(ratio: PairRatio | None) -> str:
    if ratio is None or ratio.mean is None:
        return "no block with both"
    if ratio.low is None or ratio.high is None:
        return f"{times_beside_one(ratio.mean)} (no interval)"
    middle, low, high = map(times_beside_one, (ratio.mean, ratio.low, ratio.high))
    return f"{middle} [{low}, {high}]"


def _agreed(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[str, str]:
    """Version and cipher, and how many of how many connections resumed a session."""
    seen = [run.tls for run in runs_of(cell, runs) if run.tls is not None]
    if not seen:
        return "the client doesn’t tell", MISSING
    made = sum(count for one in seen for count in one.connections.values())
    names = dict.fromkeys(name for one in seen for name in _readable(one.connections))
    return ", ".join(names), f"{sum(one.resumed for one in seen)} of {made}"


def _readable(connections: dict[str, int]) -> Iterator[str]:
    yield from (name.replace("TLSv", "TLS ") for name in connections)


SECTION = SectionSpec("tls", "What TLS costs", 58, _parts, navigation="TLS")
