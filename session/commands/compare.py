"""`./invoke compare`: two benchmarks of one plan held against each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from bench.plan.request import Debug, Results
from session.commands.answer import tell
from session.commands.command import Command, Example
from session.commands.shown import shown


def share(text: str) -> float:
    """``5%`` as 0.05. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?) ?%", text)
    if found is None:
        raise ValueError("is a percentage from 0% to below 100%")
    return float(found[1]) / 100


class CompareOptions(msgspec.Struct, frozen=True):
    root: Path
    a: Annotated[
        str,
        Option(
            "what to compare with: a folder below results/, or a path",
            example="before",
            values="results",
            positional=True,
        ),
    ]
    b: Annotated[
        str,
        Option(
            "what is compared: the same; the page is written beside it",
            example="after",
            values="results",
            positional=True,
        ),
    ]
    fail_over: Annotated[
        float | None,
        Option(
            "pass only if B's throughput, p99 and memory are shown to be worse than A's by no more than this",
            example="5%",
            shown="SHARE",
            parse=share,
        ),
    ] = None
    results: Results = None
    debug: Debug = False


def run(options: CompareOptions) -> int:
    from bench.results.comparison import compare
    from bench.results.gate import gate, gate_error
    from reports.comparison.terminal import comparison_lines
    from reports.comparison.write import open_results, read_measured, write_comparison
    from reports.terminal.screen import terminal_columns

    root = options.results or options.root / "results"
    stores = open_results(root, options.a), open_results(root, options.b)
    compared = compare(*map(read_measured, stores))
    judged = None if options.fail_over is None else gate(compared, options.fail_over)
    page = write_comparison(stores[1], compared, judged)
    print("\n".join(comparison_lines(compared, judged, terminal_columns())))
    error = None if judged is None else gate_error(judged)
    status = 0 if error is None else tell(error, debug=options.debug)
    print(shown(page), flush=True)
    return status


COMMAND = Command(
    "compare",
    "Compare two results of one plan: ratios, intervals, rankings",
    CompareOptions,
    run,
    (
        Example("compare before after", "results/after/ against results/before/"),
        Example(
            "compare before after --fail-over 5%",
            "for CI: exit code 61 if it is worse by more, 62 if unknown",
        ),
    ),
    details=(
        "They were measured on other hosts or at another time. "
        "The last line on stdout is the path of the page."
    ),
)
