"""A lab of a test module's own, beside any that the user has up."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import LabError
from inventory.lab import LabHost, LabSpec, down, lab_hosts, up
from tests.helpers.program import BRIEF_PROFILE

SUBNETS = range(100, 200)


def cannot(reason: str) -> None:
    """A skip that CI doesn't forgive."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI the lab must work: {reason}")
    pytest.skip(reason)


@contextlib.contextmanager
def own_lab(
    folder: Path,
    prefix: str,
    *,
    loadgens: int,
    network: str = "198.18",
    database: bool = False,
    releases: tuple[str, ...] = ("bookworm",),
) -> Iterator[tuple[LabSpec, dict[str, LabHost]]]:
    """Its spec and its hosts by name; in ``folder`` are its inventory, and own.toml with a brief profile."""
    if sys.platform != "linux" or os.geteuid() != 0:
        cannot("lab hosts need Linux and root")
    (folder / "own.toml").write_text(BRIEF_PROFILE)
    spec = LabSpec(
        loadgens=loadgens,
        state_directory=folder / "state",
        prefix=prefix,
        # Of this process, so that what another run of the tests left can't be in the way.
        bridge=f"asg{prefix[0]}{os.getpid() % 100_000}",
        subnet=f"{network}.{SUBNETS.start + os.getpid() % len(SUBNETS)}.0/24",
        database=database,
        releases=releases,
    )
    try:
        try:
            up(spec, inventory_directory=folder, report=lambda line: None)
        except LabError as error:
            cannot(str(error))
        yield spec, {host.spec.name: host for host in lab_hosts(spec.state_directory)}
    finally:
        down(inventory_directory=folder, report=lambda line: None, state_directory=spec.state_directory)
