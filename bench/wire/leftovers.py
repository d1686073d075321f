"""What leftovers.py prints. It is a single script, so a test holds its keys against these types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftoverMarks:
    """What can't be found any more once the work folder is removed. ``look`` is given it back."""

    ports: tuple[int, ...]  # of databases in the work folder
    shared_memory: tuple[int, ...]  # the numbers of their System V segments
    shared_files: tuple[str, ...]  # files in /dev/shm that processes of ours map (Linux)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was looked for afterwards."""

    left: tuple[str, ...]  # what is there still, a text for each
    unseen: tuple[str, ...]  # what can't be looked at on this system
