"""The first way onto a host: a program of ours on standard input, before any file of ours is there.

Either a single script, or a program of several modules. Nothing is written on the host: what shall stay there
goes the second way (remote/provision/ship.py). No other module reads our own sources from the disk.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Literal

import msgspec

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "remote/onhost/bootstrap"
Script = Literal["probe", "leftovers"]
GUARD = "remote.onhost.guard.__main__"
ENVIRONMENTS = "remote.onhost.environments"
CONDITION = "remote.onhost.condition"
INSTALLED = "remote.onhost.installed"
# What each program imports of ours; a test holds these against the imports.
PROGRAMS = {
    GUARD: (
        "bench/wire/attach.py",
        "bench/wire/guard.py",
        "remote/onhost/processes.py",
        "remote/onhost/guard/**/*.py",
    ),
    ENVIRONMENTS: ("bench/wire/environments.py", "remote/onhost/environments.py"),
    INSTALLED: ("bench/wire/installed.py", "remote/onhost/installed.py"),
    CONDITION: (
        "bench/wire/condition.py",
        "bench/wire/samples.py",
        "remote/onhost/condition.py",
        "remote/onhost/look.py",
        "remote/onhost/quota.py",
    ),
}
EVERY_PROGRAM = (
    "bench/__init__.py",
    "bench/wire/__init__.py",
    "bench/wire/codec.py",
    "remote/__init__.py",
    "remote/onhost/__init__.py",
)
# Takes the receiving script from standard input and not a byte more. One line, without single quotes,
# backslashes and exclamation marks: the login shell that unpacks it may be fish or csh.
FIRST = (
    'r = open(0, "rb", 0, closefd=False); n = int(b"".join(iter(lambda: r.read(1), b" "))); '
    'exec(b"".join(r.read(1) for _ in range(n)))'
)


def script(name: Script) -> bytes:
    """A script to be fed to ``python -``."""
    return (SCRIPTS / f"{name}.py").read_bytes()


def command(python: str, program: str, *arguments: str) -> list[str]:
    """Runs a program of PROGRAMS, if ``modules(program)`` is what standard input begins with.

    -S: what an administrator has installed into that Python is neither needed nor waited for.
    """
    return [python, "-I", "-S", "-B", "-c", FIRST, program, *arguments]


def sources(program: str) -> dict[str, str]:
    """{path: source} of every module of a program of PROGRAMS."""
    patterns = (*EVERY_PROGRAM, *PROGRAMS[program])
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}


@functools.cache
def modules(program: str) -> bytes:
    """What standard input begins with: the receiving script and the modules. Equal for equal sources."""
    receiver = (SCRIPTS / "receive.py").read_bytes()
    packed = zlib.compress(msgspec.json.encode(sources(program)), 9)
    return b"%d %b%d\n%b" % (len(receiver), receiver, len(packed), packed)
