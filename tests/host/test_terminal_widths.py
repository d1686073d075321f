"""`./invoke` itself, in a pseudo-terminal of 80 and 200 columns and in a pipe, with NO_COLOR and without."""

from __future__ import annotations

import re

import pytest

from tests.helpers.program import Finished, command, run
from tests.helpers.terminal import at_terminal, plain

SLIP = ("bench", "--servers", "uvicron", "--dry-run")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")


def at_columns(columns: int, *words: str, no_color: bool = False) -> tuple[int, str]:
    return at_terminal(command(*words), env={"NO_COLOR": "1"} if no_color else {}, columns=columns)


@pytest.fixture(scope="module")
def piped() -> Finished:
    return run(*SLIP)


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("no_color", [False, True])
def test_an_error_is_broken_between_words_and_red_where_colour_is_wanted(
    columns: int, no_color: bool, piped: Finished
) -> None:
    status, shown = at_columns(columns, *SLIP, no_color=no_color)
    assert status == 2
    lines = plain(shown).splitlines()
    assert (piped.status, piped.stdout, piped.stderr.count("\n")) == (2, "", 1)
    assert max(map(len, lines)) <= columns
    assert " ".join(" ".join(lines).split()) == " ".join(piped.stderr.split())
    assert bool(COLOUR.search(shown)) is not no_color
    assert "\x1b" not in piped.stderr


@pytest.mark.parametrize("columns", [80, 200])
def test_help_and_lists_keep_to_the_terminal(columns: int) -> None:
    for words in (("bench", "--help"), ("servers",), ("profiles",)):
        status, shown = at_columns(columns, *words)
        assert status == 0, shown
        assert max(len(line.rstrip()) for line in plain(shown).splitlines()) <= columns
        assert not COLOUR.search(shown)


def test_in_a_pipe_each_row_of_a_list_is_one_line() -> None:
    listed = run("servers")
    assert listed.status == 0 and listed.stderr == ""
    rows = listed.stdout.splitlines()
    daphne = next(row for row in rows if row.startswith("daphne "))
    assert re.search(
        r"Twisted's reactor on asyncio's own loop, always  Twisted's own +BSD-3-Clause +both$", daphne
    )
    assert all(row == row.rstrip() for row in rows)
