"""Reasons that lie in the hosts and in what runs where: they hold for every run of a benchmark.

Their codes are those that results have had from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bench.environment.fingerprint import unlike_pythons
from bench.environment.hosts import Host, HostFacts, Inventory
from bench.environment.readiness import Finding
from bench.judge.reason import Reason
from bench.judge.thresholds import CLOCK_LIMITS_SECONDS, CLOCK_REMARK_SECONDS
from bench.plan.placement import Placement, load_cores, same_cores, share_physical_core, shared_cores
from bench.plan.plan import Environment

# Of Ethernet, and of nearly all networks.
USUAL_MTU_BYTES = 1_500
_SYSTEM_TITLES = {"Darwin": "macOS", "": "the server's host"}


def host_reasons(
    inventory: Inventory, facts: Mapping[str, HostFacts], placement: Placement
) -> tuple[Reason, ...]:
    """What is known before the first run: of the hosts, their database, and what runs where."""
    load = {host.name: facts[host.name] for host in inventory.loadgen}
    return (
        *(_shared_host(inventory.server, facts[inventory.server.name]) if placement.shared else ()),
        *_foreign_database(inventory),
        *_frequency_scaling(facts.values()),
        *_unlike_pythons(load),
        *_one_machine(load_cores(placement, facts), facts),
    )


def environment_reasons(environment: Environment) -> tuple[Reason, ...]:
    """The same of a benchmark that has been measured, as far as its hosts.json shows it."""
    facts = [environment.facts[host.name] for host in environment.hosts if host.name in environment.facts]
    return (
        *_shared_environment(environment),
        *_one_machine_of(environment),
        *_frequency_scaling(facts),
        *_not_pinned(facts),
        *_clock_remark(facts),
    )


def no_pss(system: str) -> Reason:
    """PSS could be had in no run. ``system`` is Linux or Darwin, "" where it isn't known."""
    name = _SYSTEM_TITLES.get(system, "the server's host")
    return Reason("no_pss", f"PSS is not available on {name}: memory is RSS and USS")


def clock_reasons(error_seconds: float) -> tuple[Reason, ...]:
    """``error_seconds`` bounds how far any host's clock may be from what it is taken for."""
    if error_seconds <= CLOCK_LIMITS_SECONDS:
        return ()
    text = f"the hosts' clocks are known to {error_seconds * 1e3:.0f} ms only: windows are cut no better"
    return (Reason("clocks_uncertain", text, "See what slows the connections to the hosts"),)


def limiting(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that limit the plan, and that nothing else reports.

    ``host_reasons`` reports frequency scaling, and other programs' share of the cores is judged in every run.
    """
    return tuple(one for one in findings if one.state == "limits" and one.what not in ("frequency", "cores"))


def finding_reasons(findings: Iterable[Finding]) -> tuple[Reason, ...]:
    """Of limiting findings. What a link carries is judged in every run instead."""
    return tuple(
        Reason(f"host_{one.what.replace(' ', '_')}", f"{one.host}: {one.text}", one.remedy)
        for one in findings
        if one.what != "link"
    )


def _shared_environment(environment: Environment) -> Iterator[Reason]:
    facts = environment.facts.get(environment.server)
    for host in environment.hosts:
        if host.name == environment.server and host.name in environment.loadgen and facts is not None:
            yield from _shared_host(host, facts)


def _shared_host(server: Host, facts: HostFacts) -> Iterator[Reason]:
    yield Reason(
        "shared_host",
        f"the load generator shares {server.name} with the server; {_whose_cores(server, facts)}",
        "Measure with load hosts of their own before a decision",
    )
    if facts.loopback_mtu is not None and facts.loopback_mtu > USUAL_MTU_BYTES:
        yield Reason(
            "loopback",
            f"the load goes over loopback, whose packets hold {facts.loopback_mtu:,} bytes, on a network "
            f"{USUAL_MTU_BYTES:,}: a long answer costs less CPU here than there",
            "Measure long answers with load hosts of their own",
        )


def _whose_cores(server: Host, facts: HostFacts) -> str:
    """What keeps the two apart on a host that both are on."""
    if not facts.can_pin:
        return "nothing keeps them on cores of their own: this system can't pin"
    for_server, for_load = shared_cores(server, facts)
    if not set(for_server).isdisjoint(for_load):
        return "both are on the same core"
    if share_physical_core(for_server, for_load, facts.thread_siblings):
        return "server and load share a physical core, whose threads slow each other down"
    if facts.is_virtual:
        return "each has its own vCPUs, whose physical cores are not known"
    if not facts.thread_siblings or facts.is_virtual is None:
        return "each has its own CPUs, whose physical cores are not known"
    return "each has its own physical cores"


def _foreign_database(inventory: Inventory) -> Iterator[Reason]:
    if inventory.existing_database is not None:
        yield Reason(
            "database_not_sampled",
            f"the database {inventory.existing_database.shown} is not ours: its memory and CPU are not "
            "sampled, and whether it held a run back is not known",
            "See its own monitoring",
        )


def _frequency_scaling(facts: Iterable[HostFacts]) -> Iterator[Reason]:
    scaled = [
        f"{one.host} ({one.cpu_frequency_scaling})"
        for one in facts
        if one.cpu_frequency_scaling not in (None, "performance")
    ]
    if scaled:
        text = f"CPU frequency scaling is on: {', '.join(scaled)}"
        yield Reason("frequency_scaling", text, "Set it to performance")


def _unlike_pythons(load_hosts: Mapping[str, HostFacts]) -> Iterator[Reason]:
    unlike = unlike_pythons(load_hosts)
    if unlike:
        listed = "; ".join(f"{python} on {', '.join(names)}" for python, names in unlike.items())
        yield Reason(
            "unlike_pythons",
            f"the load hosts have unlike Pythons, so that their workers are not equally fast: {listed}",
            "Name the same Python in asgibench_python of every load host",
        )


def _one_machine(load: Mapping[str, tuple[int, ...]], facts: Mapping[str, HostFacts]) -> Iterator[Reason]:
    together = same_cores(load, facts)
    if together:
        cores = sorted({core for host in together for core in load[host]})
        yield Reason(
            "load_hosts_share_cores",
            f"the load hosts {', '.join(together)} are one machine and have the same cores "
            f"({', '.join(map(str, cores))}): together they make no more load than one of them, and what "
            "each other’s load workers take counts as the load’s own",
            "Name load hosts with cores of their own",
        )


def _one_machine_of(environment: Environment) -> Iterator[Reason]:
    """By the cores that each load host may use, as hosts.json has them."""
    facts = environment.facts
    load = {
        host.name: host.cores or facts[host.name].cores_usable
        for host in environment.hosts
        if host.name in environment.loadgen and host.name in facts
    }
    yield from _one_machine(load, facts)


def _not_pinned(facts: Iterable[HostFacts]) -> Iterator[Reason]:
    unpinned = [one.host for one in facts if not one.can_pin]
    if unpinned:
        yield Reason("not_pinned", f"processes can't be pinned to cores on {', '.join(unpinned)}")


def _clock_remark(facts: Iterable[HostFacts]) -> Iterator[Reason]:
    unsure = [one.host for one in facts if one.clock_offset_error_seconds > CLOCK_REMARK_SECONDS]
    if unsure:
        yield Reason(
            "clock",
            f"clocks are known to worse than {CLOCK_REMARK_SECONDS * 1e3:.0f} ms: {', '.join(unsure)}",
            "Memory and requests/s over time may be shifted against each other",
        )
