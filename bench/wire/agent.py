"""What controller and agent say to each other on the agent's control socket: one line each way.

A request's line names its kind with ``do``, an answer's with ``event``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.wire.codec import decode_tagged, encode_line

RefusalKind = Literal["request", "busy", "idle", "no_process", "storage", "yardstick"]
"""request: no request, or a field is out of range; busy: another run is being sampled; idle: none is;
no_process: a target has ended or is hidden; storage: the host's disk refuses; yardstick: its work can't be
done on that core."""

EndReason = Literal["asked", "targets_gone", "max_seconds", "signal"]
"""Why the sampling of a run ended: an ``end``, the last target's end, the time that ``begin`` allows, or a
signal to the agent."""


# ---------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Begin:
    """Sample until ``End``. Answered by Begun. Replaces the file of an earlier run of the same name."""

    run: str  # names the file: letters, digits and . _ + -
    targets: dict[str, int]  # a name to the process whose tree is sampled under it
    interval_seconds: float = 0.1  # from one sample to the next; 0.01 to 60
    full_interval_seconds: float = 1.0  # between the readings that cost more, the interval at least; to 3600
    max_seconds: float = 3600.0  # stop by itself after this long; 0.01 to 86400
    # Of a target that is several trees: the further processes, which are sampled under the same name.
    also: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peek:
    """What is there now? Answered by Peeked."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """Do the yardstick's fixed work once on one core, in a run or between runs. Answered by Gauged.

    Only while the core is idle: it takes some 10 ms of it.
    """

    core: int | None = None  # as the host's system numbers it; None: any that the agent may use


@dataclass(frozen=True, slots=True)
class End:
    """Stop sampling, or report how the last run ended; may be repeated. Answered by Ended."""


# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Begun:
    path: str  # the samples file on the host
    processes: dict[str, int]  # how many each target's tree has


@dataclass(frozen=True, slots=True)
class TreeNow:
    """The latest sums over a target's tree."""

    rss_bytes: int
    cpu_seconds: float  # user and system, of the processes that are there, since each began
    processes: int
    core_share: float | None  # over the last second or two; None: the run is younger. 1.0 is one core in full


@dataclass(frozen=True, slots=True)
class Peeked:
    targets: dict[str, TreeNow]  # those that haven't ended


@dataclass(frozen=True, slots=True)
class Gauged:
    """How long the yardstick's two pieces of fixed work took, each in CPU time and by the clock."""

    core: int | None  # None: the system can't pin, so it was any core
    computing_cpu_seconds: float  # an interpreter's loop over memory
    computing_wall_seconds: float
    kernel_cpu_seconds: float  # short messages there and back over loopback TCP
    kernel_wall_seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The file is closed and on the disk."""

    run: str
    path: str
    lines: int
    bytes: int
    sha256: str  # of the file, in hexadecimal
    reason: EndReason
    samples: int
    missed: int  # slots of the schedule that were lost
    late_max: float  # seconds
    late_mean: float  # seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that could not be met. ``run`` is named where its file could not be finished."""

    kind: RefusalKind
    error: str
    remedy: str
    run: str = ""


Request = Begin | Peek | Gauge | End
Answer = Begun | Peeked | Gauged | Ended | Refusal

REQUESTS: dict[str, type[Request]] = {"begin": Begin, "peek": Peek, "gauge": Gauge, "end": End}
ANSWERS: dict[str, type[Answer]] = {
    "begun": Begun,
    "peeked": Peeked,
    "gauged": Gauged,
    "ended": Ended,
    "refused": Refusal,
}
_REQUEST_NAMES = {kind: name for name, kind in REQUESTS.items()}
_ANSWER_NAMES = {kind: name for name, kind in ANSWERS.items()}


def encode_request(request: Request) -> bytes:
    return encode_line(request, do=_REQUEST_NAMES[type(request)])


def decode_request(line: bytes | str) -> Request:
    """Raises WireError."""
    found: Request = decode_tagged(REQUESTS, "do", line)
    return found


def encode_answer(answer: Answer) -> bytes:
    return encode_line(answer, event=_ANSWER_NAMES[type(answer)])


def decode_answer(line: bytes | str) -> Answer:
    """Raises WireError."""
    found: Answer = decode_tagged(ANSWERS, "event", line)
    return found
