"""The answer in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.judge.benchmark import unknown_reason
from bench.judge.reason import Reason
from bench.judge.speed import MOVED_BETWEEN_SINGLE_RUNS
from bench.results.course import speed_between
from bench.results.summary import CellSummary, Summary
from bench.verdicts.contest import Contest, Lead
from bench.verdicts.pair import PairVerdict, Verdict
from reports.words.numbers import (
    counted,
    lead,
    listed,
    percent,
    rate,
    rate_interval,
    times,
    times_beside_one,
)
from reports.words.verdicts import Labelled

_NAMED_LABELS = 4
_SAME = 0.005
LIMITS = {
    "server_cpu": "server CPU",
    "cpu_quota": "CPU quota",
    "server_and_database_cpu": "server and database CPU",
    "server_and_balancer_cpu": "server and balancer CPU",
    "load_balancer": "load balancer",
    "load_generator": "load generator",
    "database": "database",
    "network": "network",
    "latency": "latency",
    "offered_rate": "the stated rate",
    "none_found": "none found",
}
"""What held a cell back, in words."""
ONE_RUN = "one run each: no interval"


@dataclass(frozen=True)
class EndpointAnswer:
    """What the report says about one contest. ``refusals`` are printed in red, each with what to do about it.

    ``tone`` is ``sure`` (ahead or level), ``open`` (not resolved, no interval, nothing to compare) or
    ``refused``.
    """

    label: str
    tone: str
    sentence: str
    others: tuple[str, ...]
    refusals: tuple[str, ...]


def answer(contest: Contest, label: str) -> EndpointAnswer:
    """One sentence on the leader, one on each further step down, one on each cell that isn't ranked."""
    limits = _limits(contest)
    if contest.lead is Lead.NONE:
        others = (*_without_a_leader(contest), *limits)
        return EndpointAnswer(label, "refused", _no_ranking(contest, label), others, _refusals(contest))
    tone = "sure" if contest.lead in (Lead.AHEAD, Lead.LEVEL) else "open"
    if contest.lead is Lead.ALONE:
        return EndpointAnswer(label, tone, _alone(contest.ranked[0], label), limits, ())
    first, *others_told = _told(contest)
    others = (*map(step_sentence, others_told), *limits)
    return EndpointAnswer(label, tone, _leader(contest, first, label), others, ())


def headline(contests: Labelled) -> str:
    """The whole report in one line. A contest with a cell that can't be ranked has no leader."""
    found: dict[tuple[str, str], list[str]] = {}
    for label, contest in sorted(contests, key=lambda item: item[1].lead is not Lead.NONE):
        found.setdefault(_outcome(contest), []).append(label)
    total = len(contests)
    return "; ".join(f"{before}{_where(labels, total)}{after}" for (before, after), labels in found.items())


def step_sentence(step: PairVerdict) -> str:
    """A sentence that compares two servers."""
    return f"{_step_clause(step, step.other.server)}."


def interval_words(step: PairVerdict) -> str:
    """``95 % interval 34 to 39 %; 10 blocks``, or as factors where the lead is one."""
    ratio = step.ratio
    if ratio.low is None or ratio.high is None or ratio.mean is None:
        return "no interval"
    blocks = counted(ratio.blocks, "block")
    if ratio.mean >= 2:
        return f"95 % interval {times_beside_one(ratio.low)} to {times(ratio.high)}; {blocks}"
    return f"95 % interval {lead(ratio.low)} to {lead(ratio.high)} %; {blocks}"


def against_next(step: PairVerdict) -> str:
    """For a table or the terminal: ``+37 % [34, 39] over the next``."""
    ratio = step.ratio
    if ratio.mean is None:
        return "not ranked against the next: no common block"
    factor = ratio.mean >= 2
    bare = f"{times(ratio.mean)} times" if factor else f"{(ratio.mean - 1) * 100:+.0f} %"
    if ratio.low is None or ratio.high is None:
        if abs(ratio.mean - 1) < _SAME:
            return "as many as the next"
        less = ", less than the machine moved" if _is_within_machine(step) else ""
        return f"{bare} the next{less}" if factor else f"{bare} over the next{less}"
    if step.verdict is Verdict.LEVEL:
        return "level with the next"
    show = times_beside_one if factor else lead
    bounds = f"[{show(ratio.low)}, {show(ratio.high)}]"
    if step.verdict is Verdict.UNRESOLVED:
        return f"{bare} {bounds} not resolved{_among(step)}"
    return f"{bare} the next {bounds}" if factor else f"{bare} {bounds} over the next"


def verdict_words(step: PairVerdict) -> str:
    """``ahead``, ``level``, ``not resolved among 9 comparisons``."""
    return f"{step.verdict.value}{_among(step)}"


def refused_because(cell: CellSummary) -> str:
    """The first reason, as a clause without a full stop."""
    return _first_reason(cell).text


def unranked_because(cell: CellSummary) -> str:
    """Why a valid cell's throughput ranks no servers, as a clause; empty where it does."""
    return "" if cell.unranked_because is None else f"not ranked: {cell.unranked_because.text}"


def validity(summary: Summary, valid_runs: int) -> str:
    done = f"{valid_runs} of {counted(summary.runs_done, 'run')} valid"
    if summary.complete:
        return done
    return f"{done}; {summary.runs_planned - summary.runs_done} of {summary.runs_planned} planned are missing"


def _told(contest: Contest) -> list[PairVerdict]:
    """The pairs of the sentences: each server and the next, the leader and whoever may be the first too."""
    leader, (first, *steps) = contest.ranked[0], contest.steps
    is_settled = first.verdict in (Verdict.AHEAD, Verdict.LEVEL)
    against = [contest.between(leader, rival) for rival in contest.rivals]
    rivals = [
        pair
        for pair in against
        if pair is not first and (is_settled or pair.verdict not in (first.verdict, Verdict.UNKNOWN))
    ]
    if first.verdict is Verdict.AHEAD:
        return [*rivals, first, *steps]
    return [first, *rivals, *steps]


def _limits(contest: Contest) -> tuple[str, ...]:
    """Names rates that the server's CPU didn't limit: they may be the platform's, not the server's."""
    named = {**LIMITS, "none_found": "no limit found"}
    found = [
        f"{cell.server} ({named.get(cell.limit, cell.limit)})"
        for cell in contest.ranked
        if cell.limit != "server_cpu"
    ]
    return (f"Not held back by the server’s CPU alone: {listed(found)}.",) if found else ()


def _causes(contest: Contest) -> list[tuple[str, Reason]]:
    """Of each cell that isn't ranked, why."""
    refused = [(cell.server, _first_reason(cell)) for cell in contest.refused]
    return refused + [(cell.server, cell.unranked_because or unknown_reason()) for cell in contest.unranked]


def _refusals(contest: Contest) -> tuple[str, ...]:
    """What the answer's sentence leaves out: each server's reason where they differ, and what to do."""
    reasons = _causes(contest)
    if len({reason.text for _, reason in reasons}) == 1:
        remedies = dict.fromkeys(reason.remedy for _, reason in reasons if reason.remedy)
        return tuple(f"{remedy}." for remedy in remedies)
    return tuple(
        f"{server}: {reason.text}." + (f" {reason.remedy}." if reason.remedy else "")
        for server, reason in reasons
    )


def _no_ranking(contest: Contest, label: str) -> str:
    causes = _causes(contest)
    reasons = list(dict.fromkeys(reason.text for _, reason in causes))
    if not causes:
        pair = contest.contradictions[0]
        return (
            f"No ranking on {label}: by all blocks together {pair.other.server} stands before "
            f"{pair.better.server}, but in the blocks that both have {pair.better.server} is ahead."
        )
    if len(reasons) == 1 and not contest.ranked:
        return f"No ranking on {label}: {reasons[0]}."
    if len(reasons) == 1:
        return f"No ranking on {label}: with {_names(server for server, _ in causes)}, {reasons[0]}."
    parts = []
    if contest.refused:
        parts.append(f"nothing valid is known of {_names(cell.server for cell in contest.refused)}")
    if contest.unranked:
        shown = _names(cell.server for cell in contest.unranked)
        parts.append(f"the figures of {shown} are no maximum")
    return f"No ranking on {label}: {'; '.join(parts)}."


def _names(servers: Iterable[str]) -> str:
    return listed(list(servers))


def _without_a_leader(contest: Contest) -> tuple[str, ...]:
    """How the ranked servers compare with each other. It never names a first one."""
    pairs = (*contest.steps, *(pair for pair in contest.contradictions if pair not in contest.steps))
    sentences = [step_sentence(pair) for pair in pairs]
    left = [server for server, _ in _causes(contest)]
    if not left:
        return tuple(sentences)
    if sentences:
        return (f"Leaving out {listed(left)}: {sentences[0]}", *sentences[1:])
    if not contest.ranked:
        return ()
    only = contest.ranked[0]
    figure = rate(only.requests_per_second.median)
    return (f"Leaving out {listed(left)}: {only.server} serves {figure} requests/s.",)


def _outcome(contest: Contest) -> tuple[str, str]:
    """The headline's words before and after the names of the endpoints."""
    if contest.lead is Lead.NONE:
        return "No ranking on ", ""
    leader = contest.ranked[0].server
    if contest.lead is Lead.ALONE:
        return f"{leader} alone was measured on ", ""
    if contest.lead is Lead.AHEAD:
        return f"{leader} is ahead on ", ""
    rivals = [cell.server for cell in contest.rivals]
    if contest.lead is Lead.LEVEL:
        return f"{listed([leader, *rivals])} are level on ", ""
    either = f"{', '.join([leader, *rivals[:-1]])} or {rivals[-1]}"
    if contest.lead is Lead.APART:
        return f"{either}, not all valid in a common block, on ", ""
    if contest.lead is Lead.UNRESOLVED:
        return f"{either}, not resolved, on ", ""
    return _single_outcome(contest)


def _single_outcome(contest: Contest) -> tuple[str, str]:
    """Of a contest in which the leader has no interval against some rival."""
    leader = contest.ranked[0]
    pairs = [contest.between(leader, rival) for rival in contest.rivals]
    single = all(cell.requests_per_second.runs == 1 for cell in contest.ranked)
    after = f" ({'single runs' if single else 'a single common block'}: a first look)"
    close = [pair.other.server for pair in pairs if _is_same(pair)]
    if close or any(pair.better is not leader for pair in pairs):
        names = [leader.server, *(close or [cell.server for cell in contest.rivals])]
        return f"{', '.join(names[:-1])} or {names[-1]} answered the most requests on ", after
    return f"{leader.server} answered the most requests on ", after


def _where(labels: Sequence[str], total: int) -> str:
    """The labels' names, or their number where they are many."""
    if total <= _NAMED_LABELS:
        return listed(list(labels))
    return f"{len(labels)} of {total} comparisons"


def _leader(contest: Contest, pair: PairVerdict, label: str) -> str:
    better, other, ratio = pair.better.server, pair.other.server, pair.ratio.mean
    is_next = pair is contest.steps[0] and pair.verdict in (Verdict.AHEAD, Verdict.UNKNOWN)
    is_first = is_next and contest.lead in (Lead.AHEAD, Lead.UNKNOWN) and not _is_same(pair)
    named = f"its closest competitor, {other}" if is_first else other
    if contest.lead is Lead.AHEAD and ratio is not None and ratio < 2:
        return f"On {label}, {better} outperforms {named}, by {lead(ratio)} % ({interval_words(pair)})."
    return f"On {label}, {_step_clause(pair, named)}."


def _alone(cell: CellSummary, label: str) -> str:
    figures = cell.requests_per_second
    known = ONE_RUN if figures.low is None else f"95 % interval {rate_interval(figures)}"
    return (
        f"On {label}, {cell.server} serves {rate(figures.median)} requests/s ({known}); nothing to compare."
    )


def _step_clause(step: PairVerdict, other: str) -> str:
    better, ratio = step.better.server, step.ratio.mean
    if ratio is None:
        return f"{better} and {other} have no block in common in which both count: not ranked"
    if step.verdict is Verdict.UNKNOWN:
        return f"{better} served {_by(ratio, other)} ({_no_interval(step)})"
    if step.verdict is Verdict.AHEAD:
        return f"{better} serves {_by(ratio, other)} ({interval_words(step)})"
    if step.verdict is Verdict.LEVEL:
        return f"{better} and {other} are level: ratio {_ratio_words(step)}"
    chance = ", which may be chance" if step.may_be_chance else ""
    return (
        f"{better} or {other}: not resolved{_among(step)}, ratio {_ratio_words(step)}{chance}; {_more(step)}"
    )


def _by(ratio: float, other: str) -> str:
    if ratio >= 2:
        return f"{times(ratio)} times as many requests/s as {other}"
    if abs(ratio - 1) < _SAME:
        return f"as many requests/s, to within half a percent, as {other}"
    return f"{lead(ratio)} % more requests/s than {other}"


def _is_same(pair: PairVerdict) -> bool:
    return pair.ratio.mean is not None and abs(pair.ratio.mean - 1) < _SAME


def _no_interval(step: PairVerdict) -> str:
    runs = (step.better.requests_per_second.runs, step.other.requests_per_second.runs)
    if runs != (1, 1):
        return "only one block holds a valid run of both: no interval"
    return f"{ONE_RUN}{_machine_words(step)}"


def _machine_words(step: PairVerdict) -> str:
    """``; the machine's own speed moved by 31 % between them, more than they differ``, or nothing."""
    moved = _machine_moved(step)
    if moved is None:
        return ""
    beyond = ", more than they differ" if _is_within_machine(step) else ""
    return f"; the machine’s own speed moved by {percent(moved)} between them{beyond}"


def _is_within_machine(step: PairVerdict) -> bool:
    """Two single runs differ by less than the machine's own speed did."""
    moved = _machine_moved(step)
    return moved is not None and step.ratio.mean is not None and step.ratio.mean - 1 < moved


def _machine_moved(step: PairVerdict) -> float | None:
    """Between two single runs; None where it isn't known, or too little to be said."""
    runs = (step.better.requests_per_second.runs, step.other.requests_per_second.runs)
    moved = speed_between(step.better.speed, step.other.speed) if runs == (1, 1) else None
    return None if moved is None or moved < MOVED_BETWEEN_SINGLE_RUNS else moved


def _ratio_words(step: PairVerdict) -> str:
    ratio = step.ratio
    if ratio.mean is None or ratio.low is None or ratio.high is None:
        return "unknown"
    middle, low, high = map(times_beside_one, (ratio.mean, ratio.low, ratio.high))
    return f"{middle} (95 % interval {low} to {high}; {counted(ratio.blocks, 'block')})"


def _among(step: PairVerdict) -> str:
    """What keeps an interval that excludes 1 from being a lead."""
    return f" among {counted(step.of, 'comparison')}" if step.may_be_chance else ""


def _more(step: PairVerdict) -> str:
    if step.more_blocks is None:
        return "more blocks would hardly settle it"
    return f"about {counted(step.more_blocks, 'more block')} needed"


def _first_reason(cell: CellSummary) -> Reason:
    for reason in cell.reasons:
        if reason.invalidates:
            return reason
    return unknown_reason()
