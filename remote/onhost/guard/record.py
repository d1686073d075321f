"""What outlasts a guard: its log, and the record by which the next one ends what a killed one left."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from remote.onhost.processes import family, process_table

RECORD = "processes.json"


def write_record(folder: Path, processes: list[tuple[str, int, str]]) -> None:
    """``processes`` are (name, process number, start time) of those that are not known to have ended."""
    rows = [{"name": name, "pid": pid, "started": started} for name, pid, started in processes]
    temporary = folder / f"{RECORD}.new"
    temporary.write_text(json.dumps({"boot": boot_id(), "processes": rows}))
    temporary.replace(folder / RECORD)


def kill_leftovers(folder: Path) -> int:
    """End what an earlier guard left (it was killed itself); how many processes that were."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (FileNotFoundError, ValueError):
        return 0
    if record["boot"] != boot_id():
        return 0
    table = process_table()
    killed = 0
    for row in record["processes"]:
        kin = table.get(row["pid"])
        if kin is not None and kin.started != row["started"]:
            continue
        # The leader may be gone already (PR_SET_PDEATHSIG) and its children not: they keep its session.
        for pid in family({row["pid"]}, table):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def boot_id() -> str:
    """Differs after each start of the system; "" where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return ""


def log(text: str) -> None:
    """A line in guard.log, which is the guard's stderr."""
    print(f"{time.time():.3f} {text}", file=sys.stderr, flush=True)
