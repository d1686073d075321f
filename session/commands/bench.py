"""`./invoke bench`: the main job."""

from __future__ import annotations

from typing import Annotated

from bench.option import Option
from bench.plan.request import BenchRequest, Debug
from session.commands.answer import tell
from session.commands.command import Command, Example
from session.commands.shown import shown


class BenchOptions(BenchRequest, frozen=True):
    """A benchmark's request, and what concerns the terminal alone. An option is a field here or there."""

    dry_run: Annotated[
        bool, Option("print the plan, the commands and the time it will take; touch no host")
    ] = False
    debug: Debug = False


def run(options: BenchOptions) -> int:
    from reports.terminal.closing import closing_lines
    from reports.terminal.progress import Progress
    from session.benchmark import bench
    from session.finish import verdict_error
    from session.prepare import describe

    if options.dry_run:
        print("\n".join(describe(options)))
        return 0
    progress = Progress()
    progress.start()
    try:
        outcome = bench(options, progress)
    finally:
        progress.stop()
    print("\n".join(closing_lines(outcome.summary, outcome.runs)))
    error = outcome.error or verdict_error(outcome)
    status = 0 if error is None else tell(error, debug=options.debug)
    print(shown(outcome.report), flush=True)
    return status


COMMAND = Command(
    "bench",
    "Measure the servers on the hosts",
    BenchOptions,
    run,
    (
        Example("bench", "a first look on this machine, in about two minutes"),
        Example("bench --hosts lab --profile review --name first", "for a decision"),
        Example("bench --hosts lab --profile review --name first --resume", "go on after an interruption"),
        Example("bench --servers uvicorn,daphne --endpoints orders", "two servers, one endpoint"),
        Example("bench --rate 500,70%", "also latency at equal load"),
        Example("bench --dry-run", "the plan, every command and the time; nothing is touched"),
    ),
    details="The last line on stdout is the report's path.",
    interrupted="What was measured is saved, if anything was: go on with --resume and the same --name",
)
