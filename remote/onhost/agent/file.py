"""The file of one run."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class RunFile:
    """The lines of one run: written as they come, counted and hashed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def write(self, line: bytes) -> None:
        """``line`` ends with a newline. Raises OSError where the disk refuses."""
        view = memoryview(line)
        while view:
            view = view[os.write(self._file, view) :]
        self._hash.update(line)
        self.lines += 1
        self.size_bytes += len(line)

    def sync(self) -> None:
        """Raises OSError where the disk refuses."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
