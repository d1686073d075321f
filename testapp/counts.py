"""How many requests the app answered, as it counted them itself. Shipped; standard library only.

In the app, each process maps a file ``DIRECTORY/<pid>.counts`` of unsigned 64-bit numbers in the machine's
byte order, one for each of ``COUNTED``, and adds to them in place. The mapping is shared, so what was
counted stays in the file however the process ends, SIGKILL included.

``python -m testapp.counts DIRECTORY`` prints ``{workload: n}``, summed over the processes, and ends with 0;
with ``--by-process`` it prints ``{pid: {workload: n}}``.
Where that can't be read it prints ``{"error": ..., "remedy": ...}`` and ends with 1.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from testapp.workloads import WORKLOADS

COUNTED = tuple(WORKLOADS)
SUFFIX = ".counts"
_LAYOUT = struct.Struct(f"={len(COUNTED)}Q")


class AnswerCounts:
    """The counts of this process. Without a directory nothing is counted.

    The file is opened at the first answer, by the process that gives it: a server that forks its workers
    after it has loaded the app gets one file for each of them. From then on ``slots`` are the counts, to be
    added to in place of calling ``add``, where a call is too much.
    """

    __slots__ = ("_directory", "slots")

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.slots: memoryview | None = None

    def add(self, slot: int) -> None:
        """Count one answer of ``COUNTED[slot]``. The first call may raise OSError."""
        if self.slots is not None:
            self.slots[slot] += 1
        elif self._directory is not None:
            self.slots = _map_slots(self._directory / f"{os.getpid()}{SUFFIX}")
            self.slots[slot] += 1


def read_counts(directory: Path) -> dict[str, int]:
    """The answers of all processes together, by workload. Raises as ``read_counts_by_process``."""
    each = read_counts_by_process(directory).values()
    return {workload: sum(counts[workload] for counts in each) for workload in COUNTED}


def read_counts_by_process(directory: Path) -> dict[str, dict[str, int]]:
    """Of each process that has answered, by its number as text, the answers by workload.

    Raises FileNotFoundError without the directory, ValueError for a file that is no counts file.
    """
    return {
        path.stem: dict(zip(COUNTED, _read_slots(path), strict=True))
        for path in sorted(directory.iterdir())
        if path.suffix == SUFFIX
    }


def _map_slots(path: Path) -> memoryview:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # A process id comes again in time: what an earlier process counted stays counted.
        os.ftruncate(descriptor, _LAYOUT.size)
        return memoryview(mmap.mmap(descriptor, _LAYOUT.size)).cast("Q")
    finally:
        os.close(descriptor)


def _read_slots(path: Path) -> tuple[int, ...]:
    content = path.read_bytes()
    if not content:  # between the making of the file and its first count
        return (0,) * len(COUNTED)
    if len(content) != _LAYOUT.size:
        raise ValueError(f"{path} has {len(content)} bytes, not {_LAYOUT.size}")
    return _LAYOUT.unpack(content)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; see the top of the file."""
    parser = argparse.ArgumentParser(prog="testapp.counts", description="Print what the app has counted.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--by-process", action="store_true")
    asked = parser.parse_args(arguments)
    directory: Path = asked.directory
    try:
        print(json.dumps(read_counts_by_process(directory) if asked.by_process else read_counts(directory)))
    except (OSError, ValueError) as error:
        remedy = "Start the server with ASGIBENCH_COUNTS naming a folder of its own"
        print(json.dumps({"error": str(error), "remedy": remedy}))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
