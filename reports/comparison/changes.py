"""B against A in words: a ratio, a cell, an endpoint, a flip, the gate. For page and terminal alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bench.results.cell import Cell
from bench.results.comparison import CellComparison, Comparison, Flip
from bench.results.gate import Gate, Unsettled
from bench.results.pairs import PairRatio
from bench.results.ratio import Change, Metric, Ratio
from bench.results.summary import CellSummary
from reports.words.numbers import (
    MISSING,
    counted,
    listed,
    megabytes,
    microseconds,
    milliseconds,
    rate,
    times,
    times_beside_one,
)
from reports.words.sentences import EndpointAnswer, refused_because

NO_INTERVAL = (
    "No interval is to be had where A or B has a single valid run of a cell: such a ratio may be noise. "
    "--profile review repeats every cell"
)
INTERVALS = (
    "Intervals are 95 %, over the repeats on these hosts; another day or another host may lie outside. "
    "Of many such figures about one in twenty lies beyond 1 by chance, so a difference is claimed only where "
    "it stands among all of them, at 5 % for them together (Holm’s method)"
)
SAME = (
    "A and B are the same runs: this is one benchmark compared with itself, so every ratio is 1 and says "
    "nothing. Name two benchmarks of one plan"
)
TITLES = {
    "requests_per_second": "requests/s",
    "p99_seconds": "p99, ms",
    "rss_bytes": "RSS, MB",
    "cpu_seconds_per_request": "CPU a request, µs",
    "requests_per_second_per_core": "requests/s a core",
}
_SHOWN = {
    "requests_per_second": rate,
    "p99_seconds": milliseconds,
    "rss_bytes": megabytes,
    "cpu_seconds_per_request": microseconds,
    "requests_per_second_per_core": rate,
}
_SIGNS = {Change.WITHIN_NOISE: "~", Change.BY_CHANCE: "?"}


@dataclass(frozen=True)
class DifferenceGroup:
    """The cells of one endpoint, number of workers and load level, in the plan's order of servers."""

    label: str
    cells: tuple[CellComparison, ...]


def groups_of(comparison: Comparison) -> tuple[DifferenceGroup, ...]:
    found: dict[Cell, list[CellComparison]] = {}
    for cell in comparison.cells:
        found.setdefault(msgspec.structs.replace(cell.cell, server=""), []).append(cell)
    several = len({key.workers for key in found}) > 1
    return tuple(
        DifferenceGroup(_label(key, with_workers=several), tuple(cells)) for key, cells in found.items()
    )


def is_same(comparison: Comparison) -> bool:
    """A and B are one benchmark, or copies of it."""
    a, b = comparison.a, comparison.b
    return a.plan == b.plan and a.runs == b.runs


def title_of(metric: Metric) -> str:
    return TITLES[metric.name]


def figure_of(metric: Metric, value: float | None) -> str:
    """The value in the unit that ``title_of`` names."""
    return _SHOWN[metric.name](value)


def ratio_words(ratio: Ratio) -> str:
    """``1.32 [1.30, 1.34]``; after ``~`` within noise, after ``?`` maybe by chance; or with no interval."""
    if ratio.median is None:
        return MISSING
    if ratio.low is None or ratio.high is None:
        return f"{times(ratio.median)} (no interval)"
    near = ratio.change is not Change.WITHIN_NOISE and "1.00" in (f"{ratio.low:.2f}", f"{ratio.high:.2f}")
    places = 3 if near or (ratio.high - ratio.low < 0.015 and ratio.high < 2) else 2
    bare, low, high = (f"{value:.{places}f}" for value in (ratio.median, ratio.low, ratio.high))
    return f"{_SIGNS.get(ratio.change, '')}{bare} [{low}, {high}]"


def headline(comparison: Comparison) -> str:
    """The whole comparison in one line, by requests/s."""
    if is_same(comparison):
        return "One benchmark compared with itself: no difference can show"
    counts = Counter(cell.ratios[0].change for cell in comparison.valid_cells)
    total = counted(len(comparison.cells), "cell")
    words = {
        Change.BETTER: "faster in {}",
        Change.WORSE: "slower in {}",
        Change.BY_CHANCE: "not beyond chance in {}",
        Change.WITHIN_NOISE: "no difference beyond noise in {}",
        Change.NO_INTERVAL: "no interval in {}",
        Change.NOT_MEASURED: "no ratio in {}",
        Change.AS_OFFERED: "as many as were offered in {}",
    }
    parts = [text.format(counts[change]) for change, text in words.items() if counts[change]]
    if comparison.invalid_cells:
        parts.append(f"invalid in {len(comparison.invalid_cells)}")
    flips = f"; {counted(len(comparison.flips), 'ranking flip')}" if comparison.flips else ""
    return f"B against A in {total}: {', '.join(parts)}{flips}"


def answer(group: DifferenceGroup) -> EndpointAnswer:
    """Sentences on requests/s, on each other figure that differs beyond noise, and on each invalid cell."""
    valid = [cell for cell in group.cells if cell.is_valid]
    refusals = tuple(
        f"{cell.cell.server}: {invalid_because(cell)}." for cell in group.cells if not cell.is_valid
    )
    others = tuple(text for index in range(1, 5) if (text := _other_figure(valid, index)))
    if not valid:
        return EndpointAnswer(group.label, "refused", f"No comparison on {group.label}.", (), refusals)
    sentence = f"On {group.label}, {_by_change(valid)}."
    sure = all(cell.ratios[0].low is not None or cell.ratios[0].is_offered for cell in valid)
    tone = "sure" if sure and not refusals else "open"
    return EndpointAnswer(group.label, tone, sentence, others, refusals)


def invalid_because(cell: CellComparison) -> str:
    """``invalid in A: the reason; in B: the reason``, with no full stop."""
    if not cell.a.valid and not cell.b.valid and _reason(cell.a) == _reason(cell.b):
        return f"invalid in A and B: {_reason(cell.a)}"
    sides = (("A", cell.a), ("B", cell.b))
    parts = [f"in {side}: {_reason(summary)}" for side, summary in sides if not summary.valid]
    return "invalid " + "; ".join(parts)


def flip_sentence(flip: Flip) -> str:
    label = _label(flip.contest, with_workers=False)
    return (
        f"The ranking flips on {label}{_workers(flip.contest)}: in A, {flip.first} serves "
        f"{_of(flip.ratio_a)} the requests/s of {flip.second}; in B, {flip.second} serves "
        f"{_of_inverse(flip.ratio_b)} those of {flip.first}."
    )


def swap_sentence(flip: Flip) -> str:
    label = _label(flip.contest, with_workers=False)
    known = flip.ratio_a.low is not None and flip.ratio_b.low is not None
    why = "within noise" if known else "one run each, no interval"
    return (
        f"On {label}{_workers(flip.contest)}, {flip.first} leads {flip.second} in A and follows it in B, "
        f"but that is no flip: {why}."
    )


def flip_sentences(comparison: Comparison) -> tuple[str, ...]:
    sentences = tuple(flip_sentence(flip) for flip in comparison.flips)
    known = any(cell.ratios[0].low is not None for cell in comparison.valid_cells)
    if not sentences and not known:
        sentences = ("Whether the ranking of servers flips can’t be told without intervals.",)
    elif not sentences:
        sentences = ("No ranking of servers flips beyond the uncertainty.",)
    return sentences + tuple(swap_sentence(flip) for flip in comparison.swaps)


def worse_sentences(gate: Gate) -> tuple[str, ...]:
    """One sentence for each figure that fails the gate."""
    share = f"{gate.share * 100:g} %"
    return tuple(f"Worse by more than {share}: {cell_and_ratio(cell, ratio)}." for cell, ratio in gate.worse)


def gate_sentences(gate: Gate) -> tuple[str, ...]:
    """What --fail-over found besides figures that fail."""
    share = f"{gate.share * 100:g} %"
    if gate.passes:
        return (f"Passed: the whole interval of every gated figure lies within {share}.",)
    kinds = (
        (f"Not settled, for their intervals reach beyond {share}", _reaching(gate)),
        ("Not judged, for want of an interval", _without_interval(gate)),
        ("Not judged, for nothing was at its limit", [one for one in gate.unsettled if not one.is_maximum]),
    )
    sentences = [f"{text}: {_briefly(found)}." for text, found in kinds if found]
    if gate.invalid:
        sentences.append(
            f"Not judged, for they are invalid: {listed([cell.title for cell in gate.invalid])}."
        )
    if gate.more_blocks is not None:
        sentences.append(
            f"About {counted(gate.more_blocks, 'more block')} in A and in B each would settle what more "
            "blocks can settle, if figures and spread stay as they are."
        )
    return tuple(sentences)


def _reaching(gate: Gate) -> list[Unsettled]:
    return [one for one in gate.unsettled if one.is_maximum and one.ratio.low is not None]


def _without_interval(gate: Gate) -> list[Unsettled]:
    return [one for one in gate.unsettled if one.is_maximum and one.ratio.low is None]


def cell_and_ratio(cell: Cell, ratio: Ratio) -> str:
    """``uvicorn orders, requests/s 0.80 [0.78, 0.82]``"""
    return f"{cell.title}{_workers(cell)}, {ratio.metric.title} {ratio_words(ratio)}"


def _briefly(items: Sequence[Unsettled]) -> str:
    by_cell: dict[str, list[str]] = {}
    for one in items:
        title = f"{one.cell.title}{_workers(one.cell)}"
        by_cell.setdefault(title, []).append(one.ratio.metric.title)
    return "; ".join(f"{title} ({', '.join(names)})" for title, names in by_cell.items())


def _label(contest: Cell, *, with_workers: bool) -> str:
    bare = msgspec.structs.replace(contest, server="").title.strip()
    return f"{bare}, {counted(contest.workers, 'worker')}" if with_workers else bare


def _workers(cell: Cell) -> str:
    return "" if cell.workers == 1 else f", {counted(cell.workers, 'worker')}"


def _by_change(cells: Sequence[CellComparison]) -> str:
    parts = []
    for change, text in (
        (Change.BETTER, "B serves more requests/s than A with {}"),
        (Change.WORSE, "B serves fewer requests/s than A with {}"),
        (Change.BY_CHANCE, "not beyond chance among all these figures with {}"),
        (Change.WITHIN_NOISE, "no difference beyond noise with {}"),
        (Change.NO_INTERVAL, "B’s requests/s over A’s, with no interval, are {}"),
        (Change.NOT_MEASURED, "no ratio with {}"),
        (Change.AS_OFFERED, "A and B answered all that was offered with {}"),
    ):
        found = [cell for cell in cells if cell.ratios[0].change is change]
        if found:
            parts.append(text.format(listed([_server_ratio(cell) for cell in found])))
    return "; ".join(parts)


def _server_ratio(cell: CellComparison) -> str:
    ratio = cell.ratios[0]
    if ratio.median is None:
        return cell.cell.server
    if ratio.low is None or ratio.high is None:
        return f"{times(ratio.median)} ({cell.cell.server})"
    middle, low, high = map(times_beside_one, (ratio.median, ratio.low, ratio.high))
    return f"{cell.cell.server} ({middle} times, {low} to {high})"


def _other_figure(cells: Sequence[CellComparison], index: int) -> str:
    """``RSS is better with uvicorn and worse with daphne.``; empty where nothing is known beyond noise."""
    parts = []
    for change in (Change.BETTER, Change.WORSE):
        found = [cell.cell.server for cell in cells if cell.ratios[index].change is change]
        if found:
            parts.append(f"{change.value} with {listed(found)}")
    if not parts:
        return ""
    return f"{_sentence_case(cells[0].ratios[index].metric.title)}: {listed(parts)}."


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:] if text.startswith("requests") else text


def _reason(summary: CellSummary) -> str:
    return refused_because(summary)


def _of(ratio: PairRatio) -> str:
    if ratio.mean is None or ratio.low is None or ratio.high is None:
        return "an unknown part of"
    return _times_words(ratio.mean, ratio.low, ratio.high)


def _of_inverse(ratio: PairRatio) -> str:
    if ratio.mean is None or ratio.low is None or ratio.high is None:
        return "an unknown part of"
    return _times_words(1 / ratio.mean, 1 / ratio.high, 1 / ratio.low)


def _times_words(middle: float, low: float, high: float) -> str:
    return f"{times_beside_one(middle)} times ({times_beside_one(low)} to {times_beside_one(high)})"
