"""Looks for what our work may have left on the host it runs on. Shipped: standard library only.

    python3 -I -B - marks WORKDIR < leftovers.py           before WORKDIR is removed
    python3 -I -B - look WORKDIR MARKS [PATIENCE] < leftovers.py    after it

``marks`` prints one line of JSON, a LeftoverMarks: what can't be found any more without the work folder.
``look`` takes that line and prints a Leftovers: what is there still after PATIENCE seconds, and what this
system doesn't show (bench/wire/leftovers.py).

A process is ours if its command line, working folder, program, open files or environment lie in WORKDIR.
Only what the user may read is seen, which is all that the user can have started.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IS_LINUX = sys.platform.startswith("linux")
POLL_SECONDS = 0.1
COMMAND_SECONDS = 10
SHOWN_CHARACTERS = 100
# Lines of postmaster.pid, as in PostgreSQL's utils/pidfile.h: the port; the shared memory's key and number.
PORT_LINE, MEMORY_LINE = 3, 6
# A shell keeps in these where it has been: that makes no process ours.
WANDERINGS = ("PWD=", "OLDPWD=", "_=")


def within(folder: str) -> re.Pattern[str]:
    """Finds the folder or a path below it in a text, and no other folder whose name begins alike."""
    return re.compile(re.escape(folder.rstrip("/")) + r"(?![\w.-])")


def output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def content(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


# ---------------------------------------------------------------- before


def marks(workdir: Path) -> dict[str, Any]:
    ports, memory = [], []
    for place, folders, names in os.walk(workdir):
        # Databases lie near the top; environments are deep and have none.
        if len(Path(place).relative_to(workdir).parts) >= 3:
            folders.clear()
        if "postmaster.pid" in names:
            lines = content(Path(place) / "postmaster.pid").splitlines()
            ports += [int(lines[PORT_LINE])] if len(lines) > PORT_LINE else []
            memory += [int(lines[MEMORY_LINE].split()[1])] if has_memory(lines) else []
    mapped = {path for pid, _ in processes(within(str(workdir))) for path in shared_files(pid)}
    return {"ports": ports, "shared_memory": memory, "shared_files": sorted(mapped)}


def has_memory(lines: list[str]) -> bool:
    return len(lines) > MEMORY_LINE and len(lines[MEMORY_LINE].split()) == 2


def shared_files(pid: int) -> set[str]:
    """The files in /dev/shm that a process maps (Linux)."""
    return set(re.findall(r"(/dev/shm/\S+)", content(Path(f"/proc/{pid}/maps"))))


# ---------------------------------------------------------------- after


def look(workdir: str, marked: dict[str, Any]) -> list[str]:
    found = [f"process {pid} ({why})" for pid, why in processes(within(workdir))]
    if os.path.lexists(workdir):
        found.append(f"the folder {workdir}")
    kept = set(shared_memory())
    found += [
        f"shared memory {one} (remove it with ipcrm -m {one})"
        for one in marked["shared_memory"]
        if one in kept
    ]
    found += [f"shared memory in {one}" for one in marked["shared_files"] if os.path.lexists(one)]
    found += [f"something listens on the database's port {port}" for port in marked["ports"] if answers(port)]
    return found


def look_patiently(workdir: str, marked: dict[str, Any], patience_seconds: float) -> list[str]:
    """What is on its way out gets the time to go."""
    deadline = time.monotonic() + patience_seconds
    while (found := look(workdir, marked)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def shared_memory() -> Iterator[int]:
    """The numbers of all System V segments."""
    text = content(Path("/proc/sysvipc/shm")) if IS_LINUX else output("ipcs", "-m")
    yield from linux_segments(text) if IS_LINUX else macos_segments(text)


def linux_segments(text: str) -> Iterator[int]:
    """Of /proc/sysvipc/shm: the second column below the heading."""
    for line in text.splitlines()[1:]:
        yield int(line.split()[1])


def macos_segments(text: str) -> Iterator[int]:
    """Of ``ipcs -m``: ``m  65536 0x0052e2c1 --rw------- …``."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "m" and words[1].isdigit():
            yield int(words[1])


# ---------------------------------------------------------------- processes


def processes(ours: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """(pid, what makes it ours) of each such process, but for this one and those above it."""
    yield from (
        linux_processes(ours)
        if IS_LINUX
        else listed_processes(ours, output("ps", "-axwwE", "-o", "pid=,ppid=,command="))
    )


def linux_processes(ours: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    above = linux_ancestors(os.getpid())
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and int(name) not in above:
            why = linux_reason(Path("/proc") / name, ours)
            if why:
                yield int(name), why


def linux_ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        stat = content(Path(f"/proc/{pid}/stat"))
        pid = int(stat[stat.rindex(")") + 2 :].split()[1]) if ")" in stat else 0
    return found


def linux_reason(process: Path, ours: re.Pattern[str]) -> str:
    """ "" for a process that is not ours, is a zombie, or can't be read."""
    words = content(process / "cmdline").replace("\0", " ").strip()
    if not words:
        return ""
    shown = words[:SHOWN_CHARACTERS]
    if ours.search(words):
        return shown
    for link, verb in (("cwd", "works in"), ("exe", "runs")):
        place = target(process / link)
        if ours.search(place):
            return f"{shown}: {verb} {place}"
    for variable in content(process / "environ").split("\0"):
        if ours.search(variable) and not variable.startswith(WANDERINGS):
            return f"{shown}: has {variable[:SHOWN_CHARACTERS]} in its environment"
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            place = target(descriptor)
            if ours.search(place):
                return f"{shown}: has {place} open"
    return ""


def target(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - " (deleted)" is no path
    except OSError:
        return ""


def listed_processes(ours: re.Pattern[str], listing: str) -> Iterator[tuple[int, str]]:
    """From ps, whose command column has the environment of the user's own processes behind it (-E)."""
    rows: dict[int, tuple[int, str]] = {}
    for line in listing.splitlines():
        words = line.split(None, 2)
        if len(words) == 3:
            rows[int(words[0])] = (int(words[1]), words[2])
    above, pid = set(), os.getpid()
    while pid in rows and pid not in above:
        above.add(pid)
        pid = rows[pid][0]
    for number, (_, command) in rows.items():
        words_of_work = [word for word in command.split() if not word.startswith(WANDERINGS)]
        if number not in above and any(ours.search(word) for word in words_of_work):
            yield number, command[:SHOWN_CHARACTERS]


def unseen() -> list[str]:
    return [] if IS_LINUX else ["the working folders and open files of processes: only Linux shows them"]


def main(arguments: list[str]) -> dict[str, Any]:
    if arguments[0] == "marks":
        return marks(Path(arguments[1]))
    patience_seconds = float(arguments[3]) if len(arguments) > 3 else 0.0
    return {
        "left": look_patiently(arguments[1], json.loads(arguments[2]), patience_seconds),
        "unseen": unseen(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
