"""The version of asgibench that plans, results and ceilings are marked with."""

from __future__ import annotations

import tomllib
from pathlib import Path


def asgibench_version(root: Path) -> str:
    """As the checkout at ``root`` has it in its pyproject.toml."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])
