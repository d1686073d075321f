"""Real processes and trees of them, whose memory and CPU is known."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil

MIB = 1 << 20

READY = "print('ready', flush=True)\n"
WAIT = "import sys; sys.stdin.read()\n"
HOLD_50_MIB = f"held = b'x' * (50 << 20)\n{READY}{WAIT}"
# A child that has a child, which holds the memory.
GRANDCHILD = f"""
import subprocess, sys
if len(sys.argv) < 3:
    subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[1], 'grandchild'])
else:
    held = b'x' * (50 << 20)
    {READY}    {WAIT}"""
BUSY = "print('ready', flush=True)\nwhile True: pass\n"
TWO_BUSY_THREADS = f"""
import hashlib, threading
block = bytes(1 << 22)
def work():
    while True:
        hashlib.sha256(block).digest()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
{READY}
threading.Event().wait()
"""
# Starts a child for each line it reads, and one in a session of its own for "session".
SPAWNER = """
import subprocess, sys
children = []
print('ready', flush=True)
for line in sys.stdin:
    if line.strip() == 'stop':
        children.pop().kill()
        continue
    children.append(subprocess.Popen(['sleep', '60'], start_new_session=line.strip() == 'session'))
    print(children[-1].pid, flush=True)
for child in children:
    child.kill()
"""
# Its child is given away to init (or a subreaper) but stays in the session.
ORPHAN = """
import os, subprocess, sys
if os.fork() == 0:
    child = subprocess.Popen(['sleep', '60'])
    print(child.pid, flush=True)
    os._exit(0)
os.wait()
sys.stdin.read()
"""


@contextlib.contextmanager
def program(code: str, *arguments: str, session: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line; its whole session is ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=session,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    family: list[psutil.Process] = []
    try:
        yield process
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        if session:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
