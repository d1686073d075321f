"""The answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.judge.benchmark import unknown_reason
from bench.judge.reason import Reason
from bench.results.summary import CellSummary, Summary
from reports.words.numbers import counted, lead, listed, rate, rate_interval, times
from reports.words.verdicts import Contest, Labelled, PairVerdict, Verdict

_NAMED_LABELS = 4
_SAME = 0.005
LIMITS = {
    "server_cpu": "server CPU",
    "cpu_quota": "CPU quota",
    "load_generator": "load generator",
    "database": "database",
    "network": "network",
    "latency": "latency",
    "offered_rate": "the stated rate",
    "none_found": "none found",
}
"""What held a cell back, in words."""
ONE_RUN = "one run each: no interval; --profile review repeats"


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
    """One sentence on the leader, one on each further step down, one on each refused cell."""
    steps, limits = tuple(step_sentence(step) for step in contest.steps), _limits(contest)
    if not contest.refused:
        settled = bool(contest.steps) and contest.steps[0].verdict in (Verdict.AHEAD, Verdict.LEVEL)
        tone = "sure" if settled else "open"
        return EndpointAnswer(label, tone, _leader(contest, label), (*steps[1:], *limits), ())
    others = (*_leaving_out(contest, steps), *limits)
    return EndpointAnswer(label, "refused", _refused_sentence(contest, label), others, _refusals(contest))


def headline(contests: Labelled) -> str:
    """The whole report in one line. A contest with a refused cell has no ranking, whoever else leads."""
    found: dict[tuple[str, str], list[str]] = {}
    for label, contest in sorted(contests, key=lambda item: not item[1].refused):
        found.setdefault(_outcome(contest), []).append(label)
    total = len(contests)
    return "; ".join(f"{before}{_where(labels, total)}{after}" for (before, after), labels in found.items())


def step_sentence(step: PairVerdict) -> str:
    """A sentence that compares a server with the next slower one."""
    return f"{_step_clause(step, step.other.server)}."


def interval_words(step: PairVerdict) -> str:
    """``95 % interval 34 to 39 %; 10 blocks``, or as factors where the lead is one."""
    ratio = step.ratio
    if ratio.low is None or ratio.high is None or ratio.median is None:
        return "no interval"
    blocks = counted(ratio.runs, "block")
    if ratio.median >= 2:
        return f"95 % interval {times(ratio.low)} to {times(ratio.high)}; {blocks}"
    return f"95 % interval {lead(ratio.low)} to {lead(ratio.high)} %; {blocks}"


def against_next(step: PairVerdict) -> str:
    """For a table or the terminal: ``+37 % [34, 39] over the next``."""
    ratio = step.ratio
    if ratio.median is None:
        return "no common block"
    factor = ratio.median >= 2
    bare = f"{times(ratio.median)} times" if factor else f"{(ratio.median - 1) * 100:+.0f} %"
    if ratio.low is None or ratio.high is None:
        if abs(ratio.median - 1) < _SAME:
            return "as many as the next"
        return f"{bare} the next" if factor else f"{bare} over the next"
    if step.verdict is Verdict.LEVEL:
        return "level with the next"
    show = times if factor else lead
    bounds = f"[{show(ratio.low)}, {show(ratio.high)}]"
    if step.verdict is Verdict.UNRESOLVED:
        return f"{bare} {bounds} not resolved"
    return f"{bare} the next {bounds}" if factor else f"{bare} {bounds} over the next"


def refused_because(cell: CellSummary) -> str:
    """The first reason, as a clause without a full stop."""
    return _first_reason(cell).text


def validity(summary: Summary, valid_runs: int) -> str:
    done = f"{valid_runs} of {counted(summary.runs_done, 'run')} valid"
    if summary.complete:
        return done
    return f"{done}; {summary.runs_planned - summary.runs_done} of {summary.runs_planned} planned are missing"


def _limits(contest: Contest) -> tuple[str, ...]:
    """Names rates that the server's CPU didn't limit: they may be the platform's, not the server's."""
    named = {**LIMITS, "none_found": "no limit found"}
    found = [
        f"{cell.server} ({named.get(cell.limit, cell.limit)})"
        for cell in contest.ranked
        if cell.limit != "server_cpu"
    ]
    return (f"Not held back by the server’s CPU: {listed(found)}.",) if found else ()


def _refusals(contest: Contest) -> tuple[str, ...]:
    """What the answer's sentence leaves out: each server's reason where they differ, and what to do."""
    reasons = [(cell.server, _first_reason(cell)) for cell in contest.refused]
    if len({reason.text for _, reason in reasons}) == 1:
        remedies = dict.fromkeys(reason.remedy for _, reason in reasons if reason.remedy)
        return tuple(f"{remedy}." for remedy in remedies)
    return tuple(
        f"{server}: {reason.text}." + (f" {reason.remedy}." if reason.remedy else "")
        for server, reason in reasons
    )


def _refused_sentence(contest: Contest, label: str) -> str:
    reasons = list(dict.fromkeys(_first_reason(cell).text for cell in contest.refused))
    names = listed([cell.server for cell in contest.refused])
    if len(reasons) == 1 and not contest.ranked:
        return f"No ranking on {label}: {reasons[0]}."
    if len(reasons) == 1:
        return f"No ranking on {label}: with {names}, {reasons[0]}."
    return f"No ranking on {label}: nothing valid is known of {names}."


def _leaving_out(contest: Contest, steps: tuple[str, ...]) -> tuple[str, ...]:
    """How the other servers compare with each other. It never names a first one."""
    names = listed([cell.server for cell in contest.refused])
    if steps:
        return (f"Leaving out {names}: {steps[0]}", *steps[1:])
    if not contest.ranked:
        return ()
    only = contest.ranked[0]
    return (f"Leaving out {names}: {only.server} serves {rate(only.requests_per_second.median)} requests/s.",)


def _outcome(contest: Contest) -> tuple[str, str]:
    """The headline's words before and after the names of the endpoints."""
    if contest.refused:
        return "No ranking on ", ""
    if not contest.steps:
        return f"{contest.ranked[0].server} alone was measured on ", ""
    step = contest.steps[0]
    if step.verdict is Verdict.AHEAD:
        return f"{step.better.server} is ahead on ", ""
    if step.verdict is Verdict.LEVEL:
        return f"{step.better.server} and {step.other.server} are level on ", ""
    if step.verdict is Verdict.UNRESOLVED:
        return f"{step.better.server} or {step.other.server}, not resolved, on ", ""
    return f"{step.better.server} served the most on ", ", without an interval"


def _where(labels: Sequence[str], total: int) -> str:
    """The labels' names, or their number where they are many."""
    if total <= _NAMED_LABELS:
        return listed(list(labels))
    return f"{len(labels)} of {total} comparisons"


def _leader(contest: Contest, label: str) -> str:
    if not contest.steps:
        return _alone(contest.ranked[0], label)
    step = contest.steps[0]
    better, other, ratio = step.better.server, step.other.server, step.ratio.median
    if step.verdict is Verdict.AHEAD and ratio is not None and ratio < 2:
        return (
            f"On {label}, {better} outperforms its closest competitor, {other}, by {lead(ratio)} % "
            f"({interval_words(step)})."
        )
    named = other
    if step.verdict in (Verdict.AHEAD, Verdict.UNKNOWN):
        named = f"its closest competitor, {other}"
    return f"On {label}, {_step_clause(step, named)}.".replace("(one run each)", f"({ONE_RUN})")


def _alone(cell: CellSummary, label: str) -> str:
    figures = cell.requests_per_second
    known = ONE_RUN if figures.low is None else f"95 % interval {rate_interval(figures)}"
    return (
        f"On {label}, {cell.server} serves {rate(figures.median)} requests/s ({known}); nothing to compare."
    )


def _step_clause(step: PairVerdict, other: str) -> str:
    better, ratio = step.better.server, step.ratio.median
    if ratio is None:
        return f"{better} and {other} share no block in which both are valid: no ratio"
    if step.verdict is Verdict.UNKNOWN:
        return f"{better} served {_by(ratio, other)} ({_no_interval(step)})"
    if step.verdict is Verdict.AHEAD:
        return f"{better} serves {_by(ratio, other)} ({interval_words(step)})"
    if step.verdict is Verdict.LEVEL:
        return f"{better} and {other} are level: ratio {_ratio_words(step)}"
    return f"{better} or {other}: not resolved, ratio {_ratio_words(step)}; {_more(step)}"


def _by(ratio: float, other: str) -> str:
    if ratio >= 2:
        return f"{times(ratio)} times as many requests/s as {other}"
    if abs(ratio - 1) < _SAME:
        return f"as many requests/s, to within half a percent, as {other}"
    return f"{lead(ratio)} % more requests/s than {other}"


def _no_interval(step: PairVerdict) -> str:
    runs = (step.better.requests_per_second.runs, step.other.requests_per_second.runs)
    return "one run each" if runs == (1, 1) else "only one block holds a valid run of both: no interval"


def _ratio_words(step: PairVerdict) -> str:
    ratio = step.ratio
    if ratio.median is None or ratio.low is None or ratio.high is None:
        return "unknown"
    blocks = counted(ratio.runs, "block")
    return f"{times(ratio.median)} (95 % interval {times(ratio.low)} to {times(ratio.high)}; {blocks})"


def _more(step: PairVerdict) -> str:
    if step.more_blocks is None:
        return "more blocks would hardly settle it"
    return f"about {counted(step.more_blocks, 'more block')} needed"


def _first_reason(cell: CellSummary) -> Reason:
    for reason in cell.reasons:
        if reason.invalidates:
            return reason
    return unknown_reason()
