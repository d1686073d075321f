"""The version of asgibench in a checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path


def asgibench_version(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])
