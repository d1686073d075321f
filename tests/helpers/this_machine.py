"""Benchmarks of this machine alone, in folders of the test's own."""

from __future__ import annotations

import contextlib
import shutil
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


PROVISIONED = ("envs", "uv", "wheels")
"""What of a work folder is the same for everybody, and takes some ten seconds to make."""


@contextlib.contextmanager
def provisioned(shared: Path) -> Iterator[Path]:
    """A work folder in ``shared`` as new ones are, but for the environments that others have made there."""
    workdir = shared / "w"
    try:
        yield workdir
    finally:
        for path in workdir.iterdir() if workdir.is_dir() else ():
            if path.name in PROVISIONED or path.name.startswith(".asgibench"):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextlib.contextmanager
def this_machine(
    folder: Path, catalogue: str, inventory: str = LOCAL_INVENTORY, shared: Path | None = None
) -> Iterator[ThisMachine]:
    """``inventory`` has a place for ``{workdir}``. The work folder goes at the end.

    In ``shared``, which is of the whole run of the tests (fixture shared_work_folder), environments stay.
    """
    with contextlib.ExitStack() as stack:
        if shared is None:
            workdir = stack.enter_context(work_folder()) / "w"
        else:
            workdir = stack.enter_context(provisioned(shared))
        found = ThisMachine(folder, workdir)
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
