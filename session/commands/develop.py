"""`./invoke test`, `./invoke lint`: for those who work on asgibench itself."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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


COUNTS_VARIABLE = "ASGIBENCH_TEST_COUNTS"
"""Names the file that tests/conftest.py writes its counts to."""
AT_ONCE_AT_MOST = 4
INTERRUPTED = 2  # of pytest's exit statuses
NOT_PASSED = 1


class TestOptions(msgspec.Struct, frozen=True):
    root: Path
    only: Annotated[str, Option("a pytest expression (-k)", shown="EXPRESSION", example="guard")] = ""
    debug: Debug = False


class TestCounts(msgspec.Struct, frozen=True):
    """How the tests of one run of pytest ended."""

    passed: int = 0
    failed: int = 0  # errors in fixtures among them
    skipped: int = 0

    @property
    def text(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def test(options: TestOptions) -> int:
    if options.only:
        return _in_dev(options.root, "python", "-m", "pytest", "-k", options.only)
    return _lint(options.root) or _test_all(options.root)


def _test_all(root: Path) -> int:
    """What may run beside each other, then what needs the machine alone; one line at the end of both."""
    at_once = max(2, min(os.cpu_count() or 1, AT_ONCE_AT_MOST))
    parts = (
        ("-m", "not alone", "-n", str(at_once), "--dist", "loadgroup"),
        ("-m", "alone"),
    )
    statuses, counts = [], []
    with tempfile.TemporaryDirectory(prefix="asgibench-tests-") as folder:
        for number, words in enumerate(parts):
            told = Path(folder) / f"{number}.json"
            status = _in_dev(root, "python", "-m", "pytest", *words, variables={COUNTS_VARIABLE: str(told)})
            statuses.append(status)
            counts.append(_counts_in(told, status))
            if status == INTERRUPTED:
                break
    total = TestCounts(
        sum(one.passed for one in counts),
        sum(one.failed for one in counts),
        sum(one.skipped for one in counts),
    )
    print(total.text, flush=True)
    worst = max(statuses, key=abs)
    return worst if worst >= 0 else NOT_PASSED


def _counts_in(told: Path, status: int) -> TestCounts:
    """A part that ended otherwise than its tests did counts as a failed one."""
    try:
        counts = msgspec.json.decode(told.read_bytes(), type=TestCounts)
    except (FileNotFoundError, msgspec.DecodeError):
        counts = TestCounts()
    if status != 0 and not counts.failed:
        return msgspec.structs.replace(counts, failed=1)
    return counts


class LintOptions(msgspec.Struct, frozen=True):
    root: Path
    fix: Annotated[bool, Option("mend what can be mended")] = False
    debug: Debug = False


def lint(options: LintOptions) -> int:
    return _lint(options.root, fix=options.fix)


def _lint(root: Path, *, fix: bool = False) -> int:
    quick = (
        ("ruff", "check", *(["--fix"] if fix else []), "."),
        ("ruff", "format", *([] if fix else ["--check"]), "."),
    )
    slow = (
        ("mypy",),
        # macOS can't be tried everywhere, but its side of each check of the system has types too.
        ("mypy", "--platform", "darwin", "--cache-dir", ".mypy_cache/darwin", *ROOMS),
    )
    # All of them, so that one run shows all there is to mend; those that take a core's time, at once.
    statuses = [_in_dev(root, *command) for command in quick]
    with ThreadPoolExecutor(len(slow)) as threads:
        statuses += threads.map(lambda command: _in_dev(root, *command), slow)
    return max(statuses)


def _in_dev(root: Path, *command: str, variables: Mapping[str, str] = {}) -> int:
    """Run in the locked environment with the dev group; its exit status."""
    uv = os.environ.get("UV", "uv")
    done = subprocess.run(
        [uv, "run", "--quiet", "--frozen", "--group", "dev", *command],
        cwd=root,
        env={**os.environ, **variables},
        check=False,
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
