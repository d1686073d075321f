"""What holds for every test: its examples are the same at each run, and signals behave as in a terminal."""

from __future__ import annotations

import signal

from hypothesis import settings


def pytest_configure() -> None:
    # What fails in CI fails here too; and how long an example takes is the machine's doing.
    settings.register_profile("repeatable", derandomize=True, deadline=None)
    settings.load_profile("repeatable")
    restore_signals()


def restore_signals() -> None:
    """Undo what a background shell, nohup or a CI wrapper ignores: commands inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
