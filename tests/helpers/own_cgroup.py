"""A control group of a test's own, with a CPU quota: real, so it needs root and a kernel that has them."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.onhost.quota import Mount, cpu_mount

PERIOD_MICROSECONDS = 100_000


def quota_group() -> tuple[Mount, Path]:
    """The mounted tree, and a new group of it. Skips the test where none can be made."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs Linux's control groups, and root to make one")
    mount = cpu_mount(Path("/proc/self/mountinfo").read_text())
    if mount is None:
        pytest.skip("no control groups with the CPU's controller are mounted")
    top = Path(mount.point)
    try:
        if mount.version == 2:
            (top / "cgroup.subtree_control").write_text("+cpu")
        return mount, Path(tempfile.mkdtemp(prefix="asgibench-test-", dir=top))
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")


@contextlib.contextmanager
def cpu_quota(cores: float) -> Iterator[Path]:
    """A group whose processes may use so many cores together: its ``cgroup.procs`` takes them in."""
    mount, folder = quota_group()
    quota = int(cores * PERIOD_MICROSECONDS)
    try:
        if mount.version == 2:
            (folder / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
        yield folder
    finally:
        _removed(folder)


def _removed(folder: Path) -> None:
    """Its last process may be ending."""
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return
    folder.rmdir()


def joining(folder: Path) -> str:
    """Python for a process that is to run in the group: its first statements."""
    return f"import os; open({str(folder / 'cgroup.procs')!r}, 'w').write(str(os.getpid())); "
