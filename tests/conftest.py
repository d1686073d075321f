"""What holds for every test: signals behave as they do for a command that a person types."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    restore_signals()


def restore_signals() -> None:
    """Undo what a background shell, nohup or a CI wrapper ignores: commands inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
