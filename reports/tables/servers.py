"""The servers with their settings: those that were asked for, and those that the running servers reported."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.plan.plan import Plan
from bench.results.run import RunResult
from reports.tables.table import Fact, Table, TableRow, facts_of, words
from reports.words.numbers import MISSING, counted
from reports.words.served import served_words

# The command stands above; pids are of one run.
REPORTED_ELSEWHERE = ("command", "pid", "parent_pid")


@dataclass(frozen=True)
class ServerView:
    """A server as it was started. ``departures``: settings it can't honour, with what it does instead."""

    name: str
    version: str
    command: str
    departures: tuple[Fact, ...]


def server_views(plan: Plan, runs: Sequence[RunResult]) -> tuple[ServerView, ...]:
    """One view for each server and number of workers, as in its first run."""
    titles = {server.name: server.title for server in plan.servers}
    licences = {server.name: server.licence or "licence not stated" for server in plan.servers}
    return tuple(
        ServerView(
            name=name,
            version=f"{_versioned(titles[run.cell.server], run)}, {licences[run.cell.server]}",
            command=shlex.join(run.server_command),
            departures=facts_of(run.unhonoured_settings),
        )
        for name, run in _first_runs(plan, runs).items()
    )


def _versioned(title: str, run: RunResult) -> str:
    """The title with the version, which most titles contain already."""
    title = title or run.cell.server
    return title if run.server_version in title else f"{title} {run.server_version}"


def asked_table(plan: Plan, runs: Sequence[RunResult]) -> Table:
    return _settings_table(
        "Asked for", {name: run.server_settings for name, run in _first_runs(plan, runs).items()}
    )


def reported_table(plan: Plan, runs: Sequence[RunResult]) -> Table:
    """What a process of the running server said of itself."""
    reported = {
        name: {key: value for key, value in run.server_configuration.items() if key not in REPORTED_ELSEWHERE}
        for name, run in _first_runs(plan, runs).items()
    }
    return _settings_table("What the server’s own process told", reported)


def runs_by_server(plan: Plan, runs: Sequence[RunResult]) -> dict[str, tuple[RunResult, ...]]:
    """The runs of each server, number of workers and way to reach it, by its name, in the plan's order."""
    found: dict[str, list[RunResult]] = {}
    for name, run in _named_runs(plan, runs):
        found.setdefault(name, []).append(run)
    return {name: tuple(own) for name, own in found.items()}


def _first_runs(plan: Plan, runs: Sequence[RunResult]) -> dict[str, RunResult]:
    """The first run of each server and number of workers, by the name to show, in the plan's order."""
    return {name: own[0] for name, own in runs_by_server(plan, runs).items()}


def _named_runs(plan: Plan, runs: Sequence[RunResult]) -> Iterator[tuple[str, RunResult]]:
    order = {server.name: index for index, server in enumerate(plan.servers)}
    several = len(plan.profile.server_workers) > 1
    reached = {run.cell.served for run in runs}
    for run in sorted(
        runs,
        key=lambda run: (order[run.cell.server], run.cell.workers, run.cell.served, run.position),
    ):
        served = served_words(run.cell.served, reached)
        workers = f", {counted(run.cell.workers, 'worker')}" if several else ""
        yield f"{run.cell.server}{workers}{f', {served}' if served else ''}", run


def _settings_table(caption: str, settings: Mapping[str, Mapping[str, str | int | bool | None]]) -> Table:
    names = sorted({name for own in settings.values() for name in own})
    rows = tuple(
        TableRow((name, *(setting_value(own[name]) if name in own else MISSING for own in settings.values())))
        for name in names
    )
    return Table(caption, words("Setting", *settings), rows)


def setting_value(value: str | int | bool | None) -> str:
    if value is None:
        return "not told"
    if value == "":
        return "its own choice"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
