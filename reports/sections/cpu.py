"""What a request costs the server in CPU time: every run, and the cores that a rate takes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.pairs import runs_of
from bench.results.run import RunResult
from bench.results.summary import CellSummary
from bench.verdicts.contest import Contest
from reports.charts.panels import (
    DotRow,
    Figure,
    Mark,
    dot_panel,
    linear_axis,
    mark_key,
    slug,
    spoken,
)
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.table import Table, TableRow, named, numbers, tone, words
from reports.words.numbers import MISSING, microseconds
from reports.words.verdicts import Labelled


def _parts(results: Results) -> tuple[Part, ...]:
    known = [(label, contest) for label, contest in results.contests if _highest(contest, results.runs)]
    if not known:
        return ()
    return (
        Paragraph(
            "The CPU time of the server’s whole process tree in the window, divided by the requests that it "
            "answered in it. 1,000 µs per request are one core for 1,000 requests/s. A server that is faster "
            "because it uses more cores is not cheaper here."
        ),
        _figure(known, results.runs),
    )


def _figure(contests: Labelled, runs: Sequence[RunResult]) -> Figure:
    panels = []
    for label, contest in contests:
        rows = [_row(cell, runs) for cell in contest.cells]
        axis = linear_axis("µs of CPU per request", _highest(contest, runs), ",g")
        heard = f"CPU time per request on {label}. {spoken(rows)}"
        panels.append(dot_panel(f"cpu-{slug(label)}", label, heard, axis, rows))
    return Figure(
        "cpu-per-request",
        "Every run, with the median",
        "The axes begin at 0 and differ between panels. Less is better. Void runs are left out.",
        (mark_key("diamond", "mark ink", "median"), mark_key("circle", "mark open ink", "one run")),
        tuple(panels),
        tuple(_table(label, contest, runs) for label, contest in contests),
    )


def _row(cell: CellSummary, runs: Sequence[RunResult]) -> DotRow:
    if not cell.valid:
        return DotRow(cell.server, "refused", (), is_refused=True)
    middle = cell.cpu_seconds_per_request
    if middle is None:
        return DotRow(cell.server, "not known", ())
    marks = [Mark(value, "circle", "mark open ink", 3.5) for value in _microseconds(cell, runs)]
    return DotRow(
        cell.server, f"{microseconds(middle)} µs", (*marks, Mark(middle * 1e6, "diamond", "mark ink"))
    )


def _table(label: str, contest: Contest, runs: Sequence[RunResult]) -> Table:
    columns = (
        *words("Server"),
        *numbers("Median, µs", "Cores for 1,000 requests/s"),
        *words("Every valid run, µs"),
    )
    rows = tuple(
        TableRow((named(cell), *_figures(cell), _every(cell, runs)), tone(cell)) for cell in contest.cells
    )
    return Table(f"CPU time per request on {label}", columns, rows)


def _figures(cell: CellSummary) -> tuple[str, str]:
    middle = cell.cpu_seconds_per_request
    if middle is None or not cell.valid:
        return MISSING, MISSING
    return microseconds(middle), f"{middle * 1e3:.3f}"


def _every(cell: CellSummary, runs: Sequence[RunResult]) -> str:
    return "; ".join(f"{value:,.0f}" for value in _microseconds(cell, runs)) or MISSING


def _highest(contest: Contest, runs: Sequence[RunResult]) -> float:
    """The highest figure of a valid run in µs; 0 where it is known of none."""
    return max((value for cell in contest.valid for value in _microseconds(cell, runs)), default=0.0)


def _microseconds(cell: CellSummary, runs: Sequence[RunResult]) -> list[float]:
    """The figure of each valid run that has one, in the order of runs."""
    made = [run.cpu_seconds_per_request for run in runs_of(cell, runs) if run.valid]
    return [seconds * 1e6 for seconds in made if seconds is not None]


SECTION = SectionSpec("cpu", "CPU per request", 55, _parts)
