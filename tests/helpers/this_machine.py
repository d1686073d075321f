"""Benchmarks of this machine alone, in folders of the test's own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.helpers.ports import free_port
from tests.helpers.program import LOCAL_INVENTORY, work_folder

SPIN_ON_CORE = (
    "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nprint(flush=True)\nwhile True: pass"
)


class ThisMachine(msgspec.Struct, frozen=True):
    """An inventory of this machine alone, a catalogue and results in ``folder``, and its work folder."""

    folder: Path
    workdir: Path

    @property
    def inventory(self) -> Path:
        return self.folder / "here.yml"

    @property
    def catalogue(self) -> Path:
        return self.folder / "own.toml"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def bench(self, name: str, *more: str) -> tuple[str, ...]:
        """The words of a benchmark ``name``."""
        return (
            "bench", "--hosts", str(self.inventory), "--catalogue", str(self.catalogue),
            "--results", str(self.results), "--name", name, "--port", str(free_port()), *more,
        )  # fmt: skip


@contextlib.contextmanager
def this_machine(folder: Path, catalogue: str, inventory: str = LOCAL_INVENTORY) -> Iterator[ThisMachine]:
    """``inventory`` has a place for ``{workdir}``; the work folder goes at the end."""
    with work_folder() as outside:
        found = ThisMachine(folder, outside / "w")
        found.inventory.write_text(inventory.format(workdir=found.workdir))
        found.catalogue.write_text(catalogue)
        yield found


@contextlib.contextmanager
def busy_core(core: int) -> Iterator[None]:
    """A program that takes all that it can have of this core. Linux only."""
    with subprocess.Popen([sys.executable, "-c", SPIN_ON_CORE, str(core)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()
