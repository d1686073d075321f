"""What a reader must know of the hosts, whatever the runs show."""

from __future__ import annotations

from bench.environment.fingerprint import unlike_pythons
from bench.plan.placement import Placement
from bench.results.result import Reason
from remote.fleet import Fleet
from reports.terminal.progress import Progress


def warn_of_hosts(fleet: Fleet, placement: Placement, progress: Progress, warnings: list[Reason]) -> None:
    found = []
    if placement.shared:
        found.append(
            Reason(
                "shared_host",
                f"the load runs on the server's own host, {fleet.server.host.name}; each has its own cores "
                "where the system can pin",
                remedy="put the load on hosts of its own",
            )
        )
    if fleet.inventory.existing_database is not None:
        shown = fleet.inventory.existing_database.shown
        found.append(
            Reason(
                "database_not_sampled",
                f"the database {shown} is not ours: its memory and CPU are not sampled, and whether it "
                "held a run back is not known",
                remedy="see its own monitoring",
            )
        )
    for name, one in fleet.hosts.items():
        scaling = one.facts.cpu_frequency_scaling
        if scaling not in (None, "performance"):
            found.append(
                Reason("frequency_scaling", f"{name}: CPU frequency scaling is {scaling} (recorded)")
            )
    unlike = unlike_pythons({one.host.name: one.facts for one in fleet.loadgen})
    if unlike:
        told = "; ".join(f"{python} on {', '.join(names)}" for python, names in unlike.items())
        found.append(
            Reason(
                "unlike_pythons",
                f"the load hosts have unlike Pythons, so that their workers are not equally fast: {told}",
                remedy="Name the same Python in asgibench_python of every load host",
            )
        )
    for reason in found:
        progress.warn(reason.text)
    warnings.extend(found)
