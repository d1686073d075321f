"""What bounds the figures most, in a few lines: causes over all runs, failures, repeats, wide intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.judge.reason import Reason
from bench.judge.rules.rates import RateEndedEarly, ServerBehindRate
from bench.judge.speed import MACHINE_SPEED_CODE
from bench.results.run import RunResult
from bench.results.scaling import scaling_curves
from bench.results.summary import CellSummary, Summary, added_warnings
from reports.words.numbers import capital, counted, listed, percent, rate
from reports.words.scaling import curve_sentence, too_few_cores
from reports.words.sentences import ONE_RUN
from reports.words.shares import load_share

MOST_CAUSES = 3
MOST_HOSTS = 3
MOST_NAMES = 4
WIDE_SHARE = 0.10
"""An interval that reaches further from its median is called wide."""
OF_ROWS = (ServerBehindRate.code(), RateEndedEarly.code())
"""What the table of cells says of a server that did not keep up with a rate."""
OF_RUNS = ("run_failed", "run_repeated", "rate_unknown")


@dataclass(frozen=True)
class CauseWords:
    """How many reasons of one kind read in one line. ``runs`` stands for ``13 of 22 runs``."""

    sentence: str
    share_of: str = ""  # what the reasons' shares are of


CAUSES = {
    "NotSaturated": CauseWords("Nobody was at a limit in {runs}: no maximum of the server, not ranked"),
    "ServerNotFull": CauseWords("The server's cores were not quite full in {runs}"),
    "FixedWait": CauseWords("Answers waited some 40 ms, not by Nagle's algorithm, in {runs}"),
    "DelayedAckSuspected": CauseWords("Answers waited some 40 ms as by Nagle's algorithm in {runs}"),
    "LinkMayBeSlower": CauseWords("The link may carry less than its probe found in {runs}"),
    "PacketsAtLimit": CauseWords("The network carried no more packets in {runs}"),
    "OthersOnLoadCores": CauseWords("Other programs disturbed {runs}", "of the load's cores"),
    "OthersOnServerCores": CauseWords("Other programs disturbed {runs}", "of the server's cores"),
    "RateSpoiltByOthers": CauseWords("Other programs kept {runs} from the stated rate"),
    "MissedBelowMaximum": CauseWords("A rate below the server's own maximum was missed in {runs}"),
    "MachineSpeedOff": CauseWords("The machine itself was slower or faster than before in {runs}"),
    "MachineSpeedMoved": CauseWords("The machine's own speed changed within {runs}"),
    "CpuPerRequestMoved": CauseWords("CPU per request moved within the window of {runs}"),
    "CoresBusyAtRest": CauseWords("The server's cores were not idle at rest in {runs}"),
    "CpuStolen": CauseWords("The hypervisor took the server's cores away in {runs}", "of them"),
    "LoadWorkerAtLimit": CauseWords("A load worker was at its limit in {runs}"),
    "LoadSharesCores": CauseWords("The load took cores from the server in {runs}"),
    "LoadBehindRate": CauseWords("The load generator missed the stated rate in {runs}"),
    "SentLate": CauseWords("Requests were sent late in {runs}: their latency includes that"),
    "DatabaseSharesCores": CauseWords("The database took cores from the server in {runs}"),
    "DatabaseAtLimit": CauseWords("The database was at its limit in {runs}"),
    "BalancerAtLimit": CauseWords("The load balancer was at its limit in {runs}", "of its core"),
    "BalancerSharesCores": CauseWords("The load balancer took cores from the server in {runs}"),
    "NetworkAtLimit": CauseWords("The network was full in {runs}"),
    "RoundTripDominates": CauseWords("The network's round trip is most of the latency in {runs}"),
    "ClockMoved": CauseWords("A machine stood still, or its clock went wrong, in {runs}"),
    "TimeOfDaySet": CauseWords("Somebody set a time of day in {runs}"),
    "FiguresContradict": CauseWords("Figures contradict each other in {runs}"),
    "Failures": CauseWords("Requests failed in {runs}"),
    "SamplesIncomplete": CauseWords("Samples of memory and CPU are missing in {runs}"),
}
"""By the code of a reason. A code that isn't here is shown by the text of its first reason."""


def caveat_lines(summary: Summary, runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """Labels and sentences: how servers scale, then what bounds figures, the gravest first.

    All that they leave out is in the report.
    """
    curves = scaling_curves(summary, runs)
    yield from (("Scaling", curve_sentence(curve)) for curve in curves)
    yield from (("Scaling", sentence) for sentence in too_few_cores(curves, runs))
    causes = _causes(runs)
    for reasons in causes[:MOST_CAUSES]:
        yield "Caveat", _cause_line(reasons, len(runs))
    if len(causes) > MOST_CAUSES:
        yield "Caveat", f"{counted(len(causes) - MOST_CAUSES, 'more kind')} of remark on runs: in the report"
    warnings = added_warnings(summary)
    yield from (("Failed", _sentence(one)) for one in warnings if one.code == "run_failed")
    yield from (("Skip", _sentence(one)) for one in warnings if one.code == "rate_unknown")
    of_hosts = [one for one in warnings if one.code not in OF_RUNS]
    for one in of_hosts[:MOST_HOSTS]:
        yield "Hosts", _sentence(one)
    if len(of_hosts) > MOST_HOSTS:
        yield "Hosts", f"{counted(len(of_hosts) - MOST_HOSTS, 'more remark')}: in the report"
    yield from _wide_line(summary.cells)
    if any(cell.requests_per_second.runs == 1 for cell in summary.cells if cell.valid):
        yield "Note", f"{ONE_RUN}; --profile review repeats"
    yield from (("Speed", _sentence(one)) for one in summary.warnings if one.code == MACHINE_SPEED_CODE)
    yield "Runs", _runs_line(summary, runs)
    yield "Report", "every run with all its remarks, and what to do about each"


def _causes(runs: Sequence[RunResult]) -> list[list[Reason]]:
    """The runs' reasons by code, one of each run: what voids most runs first, then what most runs have.

    A server behind its rate has that in its row. Remarks on the paper's method are findings, no caveats.
    """
    found: dict[str, list[Reason]] = {}
    for run in runs:
        by_code: dict[str, Reason] = {}
        for reason in run.reasons:
            if reason.code in OF_ROWS or (run.cell.is_of_method and not reason.invalidates):
                continue
            known = by_code.get(reason.code)
            if known is None or reason.invalidates > known.invalidates:
                by_code[reason.code] = reason
        for code, reason in by_code.items():
            found.setdefault(code, []).append(reason)
    return sorted(found.values(), key=lambda reasons: (-_void(reasons), -len(reasons)))


def _void(reasons: Sequence[Reason]) -> int:
    return sum(one.invalidates for one in reasons)


def _cause_line(reasons: Sequence[Reason], of: int) -> str:
    worst = max(reasons, key=lambda one: one.invalidates)
    void = _void(reasons)
    runs = f"{len(reasons)} of {counted(of, 'run')}" + (f" ({void} void)" if void else "")
    words = CAUSES.get(worst.code)
    if words is None:
        text = f"{capital(worst.text)}; the like in {runs}"
    else:
        text = words.sentence.format(runs=runs) + _shares(reasons, words.share_of)
    return ". ".join(capital(part) for part in (text, worst.remedy) if part)


def _shares(reasons: Sequence[Reason], share_of: str) -> str:
    """``: 30 to 78 % of the load's cores``; empty where the reasons have no such figure."""
    shares = sorted(one.share for one in reasons if one.share is not None)
    if not shares or not share_of:
        return ""
    low, high = percent(shares[0]), percent(shares[-1])
    shown = high if low == high else f"{low.removesuffix(' %')} to {high}"
    return f": {shown} {share_of}"


def _wide_line(cells: Sequence[CellSummary]) -> Iterator[tuple[str, str]]:
    known = [
        (cell, figures.low / figures.median - 1, figures.high / figures.median - 1)
        for cell in cells
        if cell.valid and (figures := cell.requests_per_second).median
        if figures.low is not None and figures.high is not None
    ]
    wide = sorted(
        (one for one in known if max(-one[1], one[2]) > WIDE_SHARE), key=lambda one: one[1] - one[2]
    )
    if wide:
        names = [f"{cell.cell.title} {low * 100:+.0f} to {high * 100:+.0f} %" for cell, low, high in wide]
        verb = "reaches" if len(wide) == 1 else "reach"
        yield (
            "Wide",
            f"{len(wide)} of {counted(len(known), 'interval')} {verb} more than {percent(WIDE_SHARE)} from "
            f"the median: {_few(names)}",
        )


def _runs_line(summary: Summary, runs: Sequence[RunResult]) -> str:
    valid = sum(run.valid for run in runs)
    parts = [f"{valid} of {counted(len(runs), 'run')} valid"]
    if not summary.complete:
        parts.append(f"{summary.runs_planned - summary.runs_done} of {summary.runs_planned} planned missing")
    again = [_tried_again(run) for run in runs if run.attempt > 1]
    if again:
        tried = "was tried a second time" if len(again) == 1 else "were tried a second time"
        names = f" ({listed(again)})" if len(again) <= MOST_NAMES else ""
        parts.append(f"{counted(len(again), 'run')} {tried}{names}")
    shares = [share for run in runs if (share := load_share(run)) is not None]
    if shares:
        parts.append(f"a load worker's CPU at most {percent(max(shares))}")
    return "; ".join(parts)


def _tried_again(run: RunResult) -> str:
    name = f"{run.cell.title}, block {run.block}"
    had = [one.requests_per_second for one in run.earlier_attempts if one.requests_per_second is not None]
    return f"{name}: {rate(had[-1])} requests/s, then {rate(run.requests_per_second)}" if had else name


def _few(names: Sequence[str]) -> str:
    left = len(names) - MOST_NAMES
    return listed(list(names)) if left <= 0 else f"{'; '.join(names[:MOST_NAMES])} and {left} more"


def _sentence(reason: Reason) -> str:
    return ". ".join(capital(part) for part in (reason.text, reason.remedy) if part)
