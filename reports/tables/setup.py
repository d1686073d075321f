"""What was set up: hosts with their fingerprints, servers with their settings, the profile."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.environment.hosts import HostFacts
from bench.plan.plan import Environment, Plan
from bench.results.result import RunResult
from bench.spec import Endpoint, Profile
from reports.tables.table import Row, Table, words
from reports.words.numbers import MISSING, counted, gigabytes, listed

CLOCK = "Clock against the controller"
TOLD_ELSEWHERE = ("command", "pid", "parent_pid")  # the command stands above; pids are of one run


@dataclass(frozen=True)
class Fact:
    name: str
    value: str


@dataclass(frozen=True)
class ServerView:
    """``departures`` are settings that the server can't honour, with what it does instead."""

    name: str
    version: str
    command: str
    departures: tuple[Fact, ...]


def facts_of(values: Mapping[str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(name, value) for name, value in sorted(values.items()))


def server_views(plan: Plan, runs: Sequence[RunResult]) -> tuple[ServerView, ...]:
    """One view for each server and number of workers, after its first run."""
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
    """Most titles have the version in its place already."""
    title = title or run.cell.server
    return title if run.server_version in title else f"{title} {run.server_version}"


def asked_table(plan: Plan, runs: Sequence[RunResult]) -> Table:
    return _settings_table(
        "Asked for", {name: run.server_settings for name, run in _first_runs(plan, runs).items()}
    )


def told_table(plan: Plan, runs: Sequence[RunResult]) -> Table:
    """What the running server said of itself, which is what ran."""
    told = {
        name: {key: value for key, value in run.server_configuration.items() if key not in TOLD_ELSEWHERE}
        for name, run in _first_runs(plan, runs).items()
    }
    return _settings_table("As the running server told it", told)


def hosts_table(environment: Environment) -> Table:
    """A column a host, so that differences between hosts catch the eye."""
    names = tuple(dict.fromkeys(host.name for host in environment.hosts))
    columns = [dict(_fingerprint(environment, name)) for name in names]
    titles = dict.fromkeys(title for column in columns for title in column)
    rows = tuple(Row((title, *(column.get(title, MISSING) for column in columns))) for title in titles)
    return Table("Fingerprints", words("", *names), rows)


def package_tables(environment: Environment) -> tuple[Table, ...]:
    """One table a host and environment."""
    return tuple(
        Table(
            f"{host}: {group}",
            words("Package", "Version"),
            tuple(Row((package, version)) for package, version in sorted(versions.items())),
        )
        for host, groups in environment.versions.items()
        for group, versions in sorted(groups.items())
    )


def profile_facts(plan: Plan) -> tuple[Fact, ...]:
    profile = plan.profile
    workers = "one for each core" if profile.load_workers is None else str(profile.load_workers)
    return (
        Fact("Blocks", str(profile.blocks)),
        Fact("Connections", str(profile.connections)),
        Fact("Warm-up", f"{profile.warmup_seconds} s"),
        Fact("Window", f"{profile.window_seconds} s"),
        Fact(
            "Rest before and after", f"{profile.idle_rest_seconds:g} s and {profile.after_rest_seconds:g} s"
        ),
        Fact("Load workers a load host", workers),
        Fact("Server workers", listed([str(number) for number in profile.server_workers])),
        *_rate_facts(profile),
    )


def _rate_facts(profile: Profile) -> tuple[Fact, ...]:
    if not profile.rates:
        return ()
    return (
        Fact("Stated rates, requests/s or share of the server’s maximum", listed(profile.rates)),
        Fact("Arrivals at these rates", profile.arrivals),
    )


def endpoints_table(plan: Plan) -> Table:
    rows = tuple(
        Row((endpoint.name, _request(endpoint), endpoint.content_type or MISSING, endpoint.description))
        for endpoint in plan.endpoints
    )
    return Table("Endpoints", words("Name", "Request", "Content type", "What it does"), rows)


def _request(endpoint: Endpoint) -> str:
    return "the locustfile’s own" if endpoint.is_users_own else f"GET {endpoint.path}"


def _first_runs(plan: Plan, runs: Sequence[RunResult]) -> dict[str, RunResult]:
    """By the name to show, in the plan's order of servers."""
    order = {server.name: index for index, server in enumerate(plan.servers)}
    several = len(plan.profile.server_workers) > 1
    found: dict[str, RunResult] = {}
    for run in sorted(runs, key=lambda run: (order[run.cell.server], run.cell.workers, run.position)):
        workers = f", {counted(run.cell.workers, 'worker')}" if several else ""
        found.setdefault(f"{run.cell.server}{workers}", run)
    return found


def _settings_table(caption: str, settings: Mapping[str, Mapping[str, str | int | bool | None]]) -> Table:
    names = sorted({name for own in settings.values() for name in own})
    rows = tuple(
        Row((name, *(setting_value(own[name]) if name in own else MISSING for own in settings.values())))
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


def _fingerprint(environment: Environment, name: str) -> list[tuple[str, str]]:
    facts = environment.facts.get(name)
    roles = [("Role", _roles(environment, name))]
    shown = [("Facts", "not known")] if facts is None else facts_shown(facts)
    if name == environment.database and environment.database_version:
        shown.append(("PostgreSQL", environment.database_version))
    return roles + shown


def _roles(environment: Environment, name: str) -> str:
    roles = (
        ("server", name == environment.server),
        ("database", name == environment.database),
        ("load", name in environment.loadgen),
    )
    here = [role for role, is_here in roles if is_here]
    return listed(here) if here else MISSING


def facts_shown(facts: HostFacts) -> list[tuple[str, str]]:
    """A host's fingerprint: titles with their values in words."""
    macos = f"macOS {facts.macos_version}" if facts.system == "Darwin" else ""
    offset, error = facts.clock_offset_seconds * 1e3, facts.clock_offset_error_seconds * 1e3
    return [
        ("CPU", f"{facts.cpu_model} ({facts.architecture})"),
        ("Cores", f"{facts.cores_total}, {len(facts.cores_usable)} usable"),
        ("Memory", gigabytes(facts.memory_bytes)),
        ("System", macos or facts.distribution or facts.system),
        ("Kernel", f"{facts.system} {facts.release}"),
        ("C library", facts.libc or "the system’s"),
        ("Python", f"{facts.python_implementation} {facts.python_version}"),
        ("Frequency scaling", facts.cpu_frequency_scaling or "not available"),
        ("Pinning to cores", "possible" if facts.can_pin else "not available"),
        ("Open files, at most", f"{facts.open_files_limit:,}"),
        (CLOCK, f"{offset:+.2f} ms, known to {error:.2f} ms"),
    ]
