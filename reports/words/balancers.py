"""What stands before a server, in words."""

from __future__ import annotations

from bench.balancers import balancer_title
from bench.results.cell import Cell
from bench.results.summary import CellSummary


def name_of(cell: Cell | CellSummary) -> str:
    """``daphne behind HAProxy``."""
    return f"{cell.server}{behind(cell)}"


def behind(cell: Cell | CellSummary) -> str:
    """Empty without one."""
    return f" behind {balancer_title(cell.balancer)}" if cell.balancer else ""
