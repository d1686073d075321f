"""`./invoke test`, `./invoke lint`: for those who work on asgibench itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from bench.plan.request import Debug
from session.commands.command import Command, Example

ROOMS = tuple(
    word
    for room in ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session")
    for word in ("-p", room)
)


class TestOptions(msgspec.Struct, frozen=True):
    root: Path
    only: Annotated[str, Option("a pytest expression (-k)", shown="EXPRESSION", example="guard")] = ""
    debug: Debug = False


def test(options: TestOptions) -> int:
    if options.only:
        return _in_dev(options.root, "python", "-m", "pytest", "-k", options.only)
    return _lint(options.root) or _in_dev(options.root, "python", "-m", "pytest")


class LintOptions(msgspec.Struct, frozen=True):
    root: Path
    fix: Annotated[bool, Option("mend what can be mended")] = False
    debug: Debug = False


def lint(options: LintOptions) -> int:
    return _lint(options.root, fix=options.fix)


def _lint(root: Path, *, fix: bool = False) -> int:
    commands = (
        ("ruff", "check", *(["--fix"] if fix else []), "."),
        ("ruff", "format", *([] if fix else ["--check"]), "."),
        ("mypy",),
        # macOS can't be tried everywhere, but its side of each check of the system has types too.
        ("mypy", "--platform", "darwin", "--cache-dir", ".mypy_cache/darwin", *ROOMS),
    )
    # All of them, so that one run shows all there is to mend.
    return max([_in_dev(root, *command) for command in commands])


def _in_dev(root: Path, *command: str) -> int:
    """Run in the locked environment with the dev group; its exit status."""
    uv = os.environ.get("UV", "uv")
    done = subprocess.run(
        [uv, "run", "--quiet", "--frozen", "--group", "dev", *command], cwd=root, check=False
    )
    return done.returncode


TEST = Command(
    "test",
    "Run all that CI runs: ruff, mypy --strict and the tests",
    TestOptions,
    test,
    (Example("test"), Example('test --only "guard and not lab"', "some of the tests, without the linters")),
)
LINT = Command(
    "lint", "Run ruff and mypy --strict", LintOptions, lint, (Example("lint"), Example("lint --fix"))
)
