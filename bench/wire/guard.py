"""Between the controller and a host's guard: each verb's request and answer, and what the guard says unasked.

A connection begins as bench/wire/attach.py says. Then a request is one line with ``id`` (a number of the
sender's) and ``do`` (its verb, see REQUESTS). Its answer has the same ``id`` and ``ok``: true with the fields
of the verb's answer, or false with those of GuardFailure. Answers come in any order. A line with ``event`` is
a ProcessEnded, which comes unasked.

Paths are absolute or below the work folder, and never lead out of it. Bytes travel as base64.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# ---------------------------------------------------------------- processes


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Start a process that goes on by itself. A process of that name must not be running."""

    name: str
    argv: tuple[str, ...]
    log: str  # both of its outputs are added to this file
    env: dict[str, str] = field(default_factory=dict)  # beside the few variables that the guard passes on
    cwd: str | None = None  # None: the work folder
    cores: tuple[int, ...] | None = None  # the CPU numbers to pin it to (Linux); None: all
    user: str | None = None  # the user that it runs as, if the guard is root; None: the guard's own


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    pid: int


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Signal a process, wait, then kill what is left of its family. Answered when none is left."""

    name: str
    signal: str = "SIGTERM"
    grace_seconds: float = 10.0  # from the signal to the killing


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a stopped process ended."""

    exit_status: int  # below 0: the signal that ended it
    killed: int  # how many processes of its family SIGKILL had to end
    seconds: float  # how long stopping took


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a command to its end. Answered then."""

    argv: tuple[str, ...]
    timeout_seconds: float  # after so long it is killed with its family
    stdin: str = ""  # base64; for little input
    stdin_file: str | None = None  # instead of ``stdin``; removed afterwards
    env: dict[str, str] = field(default_factory=dict)  # as in StartProcess, and so are the next three
    cwd: str | None = None
    cores: tuple[int, ...] | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class CommandEnded:
    exit_status: int  # below 0: the signal that ended it
    stdout: str  # base64
    stderr: str  # base64
    timed_out: bool


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """``exit``, unasked: a started process has ended by itself."""

    name: str
    exit_status: int  # below 0: the signal that ended it


# ---------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class TailFile:
    path: str
    size_bytes: int  # of its end; a shorter file comes whole


@dataclass(frozen=True, slots=True)
class FileTail:
    text: str  # bytes that are no UTF-8 are replaced
    file_bytes: int  # of the whole file


@dataclass(frozen=True, slots=True)
class ReadFile:
    """One piece of a file: the whole of it may be too long for one answer."""

    path: str
    offset: int  # in bytes, where the piece begins
    size_bytes: int = 8_000_000  # at most


@dataclass(frozen=True, slots=True)
class FilePiece:
    data: str  # base64 of zlib
    more: bool  # whether the file goes on behind it


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a whole file, its folders with it."""

    path: str
    data: str  # base64
    mode: int = 0o600  # of a file that is new


@dataclass(frozen=True, slots=True)
class RemovePath:
    """Remove a file, or a folder with all that is in it. What is not there is no error."""

    path: str


# ---------------------------------------------------------------- network, clock, lease


@dataclass(frozen=True, slots=True)
class CheckPort:
    """Could a server listen there? Port 0: which port is free now?"""

    address: str  # a numeric one or a name
    port: int
    bind_only: bool = False  # False: also see whether something answers there


@dataclass(frozen=True, slots=True)
class PortState:
    port: int  # as asked, or the free one
    errno_name: str  # EADDRINUSE and the like, "" where listening works
    error: str  # the system's own words for it
    is_answered: bool  # something accepts connections there already


@dataclass(frozen=True, slots=True)
class TellProcess:
    """One line to a process of ours that listens on a unix socket, one line back."""

    socket: str  # its path
    line: str  # without the line feed
    patience_seconds: float


@dataclass(frozen=True, slots=True)
class ProcessTold:
    line: str  # without the line feed


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Keeps the guard from ending; so does every other request."""


@dataclass(frozen=True, slots=True)
class AskClock:
    pass


@dataclass(frozen=True, slots=True)
class ClockTime:
    """Both of the host's clocks at one moment, in seconds."""

    time: float  # since 1970: anybody may set it
    monotonic: float  # of all processes of the host alike; nobody can set it


@dataclass(frozen=True, slots=True)
class ReleaseHost:
    """Stop everything and end. Answered when nothing is left."""


@dataclass(frozen=True, slots=True)
class Done:
    """The answer where there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class GuardFailure:
    """The request could not be met."""

    # For the program: the name of an errno, ``outside`` (a path leads out of the work folder), ``running``,
    # ``unknown`` (no process has that name), ``not_started``, ``releasing``, ``closed`` or ``broken``.
    kind: str
    error: str  # for the reader


REQUESTS = {
    "start": StartProcess,
    "stop": StopProcess,
    "run": RunCommand,
    "tail": TailFile,
    "read": ReadFile,
    "write": WriteFile,
    "remove": RemovePath,
    "port": CheckPort,
    "tell": TellProcess,
    "renew": RenewLease,
    "clock": AskClock,
    "release": ReleaseHost,
}
