"""The findings of hosts.check on the terminal: what stops the plan, what limits it, what is well."""

from __future__ import annotations

from collections.abc import Sequence

from bench.environment.readiness import Finding, State, by_state
from reports.terminal.screen import wrapped

TITLES: dict[State, str] = {
    "stops": "Stops the plan",
    "limits": "Limits it, or makes its figures shaky",
    "ok": "Well",
}
# Narrower than this, host and text stand one below the other.
LEAST_TEXT_COLUMNS = 44


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
                lines += [f"  {one.host}  {one.what}", *wrapped(text, "    ", "    ", columns)]
            else:
                first = f"  {one.host:<{hosts}}  {one.what:<{whats}}  "
                lines += wrapped(text, first, " " * indent, columns)
    return lines
