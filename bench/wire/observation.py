"""What a running server was seen to do before its load: observe.py's part of what answers.py prints."""

from __future__ import annotations

from dataclasses import dataclass

ConfigurationValue = str | int | bool | None
"""None: not to be seen from within the process."""

Configuration = dict[str, ConfigurationValue]
"""What a process of the server says of itself (testapp/process.py)."""


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """Seen from within the server's processes, on the wire, in its log, and by the system."""

    configurations: tuple[Configuration, ...]  # of each process that has answered, by process number
    # The processes that wait for connections at its port; None: the system doesn't tell, or nothing does so
    # in a way that it shows.
    accepting_pids: tuple[int, ...] | None
    status_line: str  # of an answer, as it came
    header_lines: tuple[str, ...]  # of the same answer, as they came
    head_bytes: int  # of the same answer: status line and headers, with the empty line
    kept_alive: bool  # the connection of that answer took another request after ``idle_seconds``
    idle_seconds: float
    requests: int  # asked while the log was watched
    log_lines: int  # that its log grew by meanwhile
    log_bytes: int  # of its log, when all this was seen
    # How many connections may wait at its Unix socket, by the kernel; None: it has none, or it isn't known.
    unix_backlog: int | None = None
