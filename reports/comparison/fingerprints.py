"""What differs between the hosts of two benchmarks, and between what ran on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.environment.hosts import HostFacts
from bench.plan.plan import Environment
from bench.results.comparison import Comparison, Measured
from bench.results.likeness import Difference
from reports.tables.hosts import CLOCK, facts_shown
from reports.tables.servers import REPORTED_ELSEWHERE, setting_value
from reports.words.numbers import MISSING, counted, listed


def python_sentence(comparison: Comparison) -> tuple[bool, str]:
    """Whether all hosts of a role ran on one Python in A and B, and the sentence that says so."""
    ours, theirs = (_pythons(one.environment) for one in (comparison.a, comparison.b))
    unlike = [role for role in ours if ours[role] != theirs[role]]
    if not unlike:
        same = [f"{role} {ours[role]}" for role in ours]
        return True, f"The same Pythons in A and B: {listed(same)}."
    parts = [f"the {role} on {ours[role]} in A and on {theirs[role]} in B" for role in unlike]
    return False, (
        f"Unlike Pythons: {listed(parts)}. A difference may be Python’s, not the hosts’ or the servers’."
    )


def host_differences(comparison: Comparison) -> tuple[Difference, ...]:
    """Differences by role, then in how roles are laid out; what server and load share is listed once."""
    found = {item.what: item for item in _unlike(_hosts(comparison.a), _hosts(comparison.b))}
    shared = [
        title
        for what, item in found.items()
        if (title := what.removeprefix("Server: ")) != what
        and (load := found.get(f"Load: {title}")) is not None
        and (load.a, load.b) == (item.a, item.b)
    ]
    for title in shared:
        one = found[f"Server: {title}"]
        found[f"Server: {title}"] = Difference(f"Server and load: {title}", one.a, one.b)
        del found[f"Load: {title}"]
    return tuple(found.values())


def software_differences(comparison: Comparison) -> tuple[Difference, ...]:
    """Differences in versions, in the settings that the running servers reported, and in packages."""
    return _unlike(_software(comparison.a), _software(comparison.b))


def benchmark_facts(comparison: Comparison) -> tuple[Difference, ...]:
    """What identifies each benchmark, whether it differs or not."""
    ours, theirs = _benchmark(comparison.a), _benchmark(comparison.b)
    return tuple(Difference(what, ours[what], theirs[what]) for what in ours)


def _unlike(a: Mapping[str, str], b: Mapping[str, str]) -> tuple[Difference, ...]:
    return tuple(
        Difference(what, a.get(what, MISSING), b.get(what, MISSING))
        for what in dict.fromkeys((*a, *b))
        if a.get(what) != b.get(what)
    )


def _benchmark(one: Measured) -> dict[str, str]:
    plan = one.plan
    valid = sum(run.valid for run in one.runs)
    return {
        "Name": one.name,
        "Environment": plan.environment,
        "Server on": one.environment.server,
        "Load from": listed(one.environment.loadgen),
        "Begun": plan.created_at,
        "Profile": f"{plan.profile.name}, {counted(plan.profile.blocks, 'block')}",
        "Runs": f"{valid} of {len(one.runs)} valid, {len(plan.runs)} planned",
        "asgibench": f"{plan.asgibench_version}, lock {plan.lock_sha256[:12]}",
    }


def _hosts(one: Measured) -> dict[str, str]:
    environment = one.environment
    found = {}
    for role, names in _roles(environment).items():
        for title, value in _role_facts(environment, names).items():
            found[f"{role}: {title}"] = value
    workers = sorted({len(run.load_workers) for run in one.runs})
    return {
        **found,
        "Load hosts": str(len(environment.loadgen)),
        "Load workers": " or ".join(map(str, workers)) or MISSING,
        "Load on the server’s own host": "yes" if environment.server in environment.loadgen else "no",
        "Database on the server’s own host": "yes" if environment.database == environment.server else "no",
    }


def _roles(environment: Environment) -> dict[str, tuple[str, ...]]:
    roles = {"Server": (environment.server,), "Load": environment.loadgen}
    if environment.database in environment.facts and environment.database != environment.server:
        roles["Database"] = (environment.database,)
    return roles


def _role_facts(environment: Environment, names: Sequence[str]) -> dict[str, str]:
    """Every title with the values of these hosts, each value once."""
    found: dict[str, dict[str, None]] = {}
    for name in names:
        facts = environment.facts.get(name)
        for title, value in [] if facts is None else facts_shown(facts):
            if title != CLOCK:
                found.setdefault(title, {})[value] = None
    return {title: "; ".join(values) for title, values in found.items()}


def _pythons(environment: Environment) -> dict[str, str]:
    names = {"server": (environment.server,), "load": environment.loadgen}
    return {
        role: " and ".join(sorted({_python(environment.facts.get(host)) for host in hosts}))
        for role, hosts in names.items()
    }


def _python(facts: HostFacts | None) -> str:
    return "an unknown Python" if facts is None else f"{facts.python_implementation} {facts.python_version}"


def _software(one: Measured) -> dict[str, str]:
    found = {"PostgreSQL": one.environment.database_version or MISSING}
    for run in sorted(one.runs, key=lambda run: run.position):
        found.setdefault(f"{run.cell.server}, version", run.server_version)
        for name, value in run.server_configuration.items():
            if name not in REPORTED_ELSEWHERE:
                found.setdefault(f"{run.cell.server}, as it told: {name}", setting_value(value))
    packages: dict[str, set[str]] = {}
    for groups in one.environment.versions.values():
        for group, versions in groups.items():
            for package, version in versions.items():
                packages.setdefault(f"{package} in {group}", set()).add(version)
    return found | {what: " and ".join(sorted(versions)) for what, versions in sorted(packages.items())}
