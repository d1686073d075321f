"""What Locust's FastHttpUser reached in a calibration. Its Locust process to the controller, in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocustFigure:
    """One window of one Locust process."""

    requests: int  # failures included, as Locust counts
    failures: int
    seconds: float
    cpu_seconds: float  # of the process
