"""Which cores the server, the database, the load workers and the controller may use.

Cores are those that the host's system lets us use; where it can't pin, ``None`` means any core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bench.environment.hosts import Host, HostFacts, Inventory

Cores = tuple[int, ...] | None


class Placement(msgspec.Struct, frozen=True):
    """``load`` maps a load host to the core of each of its workers (None: not pinned)."""

    server: Cores
    database: Cores
    load: dict[str, tuple[int | None, ...]]
    controller: Cores
    shared: bool
    texts: dict[str, str]


def place(
    inventory: Inventory,
    facts: Mapping[str, HostFacts],
    *,
    workers_per_host: int | None,
    workers_in_all: int | None = None,
) -> Placement:
    """A host with one role gives it all its cores; one with both halves them, the server's half first.

    Halves are of whole physical cores where the host has two of them or more, and tells of them.

    ``workers_per_host`` None means a load worker for each of the load cores. ``workers_in_all`` instead is
    their number over all load hosts, as evenly as may be, and at least one on each.
    """
    server = inventory.server.name
    database = (inventory.database or inventory.server).name
    server_cores = _usable(inventory.server.cores, facts[server])
    load_cores = {host.name: _usable(host.cores, facts[host.name]) for host in inventory.loadgen}
    shared = server in load_cores
    if shared:
        server_cores, load_cores[server] = halves(server_cores, facts[server].thread_siblings)
    pins = {name: facts[name].can_pin for name in facts}
    wanted = _workers_wanted(len(load_cores), workers_per_host, workers_in_all)
    load = {
        name: _workers(cores, count, can_pin=pins[name])
        for (name, cores), count in zip(load_cores.items(), wanted, strict=True)
    }
    database_host = inventory.database or inventory.server
    database_cores = (
        server_cores if database == server else _usable(database_host.cores, facts[database_host.name])
    )
    controller = inventory.controller_cores
    if controller is None and shared and inventory.server.is_local:
        controller = load_cores[server]
    return Placement(
        server=server_cores if pins[server] else None,
        database=database_cores if pins[database] else None,
        load=load,
        controller=controller,
        shared=shared,
        texts={
            "server": f"{server}: {_text(server_cores, can_pin=pins[server])}",
            "database": inventory.existing_database.shown
            if inventory.existing_database
            else f"{database}: {_text(database_cores, can_pin=pins[database])}",
            **{
                f"load on {name}": f"{len(load[name])} worker(s), {_spread(len(load[name]), len(cores))} of "
                f"{_text(cores, can_pin=pins[name])}"
                for name, cores in load_cores.items()
            },
            "controller": _text(controller, can_pin=True) if controller else "any core of the controller",
        },
    )


def place_on_server(
    usual: Placement, inventory: Inventory, facts: Mapping[str, HostFacts], workers: int
) -> Placement:
    """The paper's way: all load workers on the server's host, on the same cores as the server, not pinned.

    Everything else stays where ``usual`` has it. Server and load may use all of the host's cores.
    """
    server = inventory.server
    cores = _usable(server.cores, facts[server.name])
    return Placement(
        server=cores if facts[server.name].can_pin else None,
        database=usual.database,
        load={server.name: (None,) * workers},
        controller=usual.controller,
        shared=True,
        texts={
            f"load on {server.name}, as the paper had it": f"{workers} worker(s) on any of the server's own "
            f"{len(cores)} core(s), with the server and not pinned"
        },
    )


def server_core_count(placement: Placement, facts: HostFacts, workers: int) -> int:
    """How many cores the server could use at most: one for each worker, as far as there are cores."""
    allowed = len(placement.server if placement.server is not None else facts.cores_usable)
    return max(1, min(allowed, workers))


def load_on_server_cores(placement: Placement, server: str) -> frozenset[str]:
    """The load workers, ``host/index``, that may run on the server's own cores."""
    if not placement.shared:
        return frozenset()
    return frozenset(
        f"{server}/{index}"
        for index, core in enumerate(placement.load[server])
        if placement.server is None or core is None or core in placement.server
    )


def agent_cores(placement: Placement, host: str) -> Cores:
    """The agent runs beside the load where a host has both roles, so as not to disturb the server."""
    return tuple(core for core in placement.load.get(host, ()) if core is not None) or None


def may_share(one: Cores, other: Cores) -> bool:
    """Whether two parties on one host may run on the same core."""
    return one is None or other is None or not set(one).isdisjoint(other)


def load_cores(placement: Placement, facts: Mapping[str, HostFacts]) -> dict[str, tuple[int, ...]]:
    """The cores of each load host that its workers may run on."""
    return {
        host: tuple(sorted({core for core in cores if core is not None})) or facts[host].cores_usable
        for host, cores in placement.load.items()
    }


def same_cores(
    load: Mapping[str, tuple[int, ...]], facts: Mapping[str, HostFacts]
) -> dict[str, frozenset[str]]:
    """By load host, the others that are the same machine and whose workers may run on its cores.

    ``load`` are the cores of each load host's workers. A kernel that was started once is one machine,
    whatever its hosts are called: containers and the hosts of a lab have that in common.
    """

    def share(one: str, other: str) -> bool:
        is_one_machine = bool(facts[one].boot_id) and facts[one].boot_id == facts[other].boot_id
        return one != other and is_one_machine and not set(load[one]).isdisjoint(load[other])

    found = {one: frozenset(other for other in load if share(one, other)) for one in load}
    return {host: others for host, others in found.items() if others}


def _usable(wanted: Cores, facts: HostFacts) -> tuple[int, ...]:
    usable = facts.cores_usable
    chosen = usable if wanted is None else tuple(core for core in wanted if core in usable)
    return chosen or usable


def shared_cores(host: Host, facts: HostFacts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The server's and the load's cores of a host that has both."""
    return halves(_usable(host.cores, facts), facts.thread_siblings)


def halves(
    cores: tuple[int, ...], siblings: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The server's half and the load's, which is greater where there is a difference.

    ``siblings`` are the threads of each physical core: a core is not cut where there are two or more.
    """
    if len(cores) == 1:
        return cores, cores
    groups = _physical(cores, siblings)
    if len(groups) == 1:
        groups = [(core,) for core in cores]
    first = list(groups[0])
    for group in groups[1:]:
        if len(first) + len(group) <= len(cores) // 2:
            first += group
    return tuple(sorted(first)), tuple(core for core in cores if core not in first)


def share_physical_core(one: Sequence[int], other: Sequence[int], siblings: Sequence[Sequence[int]]) -> bool:
    """Whether threads of one physical core are on both sides."""
    return any(not set(core).isdisjoint(one) and not set(core).isdisjoint(other) for core in siblings)


def _physical(cores: tuple[int, ...], siblings: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """The cores by physical core, in the order of each one's first; those of which nothing is known alone."""
    found: dict[tuple[int, ...], None] = {}
    for core in cores:
        group = next((group for group in siblings if core in group), (core,))
        found[tuple(one for one in group if one in cores)] = None
    return list(found)


def _workers(cores: tuple[int, ...], wanted: int | None, *, can_pin: bool) -> tuple[int | None, ...]:
    count = wanted or len(cores)
    return tuple(cores[index % len(cores)] if can_pin else None for index in range(count))


def _workers_wanted(hosts: int, per_host: int | None, in_all: int | None) -> list[int | None]:
    if in_all is None:
        return [per_host] * hosts
    return [max(1, in_all // hosts + (index < in_all % hosts)) for index in range(hosts)]


def _spread(workers: int, cores: int) -> str:
    return "one a core" if workers <= cores else "sharing the cores"


def _text(cores: tuple[int, ...], *, can_pin: bool) -> str:
    listed = ", ".join(map(str, cores))
    return f"core {listed}" if can_pin else f"{len(cores)} core(s), not pinned: this system can't"
