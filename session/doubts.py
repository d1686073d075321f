"""What a reader must know of the hosts, whatever the runs show."""

from __future__ import annotations

from bench.judge.hosts import host_reasons
from bench.plan.placement import Placement
from bench.results.result import Reason
from remote.fleet import Fleet
from reports.terminal.progress import Progress


def warn_of_hosts(fleet: Fleet, placement: Placement, progress: Progress, warnings: list[Reason]) -> None:
    facts = {name: one.facts for name, one in fleet.hosts.items()}
    found = host_reasons(fleet.inventory, facts, placement)
    for reason in found:
        progress.warn(reason.text)
    warnings.extend(found)
