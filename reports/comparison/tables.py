"""B over A as tables: ratios, the figures themselves, cores, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.results.comparison import CellComparison, Comparison
from bench.results.likeness import Difference
from bench.results.pairs import valid_runs
from bench.results.ratio import METRICS, Metric, Ratio, cores_used
from bench.results.run import RunResult
from bench.results.summary import CellSummary
from reports.comparison.changes import DifferenceGroup, figure_of, ratio_words, title_of
from reports.tables.table import Table, TableRow, group, numbers, words
from reports.words.numbers import MISSING, listed


def ratio_table(groups: Sequence[DifferenceGroup]) -> Table:
    rows: list[TableRow] = []
    for one in groups:
        rows.append(group(one.label))
        rows += [_ratio_row(cell) for cell in one.cells]
    columns = (*words("Server"), *numbers(*(_ratio_title(metric) for metric in METRICS)))
    note = (
        "[low, high] is the 95 % interval; ~ is within noise, ? not beyond chance. More is better of "
        "requests/s, less of the others. A core is one that the server used in full; what it might have used "
        "is below."
    )
    return Table("B over A", columns, tuple(rows), note, style="ratios")


def median_table(metric: Metric, groups: Sequence[DifferenceGroup]) -> Table:
    """The figures themselves, in A and in B."""
    index = METRICS.index(metric)
    rows: list[TableRow] = []
    for one in groups:
        rows.append(group(one.label))
        for cell in one.cells:
            if not cell.is_valid:
                rows.append(
                    TableRow((f"{cell.cell.server} (invalid)", MISSING, MISSING, MISSING, MISSING), "refused")
                )
                continue
            ratio = cell.ratios[index]
            figures = (figure_of(metric, ratio.a), figure_of(metric, ratio.b), ratio_words(ratio))
            rows.append(TableRow((cell.cell.server, *figures, f"{ratio.change.value}{_of_runs(ratio)}")))
    columns = (*words("Server"), *numbers("A", "B", "B over A"), *words("B is"))
    return Table(metric_title(metric), columns, tuple(rows))


def cores_table(comparison: Comparison, groups: Sequence[DifferenceGroup]) -> Table:
    rows: list[TableRow] = []
    for one in groups:
        rows.append(group(one.label))
        rows += [
            TableRow(
                (
                    cell.cell.server if cell.is_valid else f"{cell.cell.server} (invalid)",
                    *_cores(cell.a, comparison.a.runs),
                    *_cores(cell.b, comparison.b.runs),
                ),
                "" if cell.is_valid else "refused",
            )
            for cell in one.cells
        ]
    columns = (*words("Server"), *numbers("A, used", "A, allowed", "B, used", "B, allowed"))
    return Table("Cores of the server", columns, tuple(rows))


def difference_table(caption: str, none: str, found: Sequence[Difference]) -> Table:
    rows = tuple(TableRow((item.what, item.a, item.b)) for item in found)
    return Table(caption, words("", "A", "B"), rows, none if not rows else "", style="differences")


def metric_title(metric: Metric) -> str:
    name = title_of(metric)
    return name if metric.name.startswith(("p99", "rss", "cpu")) else name[0].upper() + name[1:]


def _ratio_title(metric: Metric) -> str:
    return metric_title(metric).partition(",")[0]


def _ratio_row(cell: CellComparison) -> TableRow:
    if not cell.is_valid:
        blank = (MISSING,) * (len(METRICS) - 1)
        return TableRow((f"{cell.cell.server} (invalid)", "invalid", *blank), "refused")
    return TableRow((cell.cell.server, *(ratio_words(ratio) for ratio in cell.ratios)))


def _of_runs(ratio: Ratio) -> str:
    return f" ({ratio.runs_a} and {ratio.runs_b} runs)" if ratio.median is not None else ""


def _cores(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[str, str]:
    made = valid_runs(cell, runs)
    used = [share for run in made if (share := cores_used(run)) is not None]
    allowed = sorted({run.server_cpu.cores for run in made if run.server_cpu is not None})
    shown = f"{median(used):.2f}" if used else MISSING
    return shown, listed([str(cores) for cores in allowed]) if allowed else MISSING
