"""rich's consoles, as every command uses them."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

WITHOUT_WRAPPING = 10_000


def console(*, stderr: bool = False, is_quiet: bool = False) -> Console:
    """One that takes text as it is: names and paths may look like markup or like an emoji's name."""
    return Console(stderr=stderr, quiet=is_quiet, highlight=False, markup=False, emoji=False)


def table_lines(table: Table) -> list[str]:
    """The table for a file or another program: each row on one line, plain text, no spaces at its end."""
    whole = Console(file=io.StringIO(), width=WITHOUT_WRAPPING, color_system=None, markup=False, emoji=False)
    with whole.capture() as captured:
        whole.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]
