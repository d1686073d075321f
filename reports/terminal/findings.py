"""The findings of hosts.check on the terminal: what stops the plan, what limits it, what is well."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from bench.environment.readiness import Finding, State, by_state

TITLES: dict[State, str] = {
    "stops": "Stops the plan",
    "limits": "Limits it, or makes its figures shaky",
    "ok": "Well",
}
# Narrower than this, host and text stand one below the other.
LEAST_TEXT_COLUMNS = 44


def terminal_columns() -> int | None:
    """The terminal's width. None where the output is no terminal, but a file or another program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def finding_lines(findings: Sequence[Finding], columns: int | None) -> list[str]:
    """The findings in groups, the worst first; wrapped to ``columns``, or one line per finding for None."""
    lines: list[str] = []
    hosts = max((len(one.host) for one in findings), default=0)
    whats = max((len(one.what) for one in findings), default=0)
    indent = 2 + hosts + 2 + whats + 2
    is_narrow = columns is not None and columns - indent < LEAST_TEXT_COLUMNS
    for state, found in by_state(findings).items():
        lines += ["", TITLES[state]] if lines else [TITLES[state]]
        for one in found:
            text = one.text if not one.remedy else f"{one.text}. {one.remedy[0].upper()}{one.remedy[1:]}"
            if is_narrow:
                lines += [f"  {one.host}  {one.what}", *_wrapped(text, "    ", "    ", columns)]
            else:
                first = f"  {one.host:<{hosts}}  {one.what:<{whats}}  "
                lines += _wrapped(text, first, " " * indent, columns)
    return lines


def _wrapped(text: str, first: str, rest: str, columns: int | None) -> list[str]:
    if columns is None:
        return [first + text]
    return textwrap.wrap(
        text,
        width=max(columns, 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
