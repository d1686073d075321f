"""Memory in words: by which figure servers are ranked, and what grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from bench.results.figures import Bytes
from bench.results.growth import Growth
from bench.results.summary import CellSummary
from reports.words.numbers import MISSING, listed, megabytes
from reports.words.verdicts import Labelled

MemoryKind = Literal["PSS", "RSS"]


def memory_kind(cells: Sequence[CellSummary]) -> MemoryKind:
    """What these cells are ranked by: PSS where all have it.

    RSS counts a page that several processes share once for each.
    """
    valid = [cell for cell in cells if cell.valid] or cells
    return "PSS" if valid and all(_median(cell.pss_bytes) is not None for cell in valid) else "RSS"


def kind_of(contests: Labelled) -> MemoryKind:
    """Of a page, so that its columns mean the same."""
    return memory_kind([cell for _, contest in contests for cell in contest.cells])


def other_than(kind: MemoryKind) -> MemoryKind:
    return "RSS" if kind == "PSS" else "PSS"


def amounts(cell: CellSummary, kind: MemoryKind) -> Bytes | None:
    return cell.pss_bytes if kind == "PSS" else cell.rss_bytes


def by_memory(cells: Sequence[CellSummary], kind: MemoryKind) -> tuple[CellSummary, ...]:
    """The smallest under load first; cells without a valid run, or without the figure, last."""

    def key(cell: CellSummary) -> tuple[bool, float]:
        median = _median(amounts(cell, kind))
        return not cell.valid or median is None, median or 0.0

    return tuple(sorted(cells, key=key))


def memory_claims(contests: Labelled) -> Iterator[str]:
    """One sentence a contest on who takes least under load, and one on each cell that grows."""
    for label, contest in contests:
        kind = memory_kind(contest.cells)
        known = [
            f"{cell.server} {megabytes(_median(amounts(cell, kind)))}"
            for cell in by_memory(contest.cells, kind)
            if cell.valid and _median(amounts(cell, kind)) is not None
        ]
        if len(known) > 1:
            yield f"Under load on {label}, least first, in MB of {kind}: {listed(known)}."
    for label, contest in contests:
        for cell in contest.cells:
            growth = cell.rss_growth
            if cell.valid and growth is not None and growth.matters:
                yield (
                    f"On {label} the memory of {cell.server} grows under load, by {growth_text(growth)} "
                    "MB of RSS per minute (95 % interval): a longer run takes more than is shown."
                )


def growth_text(growth: Growth | None) -> str:
    """MB per minute with the interval."""
    if growth is None:
        return MISSING
    slope = _per_minute(growth.bytes_per_second)
    if growth.low is None or growth.high is None:
        return slope
    return f"{slope} [{_per_minute(growth.low)}, {_per_minute(growth.high)}]"


def _per_minute(bytes_per_second: float) -> str:
    value = round(bytes_per_second * 60 / 1e6, 1)
    return f"{value or 0.0:+.1f}" if value else "0.0"


def _median(found: Bytes | None) -> int | None:
    return None if found is None else found.median
