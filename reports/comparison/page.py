"""A comparison as a page."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.comparison import Comparison
from bench.results.gate import Gate
from bench.results.ratio import METRICS, Change
from reports.comparison.changes import (
    INTERVALS,
    NO_INTERVAL,
    SAME,
    DifferenceGroup,
    answer,
    flip_sentences,
    gate_sentences,
    groups_of,
    headline,
    is_same,
    worse_sentences,
)
from reports.comparison.figures import ratio_figure
from reports.comparison.fingerprints import (
    benchmark_facts,
    host_differences,
    python_sentence,
    software_differences,
)
from reports.comparison.speed import speed_sentence, speed_table
from reports.comparison.tables import cores_table, difference_table, ratio_table
from reports.page.page import Page
from reports.page.parts import Answers, Heading, Item, Items, Paragraph, Part, points
from reports.page.section import Section


def page_of(comparison: Comparison, gate: Gate | None = None) -> Page:
    groups = groups_of(comparison)
    a, b = comparison.a.plan, comparison.b.plan
    name_a, name_b = comparison.a.name, comparison.b.name
    figures = tuple(ratio_figure(metric, groups) for metric in METRICS)
    at_one_speed = speed_table(groups)
    tables = (
        ratio_table(groups),
        *(() if at_one_speed is None else (at_one_speed,)),
        Paragraph(speed_sentence(comparison)),
        cores_table(comparison, groups),
    )
    return Page(
        title=f"asgibench: {name_b} against {name_a}",
        eyebrow=f"asgibench comparison · A: {name_a} ({a.environment}) · B: {name_b} ({b.environment})",
        headline=headline(comparison),
        scope="Every ratio is B’s figure over A’s, of the medians of the valid runs. A difference is claimed "
        "only where the whole 95 % interval lies on one side of 1, and only if it stands among all figures.",
        sections=(
            Section("answer", "The answer", _answer(comparison, groups, gate), "Answer"),
            Section("ratios", "Ratios", tables, "Ratios"),
            Section("figures", "Figures", figures, "Figures"),
            Section("differences", "What differs", _differences(comparison), "What differs", is_long=True),
        ),
        made_with=f"asgibench; A with {a.asgibench_version}, {a.created_at}; "
        f"B with {b.asgibench_version}, {b.created_at}",
    )


def _answer(comparison: Comparison, groups: Sequence[DifferenceGroup], gate: Gate | None) -> tuple[Part, ...]:
    are_alike, pythons = python_sentence(comparison)
    bounds = notes(comparison)
    parts: list[Part] = [
        Paragraph(pythons, style="pythons" if are_alike else "pythons unlike"),
        *_gate(gate),
        Answers(tuple(answer(group) for group in groups)),
        Heading("Does the ranking hold?"),
        points(flip_sentences(comparison), style="flips"),
    ]
    if bounds:
        parts += [Heading("What bounds these ratios"), points([f"{note}." for note in bounds])]
    return tuple(parts)


def _gate(gate: Gate | None) -> tuple[Part, ...]:
    if gate is None:
        return ()
    worse = [Item(sentence, is_bad=True) for sentence in worse_sentences(gate)]
    others = [Item(sentence) for sentence in gate_sentences(gate)]
    if not worse and not others:
        return ()
    title = "The gate: failed" if worse else "The gate"
    return (Heading(title), Items((*worse, *others), style="gate"))


def _differences(comparison: Comparison) -> tuple[Part, ...]:
    return (
        difference_table("The two benchmarks", "", benchmark_facts(comparison)),
        difference_table("Hosts", "The fingerprints are the same.", host_differences(comparison)),
        difference_table("Software", "All versions are the same.", software_differences(comparison)),
    )


def notes(comparison: Comparison) -> tuple[str, ...]:
    """What bounds these ratios, each a clause without a full stop."""
    if is_same(comparison):
        return (SAME,)
    changes = {ratio.change for cell in comparison.valid_cells for ratio in cell.ratios}
    sentences = []
    if Change.NO_INTERVAL in changes:
        sentences.append(NO_INTERVAL)
    if changes - {Change.NO_INTERVAL, Change.NOT_MEASURED, Change.AS_OFFERED}:
        sentences.append(INTERVALS)
    blocks = [one.plan.profile.blocks for one in (comparison.a, comparison.b)]
    if blocks[0] != blocks[1]:
        sentences.append(
            f"A was to have {blocks[0]} runs of each cell and B {blocks[1]}; the intervals allow for it"
        )
    if any(not cell.is_valid for cell in comparison.cells):
        sentences.append(
            "Nothing is concluded from invalid cells; ./invoke report NAME says what to do about each"
        )
    if any(cell.cell.rate_share is not None for cell in comparison.cells):
        sentences.append(
            "At a share of its own maximum, a server is asked for another rate in B than in A: its "
            "requests/s and latency there are those of unlike loads"
        )
    return tuple(sentences)
