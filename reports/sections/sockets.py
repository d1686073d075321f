"""WebSockets: what a request is there, and what an open one holds of memory."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.pairs import valid_runs
from bench.results.reached import SocketMemory, median_per_1000
from bench.results.run import RunResult
from bench.results.summary import CellSummary
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.table import Table, TableRow, named, numbers, tone, words
from reports.words.numbers import MISSING, megabytes
from reports.words.served import served_words

FEW_CONNECTIONS = 500


def _parts(results: Results) -> tuple[Part, ...]:
    cells = [cell for cell in results.summary.closed_loop_cells if cell.protocol == "websocket"]
    if not cells:
        return ()
    names = ", ".join(dict.fromkeys(cell.endpoint for cell in cells))
    return (
        Paragraph(
            f"A request of {names} is a round trip: one message that goes out and comes back. Requests/s are "
            "round trips per second, latency and CPU per request are those of one. permessage-deflate is "
            "off: the client offers no extension."
        ),
        _table(cells, results.runs),
    )


def _table(cells: Sequence[CellSummary], runs: Sequence[RunResult]) -> Table:
    reached = [cell.served for cell in cells]
    rows = []
    for cell in cells:
        seen = [run.sockets for run in valid_runs(cell, runs) if run.sockets is not None]
        words_of = served_words(cell.served, reached)
        rows.append(TableRow((named(cell), cell.endpoint, words_of or MISSING, *_figures(seen)), tone(cell)))
    fewest = min((run.sockets.connections for run in runs if run.sockets is not None), default=0)
    note = (
        "Half the warm-up passes with all connections open and not a message sent: what the server's whole "
        "process tree holds then, less what it held before the first connection, over their number."
    )
    if 0 < fewest < FEW_CONNECTIONS:
        note += (
            f" {fewest} connections are few for this figure: the server's own memory moves beside them. A "
            "profile of yours with 1,000 or more tells it."
        )
    columns = (*words("Server", "Endpoint", "Reached"), *numbers("Open sockets", "MB per 1,000 sockets"))
    return Table("Memory of open sockets", columns, tuple(rows), note)


def _figures(seen: Sequence[SocketMemory]) -> tuple[str, str]:
    found = median_per_1000(seen)
    if found is None:
        return MISSING, "not sampled"
    kind, size = found
    return f"{seen[0].connections:,}", f"{megabytes(size)} ({kind})"


SECTION = SectionSpec("sockets", "WebSockets", 82, _parts)
