"""`./invoke bench`: the main job."""

from __future__ import annotations

from typing import Annotated

from bench.errors import AsgibenchError, Interrupted
from bench.option import Option
from bench.plan.request import BenchRequest, Debug
from session.commands.answer import tell
from session.commands.command import Command, Example
from session.commands.opening import open_file
from session.commands.shown import say, shown

INTERRUPTED = "What was measured is saved, if anything was: go on with --resume and the same --name"


class BenchOptions(BenchRequest, frozen=True):
    """A benchmark's request, and what concerns the terminal alone. An option is a field here or there."""

    dry_run: Annotated[
        bool, Option("print the plan, the commands and the time it will take; touch no host")
    ] = False
    quiet: Annotated[
        bool, Option("print errors and the report's path, nothing else", not_with=("dry-run",))
    ] = False
    json: Annotated[
        bool,
        Option(
            "print one JSON object in place of the table: exit code, report, error, summary",
            not_with=("dry-run",),
        ),
    ] = False
    open: Annotated[bool, Option("open the report when it is written", not_with=("dry-run",))] = False
    debug: Debug = False


def run(options: BenchOptions) -> int:
    from reports.terminal.closing import print_closing
    from reports.terminal.consoles import console
    from reports.terminal.outcome import outcome_json
    from reports.terminal.progress import Progress
    from reports.terminal.screen import terminal_columns
    from session.benchmark import bench
    from session.finish import verdict_error
    from session.prepare import describe

    if options.dry_run:
        print("\n".join(describe(options)))
        return 0
    progress = Progress(console(stderr=True, is_quiet=options.quiet))
    progress.start()
    try:
        outcome = bench(options, progress)
    except (AsgibenchError, KeyboardInterrupt) as stopped:
        # What is printed while the lines are redrawn would go where they are.
        progress.stop()
        if options.json:
            print(outcome_json(_as_error(stopped)), flush=True)
        raise
    finally:
        progress.stop()
    error = outcome.error or verdict_error(outcome)
    if not options.quiet and not options.json:
        print_closing(outcome.summary, outcome.runs, console(), terminal_columns())
    status = 0 if error is None else tell(error, debug=options.debug)
    path = shown(outcome.report)
    print(outcome_json(error, path, outcome.summary) if options.json else path, flush=True)
    if options.open and (problem := open_file(outcome.report)):
        say(f"The report can't be opened: {problem}")
    return status


def _as_error(stopped: AsgibenchError | KeyboardInterrupt) -> AsgibenchError:
    if isinstance(stopped, AsgibenchError):
        return stopped
    return Interrupted("interrupted", remedy=INTERRUPTED)


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
        Example("bench --json", "for a program: one JSON object on stdout"),
    ),
    details="The last line on stdout is the report's path.",
    interrupted=INTERRUPTED,
)
