"""Errors: each has an exit code of its own, and the tree at the top of the file is the tree."""

from __future__ import annotations

import re

from bench import errors
from bench.errors import AsgibenchError, SeveralHostsFailed


def every_error() -> list[type[AsgibenchError]]:
    return [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, AsgibenchError)]


def test_exit_codes_are_unique() -> None:
    codes = [one.exit_code for one in every_error() if one is not SeveralHostsFailed]
    assert len(codes) == len(set(codes))


def test_the_tree_that_is_drawn_is_the_tree() -> None:
    drawn = dict(
        re.findall(r"^ +(\w+) +([0-9]+|-) ", f"{errors.__doc__} ".replace("\n", " \n"), re.MULTILINE)
    )
    found = {one.__name__: str(one.exit_code) for one in every_error()}
    assert drawn == {**found, "SeveralHostsFailed": "-"}


def test_several_failures_take_the_first_ones_code() -> None:
    failures = [("a", errors.DiskFull("a: full")), ("b", errors.HostBusy("b: busy"))]
    several = SeveralHostsFailed(failures)
    assert several.exit_code == errors.DiskFull.exit_code
    assert "a: full" in several.detail
    assert "b: busy" in several.detail
