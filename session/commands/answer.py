"""The one place where an error becomes a line on the terminal and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable

from bench.errors import AsgibenchError, Interrupted
from reports.terminal.screen import print_what_can_be_printed, wrapped


def answer(run: Callable[[], int], *, interrupted: str = "", debug: bool = False) -> int:
    """The exit code of ``run``. An error is one line with its remedy; its traceback only with ``debug``.

    ``interrupted`` is the remedy after Ctrl-C.
    """
    print_what_can_be_printed()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A closed terminal ends it in order too: hosts given back, results saved. `nohup` and its like
        # ask for the contrary by an ignored signal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        return run()
    except KeyboardInterrupt:
        # Ctrl-C reaches us twice where a wrapper passes it on too: what follows is to be said whole.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return tell(Interrupted("interrupted", remedy=interrupted), debug=debug)
    except AsgibenchError as error:
        return tell(error, debug=debug)


def tell(error: AsgibenchError, *, debug: bool = False) -> int:
    """Print the error on stderr, after all that is on its way to stdout; its exit code.

    On a terminal a long line is broken between words; elsewhere it stays one line.
    """
    from rich.text import Text

    from reports.terminal.consoles import console

    sys.stdout.flush()
    out = console(stderr=True)
    columns = out.width if out.is_terminal else None
    out.print(Text("\n".join(wrapped(f"error: {error}", "", "", columns)), style="red"), soft_wrap=True)
    if error.detail:
        out.print(Text(error.detail), soft_wrap=True)
    if debug:
        traceback.print_exception(error)
    return error.exit_code
