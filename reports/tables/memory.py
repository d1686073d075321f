"""Memory, one row per cell, the smallest first."""

from __future__ import annotations

from bench.plan.plan import Environment
from bench.results.figures import Bytes
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.cautions import server_system
from reports.words.memory import amounts, by_memory, growth_text, kind_of, other_than
from reports.words.numbers import MISSING, megabytes
from reports.words.verdicts import Labelled


def memory_table(contests: Labelled, environment: Environment) -> Table:
    """Ranked by PSS where there is one, with RSS beside it; else by RSS."""
    absent = "not available on macOS" if server_system(environment) == "Darwin" else "not available"
    kind = kind_of(contests)
    other = other_than(kind)
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        for cell in by_memory(contest.cells, kind):
            ranked = amounts(cell, kind)
            shown = (
                tuple(megabytes(one) for one in (ranked.idle, ranked.median, ranked.peak, ranked.after))
                if ranked
                else (MISSING,) * 4
            )
            beside = (_loaded(amounts(cell, other), absent), _loaded(cell.uss_bytes, absent))
            rows.append(TableRow((named(cell), *shown, *beside, growth_text(cell.rss_growth)), tone(cell)))
    phases = (f"{kind} {phase}" for phase in ("idle", "median", "peak", "after"))
    columns = (
        *words("Server"),
        *numbers(*phases, f"{other} median", "USS median", "Growth per minute"),
    )
    notes = (
        "Medians of the window and of the rests before and after the load; the growth is that of RSS in the "
        "window, with its 95 % interval."
    )
    return Table("Memory, MB", columns, tuple(rows), notes)


def _loaded(found: Bytes | None, absent: str) -> str:
    return absent if found is None else megabytes(found.median)
