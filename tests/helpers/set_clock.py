"""A time of day that is set while real processes run: what `date -s` would do, without touching the machine.

``plant`` makes Python read a file at each look at the time of day and add what stands there. Monotonic clocks
are untouched, as they are when an administrator or a time service sets a real host's time.
"""

from __future__ import annotations

from pathlib import Path

_SITE = """
import time

_wall, _wall_ns = time.time, time.time_ns


def _set_by():
    try:
        with open({path!r}) as file:
            return float(file.read() or 0)
    except OSError:
        return 0.0


time.time = lambda: _wall() + _set_by()
time.time_ns = lambda: _wall_ns() + round(_set_by() * 1e9)
"""


class SetClock:
    """The time of day of Pythons that have ``folder`` in PYTHONPATH, or import a module it is planted in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "set-by"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(self._source)

    @property
    def _source(self) -> str:
        return _SITE.format(path=str(self._file))

    def plant(self, module: Path) -> None:
        """Into a file that is there: an environment with one more would be made again."""
        text = module.read_text()
        module.unlink()
        module.write_text(f"{text}\n{self._source}")

    def set_by(self, seconds: float) -> None:
        """From now on the time of day is this much ahead of the machine's own."""
        partial = self._file.with_suffix(".partial")
        partial.write_text(str(seconds))
        partial.rename(self._file)
