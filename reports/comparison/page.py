"""Two results' folders -> one HTML page beside the second, with what it says as frozen plain values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.results.comparison import (
    METRICS,
    CellComparison,
    Change,
    Comparison,
    Gate,
    Measured,
    Metric,
    Ratio,
    cores_used,
    valid_runs,
)
from bench.results.likeness import Difference
from bench.results.result import CellSummary, RunResult
from bench.results.store import Store
from reports.charts.panels import DotRow, Figure, Mark, dot_panel, line_key, mark_key, slug, spoken
from reports.charts.speed import ratio_axis
from reports.comparison.changes import (
    INTERVALS,
    NO_INTERVAL,
    Group,
    answer,
    figure_of,
    flip_sentences,
    gate_sentences,
    groups_of,
    headline,
    ratio_words,
    title_of,
    worse_sentences,
)
from reports.comparison.fingerprints import (
    benchmark_facts,
    host_differences,
    python_sentence,
    software_differences,
)
from reports.render import rendered
from reports.tables.table import Row, Table, group, numbers, words
from reports.words.numbers import MISSING, listed
from reports.words.sentences import Answer


@dataclass(frozen=True)
class ComparisonPage:
    """What the template prints."""

    title: str
    eyebrow: str
    headline: str
    scope: str
    pythons: str
    are_pythons_alike: bool
    answers: tuple[Answer, ...]
    flips: tuple[str, ...]
    worse: tuple[str, ...]
    gate: tuple[str, ...]
    notes: tuple[str, ...]
    ratios: Table
    cores: Table
    figures: tuple[Figure, ...]
    benchmarks: Table
    hosts: Table
    software: Table
    made_with: str


def read_measured(store: Store) -> Measured:
    """Raises ResultError for what is missing, damaged or of another version."""
    return Measured(store.name, store.read_plan(), store.read_environment(), store.read_runs())


def open_results(root: Path, name: str) -> Store:
    """Results by their name below ``root``, else by the path of their folder.

    Raises UsageError if there are none by that name, ResultError if the folder holds none.
    """
    is_plain = re.fullmatch(r"[^./][^/]*", name) is not None
    if is_plain and (root / name / "plan.json").is_file():
        return Store.open(root, name)
    if Path(name).is_dir():
        return Store.at(Path(name).resolve())
    return Store.open(root, name)


def write_comparison(store_b: Store, comparison: Comparison, gate: Gate | None) -> Path:
    """Write ``compare-<A's name>.html`` beside B's results, whole or not at all; returns its path."""
    page = page_of(comparison, gate)
    html = rendered("compare.html.j2", page)
    return store_b.write_file(f"compare-{comparison.a.name}.html", html.encode())


def page_of(comparison: Comparison, gate: Gate | None = None) -> ComparisonPage:
    groups = groups_of(comparison)
    alike, pythons = python_sentence(comparison)
    a, b = comparison.a.plan, comparison.b.plan
    name_a, name_b = comparison.a.name, comparison.b.name
    return ComparisonPage(
        title=f"asgibench: {name_b} against {name_a}",
        eyebrow=f"asgibench comparison · A: {name_a} ({a.environment}) · B: {name_b} ({b.environment})",
        headline=headline(comparison),
        scope="Every ratio is B’s figure over A’s, of the medians of the valid runs. A difference is claimed "
        "only where the whole 95 % interval lies on one side of 1.",
        pythons=pythons,
        are_pythons_alike=alike,
        answers=tuple(answer(group) for group in groups),
        flips=flip_sentences(comparison),
        worse=() if gate is None else worse_sentences(gate),
        gate=() if gate is None else gate_sentences(gate),
        notes=notes(comparison),
        ratios=ratio_table(groups),
        cores=cores_table(comparison, groups),
        figures=tuple(ratio_figure(metric, groups) for metric in METRICS),
        benchmarks=_difference_table("The two benchmarks", "", benchmark_facts(comparison)),
        hosts=_difference_table("Hosts", "The fingerprints are the same.", host_differences(comparison)),
        software=_difference_table(
            "Software", "All versions are the same.", software_differences(comparison)
        ),
        made_with=f"asgibench; A with {a.asgibench_version}, {a.created_at}; "
        f"B with {b.asgibench_version}, {b.created_at}",
    )


def notes(comparison: Comparison) -> tuple[str, ...]:
    """What bounds these ratios, each a clause without a full stop."""
    changes = {ratio.change for cell in comparison.valid_cells for ratio in cell.ratios}
    told = []
    if Change.NO_INTERVAL in changes:
        told.append(NO_INTERVAL)
    if changes - {Change.NO_INTERVAL, Change.NOT_MEASURED}:
        told.append(INTERVALS)
    blocks = [one.plan.profile.blocks for one in (comparison.a, comparison.b)]
    if blocks[0] != blocks[1]:
        told.append(
            f"A was to have {blocks[0]} runs of each cell and B {blocks[1]}; the intervals allow for it"
        )
    if any(not cell.is_valid for cell in comparison.cells):
        told.append("Nothing is concluded from invalid cells; invoke report NAME says what to do about each")
    if any(cell.cell.rate_share is not None for cell in comparison.cells):
        told.append(
            "At a share of its own maximum, a server is asked for another rate in B than in A: its "
            "requests/s and latency there are those of unlike loads"
        )
    return tuple(told)


def ratio_table(groups: Sequence[Group]) -> Table:
    rows: list[Row] = []
    for one in groups:
        rows.append(group(one.label))
        rows += [_ratio_row(cell) for cell in one.cells]
    columns = (*words("Server"), *numbers(*(_ratio_title(metric) for metric in METRICS)))
    note = (
        "[low, high] is the 95 % interval; ~ is within noise. More is better of requests/s, less of the "
        "others. A core is one that the server used in full; what it might have used is below."
    )
    return Table("B over A", columns, tuple(rows), note)


def median_table(metric: Metric, groups: Sequence[Group]) -> Table:
    """The figures themselves, in A and in B."""
    index = METRICS.index(metric)
    rows: list[Row] = []
    for one in groups:
        rows.append(group(one.label))
        for cell in one.cells:
            if not cell.is_valid:
                rows.append(
                    Row((f"{cell.cell.server} (invalid)", MISSING, MISSING, MISSING, MISSING), "refused")
                )
                continue
            ratio = cell.ratios[index]
            figures = (figure_of(metric, ratio.a), figure_of(metric, ratio.b), ratio_words(ratio))
            rows.append(Row((cell.cell.server, *figures, f"{ratio.change.value}{_of_runs(ratio)}")))
    columns = (*words("Server"), *numbers("A", "B", "B over A"), *words("B is"))
    return Table(_title(metric), columns, tuple(rows))


def cores_table(comparison: Comparison, groups: Sequence[Group]) -> Table:
    rows: list[Row] = []
    for one in groups:
        rows.append(group(one.label))
        rows += [
            Row(
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


def ratio_figure(metric: Metric, groups: Sequence[Group]) -> Figure:
    index = METRICS.index(metric)
    panels = []
    for one in groups:
        rows = [_dot_row(cell, index) for cell in one.cells]
        description = f"{_title(metric)} of B over A on {one.label}. {spoken(rows)}"
        panels.append(
            dot_panel(
                f"{slug(metric.name)}-{slug(one.label)}", one.label, description, ratio_axis(rows), rows
            )
        )
    better = "Right of 1, B is better." if metric.more_is_better else "Left of 1, B is better."
    keys = [mark_key("diamond", "mark ink", "B over A"), line_key("interval", "95 % interval")]
    if any(cell.is_valid and cell.ratios[index].low is None for one in groups for cell in one.cells):
        keys.append(mark_key("diamond", "mark open ink", "no interval"))
    return Figure(
        f"ratio-{slug(metric.name)}",
        _title(metric),
        f"B over A on a logarithmic axis. {better}",
        tuple(keys),
        tuple(panels),
        (median_table(metric, groups),),
    )


def _title(metric: Metric) -> str:
    name = title_of(metric)
    return name if metric.name.startswith(("p99", "rss", "cpu")) else name[0].upper() + name[1:]


def _ratio_title(metric: Metric) -> str:
    return _title(metric).partition(",")[0]


def _ratio_row(cell: CellComparison) -> Row:
    if not cell.is_valid:
        blank = (MISSING,) * (len(METRICS) - 1)
        return Row((f"{cell.cell.server} (invalid)", "invalid", *blank), "refused")
    return Row((cell.cell.server, *(ratio_words(ratio) for ratio in cell.ratios)))


def _dot_row(cell: CellComparison, index: int) -> DotRow:
    if not cell.is_valid:
        return DotRow(cell.cell.server, "invalid", (), is_refused=True)
    ratio = cell.ratios[index]
    if ratio.median is None:
        return DotRow(cell.cell.server, ratio.change.value, ())
    known = ratio.low is not None and ratio.high is not None
    marks = (Mark(ratio.median, "diamond", "mark ink" if known else "mark open ink"),)
    interval = (ratio.low, ratio.high) if ratio.low is not None and ratio.high is not None else None
    return DotRow(cell.cell.server, ratio_words(ratio), marks, interval)


def _of_runs(ratio: Ratio) -> str:
    return f" ({ratio.runs_a} and {ratio.runs_b} runs)" if ratio.median is not None else ""


def _cores(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[str, str]:
    made = valid_runs(cell, runs)
    used = [share for run in made if (share := cores_used(run)) is not None]
    allowed = sorted({run.server_cpu.cores for run in made if run.server_cpu is not None})
    shown = f"{median(used):.2f}" if used else MISSING
    return shown, listed([str(cores) for cores in allowed]) if allowed else MISSING


def _difference_table(caption: str, none: str, found: Sequence[Difference]) -> Table:
    rows = tuple(Row((item.what, item.a, item.b)) for item in found)
    return Table(caption, words("", "A", "B"), rows, none if not rows else "")
