"""Latency at stated rates, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.judge.rules.rates import is_server_behind
from bench.plan.plan import Plan
from bench.results.latency import P99
from bench.results.summary import CellSummary, Summary
from bench.served import USUALLY_SERVED, Served
from bench.verdicts.contest import Contest
from bench.verdicts.pair import PairVerdict, Verdict
from reports.words.latency import AT_LEAST
from reports.words.numbers import counted, listed, rate, times, times_beside_one
from reports.words.over_runs import tail_words
from reports.words.sentences import verdict_words
from reports.words.served import served_words


@dataclass(frozen=True)
class RateGroup:
    """The open-loop cells that may be compared."""

    label: str
    cells: tuple[CellSummary, ...]


def rate_groups(plan: Plan, summary: Summary) -> tuple[RateGroup, ...]:
    cells = [cell for cell in summary.cells if cell.is_open_loop]
    several = len({cell.workers for cell in cells}) > 1
    places = {endpoint.name: place for place, endpoint in enumerate(plan.endpoints)}
    found: dict[tuple[str, Served, int], list[CellSummary]] = {}
    for cell in cells:
        found.setdefault((cell.endpoint, cell.served, cell.workers), []).append(cell)
    ways = {served for _, served, _ in found}
    groups = []
    for key in sorted(found, key=lambda key: (places[key[0]], key[1] != USUALLY_SERVED, *key[1:])):
        endpoint, served, workers = key
        label = f"{endpoint} {served_words(served, ways)}".rstrip()
        label = f"{label}, {counted(workers, 'worker')}" if several else label
        groups.append(RateGroup(label, tuple(found[key])))
    return tuple(groups)


def rate_sentences(group: RateGroup, contests: Sequence[Contest]) -> tuple[str, ...]:
    """Rates in requests/s with who is ahead there, and shares of each server's maximum, where there are any.

    ``contests`` are all of the benchmark's at equal rates.
    """
    by_rate: dict[float, list[CellSummary]] = {}
    by_share: dict[float, list[CellSummary]] = {}
    for cell in group.cells:
        if cell.rate_share is not None:
            by_share.setdefault(cell.rate_share, []).append(cell)
        elif cell.rate_per_second is not None:
            by_rate.setdefault(cell.rate_per_second, []).append(cell)
    sentences = []
    for levels, words_of in ((by_rate, _rate_words), (by_share, _share_words)):
        level = _telling_level(levels)
        if level is not None:
            own = {cell.cell for cell in levels[level]}
            contest = next((one for one in contests if {cell.cell for cell in one.cells} <= own), None)
            sentence = _tail_sentence(f"{words_of(level)} on {group.label}", levels[level], contest)
            verdicts = () if contest is None else _verdict_sentences(contest)
            sentences.append(" ".join((sentence, *verdicts)) + _overload(levels, level, words_of))
    return tuple(sentences)


def _telling_level(levels: Mapping[float, Sequence[CellSummary]]) -> float | None:
    """The highest load that every server with figures served in full; else the lowest with any figures."""
    shown = {level: with_latency(cells) for level, cells in sorted(levels.items())}
    most = max((len(cells) for cells in shown.values()), default=0)
    if most == 0:
        return None
    whole = [level for level, cells in shown.items() if len(cells) == most]
    met = [level for level in whole if not any(map(is_behind, shown[level]))]
    return max(met) if met else min(whole)


def _tail_sentence(load: str, cells: Sequence[CellSummary], contest: Contest | None) -> str:
    """p99 of each server in words, the slowest first, with what is known of how it varies."""
    shown = _slowest_first(cells, contest)
    first, *others = shown
    # Longer than at least so much is longer than that.
    longest = tail_words(first, P99).removeprefix(AT_LEAST)
    text = f"At {load} one request in 100 to {_who(first)} took longer than {longest}"
    if others:
        text += "; " + ", ".join(f"{_who(cell)}: {tail_words(cell, P99)}" for cell in others)
    refused = [cell.server for cell in cells if not cell.valid]
    too_few = [cell.server for cell in cells if cell.valid and cell not in shown]
    if too_few:
        text += f"; {listed(too_few)}: too few requests to tell"
    return text + (f"; {listed(refused)}: refused." if refused else ".")


def _slowest_first(cells: Sequence[CellSummary], contest: Contest | None) -> list[CellSummary]:
    """In the order of the verdicts where there are some, so that no figure contradicts one."""
    places = {} if contest is None else {cell.cell: place for place, cell in enumerate(contest.ranked)}
    return sorted(
        with_latency(cells),
        key=lambda cell: (-places.get(cell.cell, len(places)), -(p99_seconds(cell) or 0.0)),
    )


def _verdict_sentences(contest: Contest) -> tuple[str, ...]:
    """Each server against the next slower one."""
    steps = contest.steps
    if steps and all(step.verdict is Verdict.UNKNOWN for step in steps):
        return ("Which tail is surely the shorter can't be told: one common block has no interval.",)
    return tuple(f"{_verdict_clause(step)}." for step in steps)


def _verdict_clause(step: PairVerdict) -> str:
    better, other, ratio = step.better.server, step.other.server, step.ratio
    if ratio.mean is None or step.verdict is Verdict.APART:
        return f"{better} and {other} have no block in common in which both count: not ranked"
    if ratio.low is None or ratio.high is None:
        return f"{other}’s p99 was {times(ratio.mean)} times that of {better} (one common block: no interval)"
    middle, low, high = map(times_beside_one, (ratio.mean, ratio.low, ratio.high))
    known = f"95 % interval {low} to {high}; {counted(ratio.blocks, 'block')}"
    if step.verdict is Verdict.AHEAD:
        return f"{better} is ahead of {other}, whose p99 is {middle} times as long ({known})"
    if step.verdict is Verdict.LEVEL:
        return f"{better} and {other} are level: ratio of their p99 {middle} ({known})"
    chance = ", which may be chance" if step.may_be_chance else ""
    return f"{better} or {other}: {verdict_words(step)}, ratio of their p99 {middle} ({known}){chance}"


def tail_against_next(step: PairVerdict) -> str:
    """For a table: ``ahead: the next’s is 1.96 times as long [1.80, 2.10]``."""
    ratio = step.ratio
    if ratio.mean is None:
        return "not ranked against the next: no common block"
    if ratio.low is None or ratio.high is None:
        return f"the next’s was {times(ratio.mean)} times as long (one common block)"
    bounds = f"[{times_beside_one(ratio.low)}, {times_beside_one(ratio.high)}]"
    if step.verdict is Verdict.LEVEL:
        return f"level with the next {bounds}"
    if step.verdict is Verdict.AHEAD:
        return f"ahead: the next’s is {times(ratio.mean)} times as long {bounds}"
    return f"{verdict_words(step)}: the next’s is {times_beside_one(ratio.mean)} times as long {bounds}"


def tail_verdict(step: PairVerdict | None) -> str:
    """For the terminal: ``kept up; p99 ahead of the next``."""
    known = {
        Verdict.AHEAD: "kept up; p99 ahead of the next",
        Verdict.LEVEL: "kept up; p99 level with the next",
        Verdict.UNRESOLVED: "kept up; p99 not resolved against the next",
    }
    return "kept up" if step is None else known.get(step.verdict, "kept up")


def ended_early(cell: CellSummary) -> str:
    """``ended after 4 s``; empty where the rate was offered to the end."""
    after = None if cell.open_loop is None else cell.open_loop.ended_after_seconds
    return "" if after is None else f"ended after {after:g} s"


def _overload(
    levels: Mapping[float, Sequence[CellSummary]], shown: float, words_of: Callable[[float], str]
) -> str:
    """A sentence on the next load that was too much for some server; empty where there is none."""
    for level in sorted(level for level in levels if level > shown):
        behind = [cell.server for cell in with_latency(levels[level]) if is_behind(cell)]
        if behind:
            return f" At {words_of(level)} {listed(behind)} did not keep up."
    return ""


def _who(cell: CellSummary) -> str:
    details = []
    if cell.rate_share is not None:
        details.append(f"{rate(cell.rate_per_second)} requests/s")
    if is_behind(cell):
        details.append(f"which answered only {rate(achieved_rate(cell))} requests/s")
    if ended_early(cell):
        details.append(ended_early(cell))
    return f"{cell.server} ({', '.join(details)})" if details else cell.server


def _rate_words(level: float) -> str:
    return f"{rate(level)} requests/s"


def _share_words(level: float) -> str:
    return f"{level * 100:g} % of its own maximum"


def with_latency(cells: Sequence[CellSummary]) -> list[CellSummary]:
    return [cell for cell in cells if cell.valid and p99_seconds(cell) is not None]


def is_behind(cell: CellSummary) -> bool:
    return is_server_behind(cell.reasons)


def p99_seconds(cell: CellSummary) -> float | None:
    return P99.of(cell.latency_seconds)


def achieved_rate(cell: CellSummary) -> float | None:
    return None if cell.open_loop is None else cell.open_loop.achieved_rate_per_second
