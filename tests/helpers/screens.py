"""What a terminal of a width shows, and what a file gets, as lines."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console

from bench.results.run import RunResult
from bench.results.summary import Summary
from reports.terminal.closing import print_closing


def closing_lines(
    summary: Summary, runs: Sequence[RunResult], columns: int | None = None, *, has_colour: bool = False
) -> list[str]:
    """The end of a benchmark; ``columns`` None: not on a terminal."""
    out = console_of(columns, has_colour=has_colour)
    print_closing(summary, runs, out, columns)
    return text_of(out).splitlines()


def console_of(columns: int | None, *, has_colour: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=columns or 80,
        force_terminal=columns is not None,
        color_system="standard" if has_colour else None,
        no_color=not has_colour,
        highlight=False,
        markup=False,
        emoji=False,
    )


def text_of(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()
