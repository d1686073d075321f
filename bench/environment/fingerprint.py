"""In what hosts that do the same work are unlike."""

from __future__ import annotations

from collections.abc import Mapping

from bench.environment.hosts import HostFacts


def python_title(facts: HostFacts) -> str:
    """The part of a Python's version that decides how fast it is: `CPython 3.13`."""
    return f"{facts.python_implementation} {'.'.join(facts.python_version.split('.')[:2])}"


def unlike_pythons(hosts: Mapping[str, HostFacts]) -> dict[str, tuple[str, ...]]:
    """{Python: names of the hosts that have it}, in the hosts' order; empty where all have the same."""
    found: dict[str, tuple[str, ...]] = {}
    for name, facts in hosts.items():
        title = python_title(facts)
        found[title] = (*found.get(title, ()), name)
    return found if len(found) > 1 else {}
