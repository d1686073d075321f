"""The hosts with their fingerprints and packages."""

from __future__ import annotations

from bench.environment.hosts import HostFacts
from bench.plan.plan import Environment
from reports.tables.table import Table, TableRow, words
from reports.words.numbers import MISSING, gigabytes, listed

CLOCK = "Clock against the controller"


def hosts_table(environment: Environment) -> Table:
    """One column per host, so that differences between hosts catch the eye."""
    names = tuple(dict.fromkeys(host.name for host in environment.hosts))
    columns = [dict(_fingerprint(environment, name)) for name in names]
    titles = dict.fromkeys(title for column in columns for title in column)
    rows = tuple(TableRow((title, *(column.get(title, MISSING) for column in columns))) for title in titles)
    return Table("Fingerprints", words("", *names), rows)


def package_tables(environment: Environment) -> tuple[Table, ...]:
    """One table for each environment on each host."""
    return tuple(
        Table(
            f"{host}: {group}",
            words("Package", "Version"),
            tuple(TableRow((package, version)) for package, version in sorted(versions.items())),
        )
        for host, groups in environment.versions.items()
        for group, versions in sorted(groups.items())
    )


def _fingerprint(environment: Environment, name: str) -> list[tuple[str, str]]:
    facts = environment.facts.get(name)
    roles = [("Role", _roles(environment, name))]
    roles += [("Note", host.note) for host in environment.hosts if host.name == name and host.note]
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
    """A host's fingerprint as pairs of title and value, in words."""
    macos = f"macOS {facts.macos_version}" if facts.system == "Darwin" else ""
    offset, error = facts.clock_offset_seconds * 1e3, facts.clock_offset_error_seconds * 1e3
    return [
        ("CPU", f"{facts.cpu_model} ({facts.architecture})"),
        ("Cores", f"{facts.cores_total}, {len(facts.cores_usable)} usable{_physical(facts)}"),
        ("Memory", gigabytes(facts.memory_bytes)),
        ("System", macos or facts.distribution or facts.system),
        ("Kernel", f"{facts.system} {facts.release}"),
        ("C library", facts.libc or "the system’s"),
        ("Python", f"{facts.python_implementation} {facts.python_version}"),
        ("Frequency scaling", facts.cpu_frequency_scaling or "not available"),
        ("Pinning to cores", "possible" if facts.can_pin else "not available"),
        ("Open files, at most", f"{facts.open_files_limit:,}"),
        (
            "Loopback’s packets",
            "not known" if facts.loopback_mtu is None else f"{facts.loopback_mtu:,} bytes",
        ),
        (CLOCK, f"{offset:+.2f} ms, known to {error:.2f} ms"),
    ]


def _physical(facts: HostFacts) -> str:
    """What is known of the cores behind the CPU numbers."""
    if facts.is_virtual:
        return "; virtual"
    return f"; {len(facts.thread_siblings)} physical" if facts.thread_siblings else ""
