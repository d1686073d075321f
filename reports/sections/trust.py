"""What bounds the figures, who was busy, whether the hosts drifted, and what measuring cost."""

from __future__ import annotations

from collections.abc import Sequence

from bench.judge.registry import RULES
from bench.results.run import RunResult
from reports.charts.busy import busy_figure
from reports.charts.drift import drift_figure
from reports.page.parts import Facts, Heading, Item, Items, Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.ceilings import ceilings_table
from reports.tables.table import Fact
from reports.words.bodies import bodies_checked
from reports.words.cautions import cautions
from reports.words.numbers import counted, duration, percent
from reports.words.sentences import validity
from reports.words.shares import agent_shares, load_share, overhead_share


def _parts(results: Results) -> tuple[Part, ...]:
    contests, runs = results.contests, results.runs
    return (
        _validity(results),
        *_cautions(results),
        busy_figure(contests, runs),
        ceilings_table(contests, runs, results.calibration),
        *_drift(results),
        Heading("What measuring cost"),
        Facts(_costs(runs)),
    )


def _validity(results: Results) -> Facts:
    summary, runs = results.summary, results.runs
    valid = sum(run.valid for run in runs)
    shares = [share for run in runs if (share := load_share(run)) is not None]
    failures = sum(sum(run.failures.values()) for run in runs)
    requests = sum(run.requests for run in runs)
    facts = (
        Fact("Runs", validity(summary, valid)),
        Fact("Load worker’s CPU, at most", percent(max(shares, default=None))),
        *_counted(runs),
        *(Fact(f"Answers of {endpoint}", text) for endpoint, text in bodies_checked(runs)),
        Fact("Failures", f"{failures:,} beside {requests:,} requests answered in the windows"),
    )
    return Facts(facts, is_bad=not summary.complete or valid < len(runs))


def _counted(runs: Sequence[RunResult]) -> tuple[Fact, ...]:
    """The app and the engine count by themselves; all other counts are made of the engine's."""
    known = [run.counts for run in runs if run.counts.server is not None]
    if not known:
        return ()
    alike = sum(0 <= (one.server or 0) - one.engine <= one.in_flight_at_stop for one in known)
    return (
        Fact(
            "Counts of the app and of the engine",
            f"agree in {alike} of {counted(len(known), 'run')}; "
            "Locust’s and the spool’s are made of the engine’s",
        ),
    )


def _cautions(results: Results) -> tuple[Part, ...]:
    found = cautions(results.plan, results.environment, results.summary, results.runs)
    if not found:
        return (Paragraph(_nothing_found()),)
    items = tuple(Item(f"{reason.text}.", f"{reason.remedy}." if reason.remedy else "") for reason in found)
    return (Heading("What bounds these figures"), Items(items))


def _nothing_found() -> str:
    """What was looked for, and that this isn't everything."""
    return (
        f"None of the judge’s {len(RULES)} rules found anything in any run: no failures, no counts that "
        "disagree, no party but the server at its limit, no more than 3 % of the cores taken by other "
        "programs or by the hypervisor, no change of the machine’s speed or of its clocks beyond the rules’ "
        "lines. What no rule looks for, or what a host doesn’t show, is not excluded."
    )


def _drift(results: Results) -> tuple[Part, ...]:
    figure = drift_figure(results.contests, results.runs, results.plan)
    if figure is not None:
        return (figure,)
    return (
        Heading("Drift"),
        Paragraph(
            "Each cell was run once, so drift of the hosts can’t be told from differences between servers."
        ),
    )


def _costs(runs: Sequence[RunResult]) -> tuple[Fact, ...]:
    total = sum(run.timing.total_seconds for run in runs)
    share = percent(overhead_share(runs))
    agents = [
        Fact(f"Agent on {host}", f"{percent(cpu)} of a core at most")
        for host, cpu in agent_shares(runs).items()
    ]
    return (
        Fact("Time of all runs", duration(total)),
        Fact("Overhead", f"{share} of it: neither warm-up, window nor memory rest"),
        *agents,
    )


SECTION = SectionSpec("trust", "Can I trust it?", 20, _parts)
