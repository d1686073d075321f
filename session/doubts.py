"""What a reader must know of hosts and of runs that failed, whatever the other runs show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.environment.fingerprint import unlike_pythons
from bench.environment.hosts import HostFacts, Inventory
from bench.environment.readiness import Finding
from bench.errors import AsgibenchError
from bench.plan.placement import Placement
from bench.plan.plan import PlannedRun
from bench.results.result import Reason

CLOCK_ERROR_SECONDS = 0.05


def host_reasons(
    inventory: Inventory, facts: Mapping[str, HostFacts], placement: Placement
) -> tuple[Reason, ...]:
    """Of the hosts and of what runs where."""
    found = []
    if placement.shared:
        found.append(
            Reason(
                "shared_host",
                f"the load runs on the server's own host, {inventory.server.name}; each has its own cores "
                "where the system can pin",
                remedy="Put the load on hosts of its own",
            )
        )
    if inventory.existing_database is not None:
        found.append(
            Reason(
                "database_not_sampled",
                f"the database {inventory.existing_database.shown} is not ours: its memory and CPU are not "
                "sampled, and whether it held a run back is not known",
                remedy="See its own monitoring",
            )
        )
    for name, one in facts.items():
        scaling = one.cpu_frequency_scaling
        if scaling not in (None, "performance"):
            found.append(
                Reason("frequency_scaling", f"{name}: CPU frequency scaling is {scaling} (recorded)")
            )
    unlike = unlike_pythons({host.name: facts[host.name] for host in inventory.loadgen})
    if unlike:
        listed = "; ".join(f"{python} on {', '.join(names)}" for python, names in unlike.items())
        found.append(
            Reason(
                "unlike_pythons",
                f"the load hosts have unlike Pythons, so that their workers are not equally fast: {listed}",
                remedy="Name the same Python in asgibench_python of every load host",
            )
        )
    return tuple(found)


def limiting(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that limit the plan, and that nothing else reports.

    ``host_reasons`` reports frequency scaling, and other programs' share of the cores is judged in every run.
    """
    return tuple(one for one in findings if one.state == "limits" and one.what not in ("frequency", "cores"))


def finding_reasons(findings: Iterable[Finding]) -> tuple[Reason, ...]:
    """Of limiting findings. What a link carries is held against every run instead."""
    return tuple(
        Reason(f"host_{one.what.replace(' ', '_')}", f"{one.host}: {one.text}", one.remedy)
        for one in findings
        if one.what != "link"
    )


def clock_reasons(error_seconds: float) -> tuple[Reason, ...]:
    """``error_seconds`` bounds how far any host's clock may be from what we take it for."""
    if error_seconds <= CLOCK_ERROR_SECONDS:
        return ()
    return (
        Reason(
            "clocks_uncertain",
            f"the hosts' clocks are known to {error_seconds * 1000:.0f} ms only: windows are cut no better",
            remedy="See what slows the connections to the hosts",
        ),
    )


def rate_unknown(run: PlannedRun) -> Reason:
    """A run at a share of a maximum that no valid run has shown yet; --resume tries it again."""
    return Reason(
        "rate_unknown",
        f"{run.id} was skipped: no valid closed-loop run shows the maximum that its rate is a share of",
        remedy="See why the closed-loop run is void, or state a rate in requests a second",
    )


def run_failed(run: PlannedRun, error: AsgibenchError) -> Reason:
    return Reason("run_failed", f"{run.id} failed: {error.message}", remedy=error.remedy)


def run_repeated(run: PlannedRun, error: AsgibenchError) -> Reason:
    return Reason("run_repeated", f"{run.id} was run again: {error.message}", remedy=error.remedy)
