"""`./invoke report`: results judged and rendered again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from bench.plan.request import Debug, Results
from session.commands.command import Command, Example
from session.commands.shown import shown


class ReportOptions(msgspec.Struct, frozen=True):
    root: Path
    name: Annotated[
        str,
        Option("a folder below results/, or a path", example="first", values="results", positional=True),
    ]
    results: Results = None
    debug: Debug = False


def run(options: ReportOptions) -> int:
    from reports.comparison.write import open_results
    from session.finish import render_again

    print(shown(render_again(open_results(options.results or options.root / "results", options.name))))
    return 0


COMMAND = Command(
    "report",
    "Judge and render results again",
    ReportOptions,
    run,
    (
        Example("report first", "results/first/"),
        Example("report /copied/results/first", "results that lie elsewhere"),
    ),
    details="Only the results are read, no host. The last line on stdout is the report's path.",
)
