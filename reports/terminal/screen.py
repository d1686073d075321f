"""What a terminal can show: its width, characters that it can't print, lines that wrap between words."""

from __future__ import annotations

import codecs
import io
import shutil
import sys
import textwrap

LABEL_COLUMNS = 8
"""Where the text begins after a line's label."""
LEAST_COLUMNS = 20
_PLAIN = {
    "–": "-",
    "—": "-",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "→": "->",
    "µ": "u",
    "×": "x",
    "…": "...",
    "\u00a0": " ",
}
_ERRORS = "asgibench_plain"


def print_what_can_be_printed() -> None:
    """From now on, stdout and stderr print a plain character for one that they can't print: no error."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """A codec's error handler. Bytes of a file's name that are no text come out as they are."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    one = error.object[error.start]
    if 0xDC80 <= ord(one) <= 0xDCFF:
        return bytes([ord(one) & 0xFF]), error.start + 1
    return _PLAIN.get(one, "?"), error.start + 1


def terminal_columns() -> int | None:
    """The terminal's width. None where the output is no terminal, but a file or another program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(text: str, first: str, rest: str, columns: int | None) -> list[str]:
    """``text`` after ``first``, in lines of at most ``columns``; the others begin with ``rest``.

    A figure and its per-cent sign stay on one line, a longer word in one piece. None: one line.
    """
    if columns is None:
        return [first + text]
    lines = textwrap.wrap(
        text.replace(" %", "\u00a0%"),
        width=max(columns, LEAST_COLUMNS),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]


def labelled(label: str, text: str, columns: int | None) -> list[str]:
    """``text``, wrapped, with the label before its first line."""
    return wrapped(text, f"{label:<{LABEL_COLUMNS}}", " " * LABEL_COLUMNS, columns)
