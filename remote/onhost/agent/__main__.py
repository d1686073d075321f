"""``python -m remote.onhost.agent --control PATH --directory D``

Listens on the unix socket PATH (bench/wire/agent.py has the requests) until it is signalled with SIGTERM or
SIGINT, and writes each run's samples to D/NAME.jsonl (bench/wire/samples.py has the lines). It depends on
nothing but its own disk: a run goes on when every client has gone. "ready" on stdout says that it listens.

Exit statuses: 0 signalled; 3 another agent answers on PATH; 4 it could not start (stderr says why).
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

from remote.onhost.agent.agent import Agent
from remote.onhost.agent.host import allow_many_files, reader_here
from remote.onhost.agent.serve import listen, serve

ALREADY_STATUS = 3
FAILED_STATUS = 4


def run_agent(control: Path, directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    control, directory = control.absolute(), directory.absolute()
    allow_many_files()
    listener = listen(control)
    if listener is None:
        print(f"another agent answers on {control}", file=sys.stderr)
        return ALREADY_STATUS
    wake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    print("ready", flush=True)
    reader = reader_here()
    try:
        serve(Agent(reader, directory), listener, wake)
    finally:
        Path(control.name).unlink(missing_ok=True)
        reader.close()
        for end in (listener, wake, waker):
            end.close()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    try:
        return run_agent(options.control, options.directory)
    except OSError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED_STATUS


if __name__ == "__main__":
    sys.exit(main())
