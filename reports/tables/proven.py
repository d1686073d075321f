"""Words for proofs of every kind: from where they are, and what is not proven yet."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from bench.plan.plan import Plan
from bench.proofs.kept import Proofs, unproven_servers
from reports.words.numbers import listed

Finding = TypeVar("Finding")


def provenance(proofs: Proofs[Finding]) -> str:
    """For readers: ``Proven on here, 2026-11-28.``; where servers differ in that, which is from where."""
    by_place: dict[str, list[str]] = defaultdict(list)
    for server, subject in proofs.subjects.items():
        by_place[subject.when_and_where].append(server)
    if len(by_place) == 1:
        return f"Proven {next(iter(by_place))}."
    parts = [f"{listed(servers)} {place}" for place, servers in by_place.items()]
    return f"Proven: {'; '.join(parts)}."


def unproven_line(what: str, command: str, plan: Plan, proofs: Proofs[Finding] | None) -> str:
    """One line of which servers have no proof, and the commands that make it; "" where all have one."""
    names = unproven_servers(plan, proofs)
    if not names:
        return ""
    whom = "" if proofs is None else f" of {listed(names)}"
    hosts = f" --hosts {plan.environment}" if plan.environment != "local" else ""
    return (
        f"{what} isn’t proven yet{whom}: run ./invoke {command} --servers {','.join(names)}{hosts}, then "
        f"./invoke report {plan.name}."
    )
