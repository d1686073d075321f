"""What holds for every test: its examples are the same at each run, and signals behave as in a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings

from session.commands.develop import COUNTS_VARIABLE, TestCounts
from tests.helpers.program import work_folder

ALONE = ("tests/lab/test_hosts_lab.py", "tests/lab/test_link_down.py", "tests/pipeline/")
"""What measures, or is measured: nothing runs beside it. Other modules say so themselves by the mark."""


BY_SERVER = ("tests/host/test_testapp.py",)
"""Modules whose servers are started one by one, so that several workers may share them."""


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


@pytest.fixture(scope="session")
def shared_work_folder() -> Iterator[Path]:
    """For benchmarks of this machine: the environments that one has made there are found by the next."""
    with work_folder() as folder:
        yield folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker("alone")
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    """What one worker of xdist does: a module, or what a module tests with one server."""
    module = item.nodeid.partition("::")[0]
    call = getattr(item, "callspec", None)
    by_server = call.params.get("server", call.params.get("name", "")) if call is not None else ""
    return f"{module}::{by_server}" if by_server and module.endswith(BY_SERVER) else module


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """For ./invoke test, which runs pytest more than once and adds up."""
    path = os.environ.get(COUNTS_VARIABLE)
    if path is None:
        return
    stats = {name: len(reports) for name, reports in terminalreporter.stats.items()}
    counts = TestCounts(
        passed=stats.get("passed", 0),
        failed=stats.get("failed", 0) + stats.get("error", 0),
        skipped=stats.get("skipped", 0),
    )
    Path(path).write_bytes(msgspec.json.encode(counts))
