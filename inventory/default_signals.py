"""What a child process inherits of signals.

A background shell and nohup start us with SIGINT or SIGQUIT ignored, and a child would inherit that: a server
could not be stopped in the way that is usual for it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

PASSED_ON_WHEN_IGNORED = (signal.SIGINT, signal.SIGQUIT)


def default_signals() -> Callable[[], None] | None:
    """For subprocess's ``preexec_fn``: gives the child the defaults where this process ignores any.

    None where it ignores none, which is usual: a child is started quicker without a ``preexec_fn``.
    """
    ignored = [number for number in PASSED_ON_WHEN_IGNORED if signal.getsignal(number) is signal.SIG_IGN]

    def restore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)

    return restore if ignored else None
