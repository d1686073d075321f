"""A lab of a test module's own, beside any that the user has up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.errors import LabError
from inventory.lab import LabHost, LabSpec, down, lab_hosts, up
from tests.helpers.program import BRIEF_PROFILE

SUBNETS = range(100, 200)
PORT = "8000"
USER_ID = 1000


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
    with own_subnet(network) as subnet:
        spec = LabSpec(
            loadgens=loadgens,
            state_directory=folder / "state",
            prefix=prefix,
            # Of this process, so that what another run of the tests left can't be in the way.
            bridge=f"asg{prefix[0]}{os.getpid() % 100_000}",
            subnet=subnet,
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


@contextlib.contextmanager
def own_subnet(network: str) -> Iterator[str]:
    """A /24 of ``network`` (two numbers) that no other test process on this machine has meanwhile."""
    folder = Path(tempfile.gettempdir()) / "asgibench-test-subnets"
    folder.mkdir(exist_ok=True)
    for step in range(len(SUBNETS)):
        number = SUBNETS[(os.getpid() + step) % len(SUBNETS)]
        with (folder / f"{network}.{number}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{network}.{number}.0/24"
            return
    cannot("every subnet for labs is in use")


class Lab(msgspec.Struct, frozen=True):
    """A lab with its inventory, a brief profile, and what its hosts do meanwhile."""

    folder: Path
    spec: LabSpec
    hosts: dict[str, LabHost]

    @property
    def inventory(self) -> Path:
        return self.folder / "lab.yml"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def bench(self, *words: str, inventory: Path | None = None) -> list[str]:
        return [
            "bench", "--hosts", str(inventory or self.inventory), "--profile", "brief",
            "--catalogue", str(self.folder / "own.toml"), "--results", str(self.results),
            "--port", PORT, *words,
        ]  # fmt: skip

    def ssh_log(self, host: str) -> str:
        return (self.hosts[host].root / "var/log/sshd.log").read_text()

    def processes_on(self, host: str) -> list[str]:
        """Command lines of the host's user, seen from outside: the host's init is their ancestor."""
        found = []
        for process in self.children(host):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                words = " ".join(process.cmdline())
                if process.uids().real == USER_ID and words and not words.startswith("sshd"):
                    found.append(words)
        return found

    def children(self, host: str) -> list[psutil.Process]:
        init = self.hosts[host].init
        assert init is not None
        return psutil.Process(init.pid).children(recursive=True)
