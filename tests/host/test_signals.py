"""The signals that end a command, and those that the user asked it to ignore."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.helpers.environments import ROOT

# A command that is signalled as soon as it runs; what it prints says whether it went on.
SIGNALLED = """
import os, sys
from session.commands.answer import answer

def command():
    os.kill(os.getpid(), int(sys.argv[1]))
    print("goes on")
    return 0

sys.exit(answer(command))
"""


def signalled(number: signal.Signals, *, ignored: Iterable[str] = ()) -> tuple[int, str]:
    """Exit status and output of a command that gets a signal, started by a shell that ignores some."""
    trap = f"trap '' {' '.join(ignored)}; " if ignored else ""
    done = subprocess.run(
        ["sh", "-c", f'{trap}exec "$@"', "sh", sys.executable, "-c", SIGNALLED, str(int(number))],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_or_sigterm_ends_a_command_in_order(number: signal.Signals) -> None:
    assert signalled(number) == (130, "")


@pytest.mark.parametrize(("number", "name"), [(signal.SIGHUP, "HUP"), (signal.SIGINT, "INT")])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(number: signal.Signals, name: str) -> None:
    """`nohup ./invoke bench` outlives its terminal, and a job of a background shell the shell's Ctrl-C."""
    assert signalled(number, ignored=[name]) == (0, "goes on\n")


def test_nohup_does_not_keep_sigterm_from_ending_a_command() -> None:
    assert signalled(signal.SIGTERM, ignored=["HUP"]) == (130, "")
