"""Are the hosts ready for a plan? Reads conditions, tries port and links; readiness.py judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.environment.hosts import Host, HostFacts, Inventory
from bench.environment.links import Links, known_links, links_path, save_links
from bench.environment.readiness import (
    Demand,
    Finding,
    State,
    by_state,
    link_findings,
    load_findings,
    other_findings,
    port_finding,
    program_finding,
    server_findings,
    stops_of,
    unreached_finding,
)
from bench.errors import AsgibenchError, HostsNotReady, HostUnsuitable, PortTaken
from bench.wire.condition import Condition
from remote import bootstrap
from remote.facts import read_facts
from remote.fleet import Fleet
from remote.guarded import GuardedHost, new_session
from remote.links import BRIEF_SECONDS, FULL_SECONDS, measure_links
from remote.parallel import on_all, outcomes
from remote.provision.debian import cannot_send, find_program
from remote.runner import Runner
from remote.ssh.ask import outcomes_asking, terminal
from remote.ssh.connect import connect
from remote.ssh.hop import host_keys_of

CONDITION_SECONDS = 60.0


class Checked(msgspec.Struct, frozen=True):
    """All that was found out, by host."""

    environment: str
    facts: dict[str, HostFacts]
    conditions: dict[str, Condition]
    links: Links | None  # None: not measured
    findings: tuple[Finding, ...]
    errors: dict[str, AsgibenchError]  # of hosts that could not be looked at

    @property
    def error(self) -> AsgibenchError | None:
        """What the exit code comes from: the hosts' own error where that is all, else what stops the plan.

        Hosts that failed in the same way count as one: the findings name them all.
        """
        stops = stops_of(self.findings)
        if len(stops) == len(self.errors) and len({type(error) for error in self.errors.values()}) == 1:
            return next(iter(self.errors.values()))
        if not stops:
            return None
        found = not_ready(stops)
        # Without its detail: the findings themselves are shown in full.
        return type(found)(found.message, remedy=found.remedy)

    @property
    def as_json(self) -> dict[str, object]:
        """For --json: every host with its outcome (ok, limits, stops), facts and condition; the links."""
        names = dict.fromkeys((*self.facts, *self.errors))
        return {
            "environment": self.environment,
            "hosts": {
                name: {
                    "outcome": _outcome([one for one in self.findings if one.host == name]),
                    "error": str(self.errors[name]) if name in self.errors else None,
                    "facts": self.facts.get(name),
                    "condition": self.conditions.get(name),
                }
                for name in names
            },
            "links": self.links,
            "findings": self.findings,
        }


def _outcome(findings: Sequence[Finding]) -> State:
    return next(iter(by_state(findings)), "ok")


def read_condition(runner: Runner, facts: HostFacts) -> Condition:
    """One command. Raises HostUnsuitable where its answer can't be read."""
    done = runner.run(
        bootstrap.command(facts.python_path, bootstrap.CONDITION, facts.workdir),
        stdin=bootstrap.modules(bootstrap.CONDITION),
        timeout_seconds=CONDITION_SECONDS,
    )
    try:
        return msgspec.json.decode(done.stdout, type=Condition)
    except msgspec.DecodeError as error:
        raise HostUnsuitable(
            f"{facts.host}: its condition can't be read ({error})",
            remedy="Please report this, with the lines below",
            detail=done.stdout.decode(errors="replace")[-4000:],
        ) from error


def check_hosts(inventory: Inventory, demand: Demand, *, port: int, results: Path) -> Checked:
    """`hosts.check`: every host as far as it can be looked at; no host's failure hides another's state.

    The hosts are held meanwhile, so that no benchmark is disturbed, and given back. What the links carry is
    kept in ``results`` for later benchmarks.
    """
    keys = host_keys_of(inventory)
    session = new_session("hosts.check")
    guards: dict[str, GuardedHost] = {}

    def look(host: Host) -> tuple[GuardedHost, Condition]:
        connection = connect(host, keys)
        try:
            guarded = GuardedHost(connection, read_facts(connection), session)
        except BaseException:
            connection.close()
            raise
        guards[host.name] = guarded
        return guarded, read_condition(guarded, guarded.facts)

    try:
        found, errors = outcomes_asking(look, inventory.hosts, terminal())
        conditions = {name: condition for name, (_, condition) in found.items()}
        opened = {name: guarded for name, (guarded, _) in found.items()}
        findings = [*_unreached(errors), *_state(inventory, opened, conditions, demand)]
        findings += _programs(inventory, opened, demand)
        links = None
        if inventory.server.name in opened:
            more, links = _network(inventory, opened, conditions, demand, port, FULL_SECONDS, upload=True)
            findings += more
    finally:
        _, unreleased = outcomes(lambda one: one.release(), guards.values(), lambda one: one.host.name)
    findings += _unreached(unreleased)
    if links is not None and links.hosts:
        save_links(results, links)
    return Checked(
        environment=inventory.name,
        facts={name: one.facts for name, one in opened.items()},
        conditions=conditions,
        links=links,
        findings=tuple(findings),
        errors=errors,
    )


def check_fleet(
    fleet: Fleet, demand: Demand, *, port: int, results: Path
) -> tuple[tuple[Finding, ...], Links | None]:
    """The same for a benchmark that holds its hosts already, before its first run.

    The links are measured briefly, and only where they aren't known of these very machines. Raises
    HostsNotReady with every finding that stops the plan, PortTaken where that is the server's port alone.
    """
    conditions = on_all(lambda one: read_condition(one, one.facts), fleet.hosts.values(), _name)
    findings = [*_state(fleet.inventory, fleet.hosts, conditions, demand)]
    findings += _programs(fleet.inventory, fleet.hosts, demand)
    # What binds already needs no load on the network first.
    _refuse(findings)
    known = known_links(links_path(results, fleet.inventory.name))
    apart = {
        one.host.name: one.facts.boot_id for one in fleet.loadgen if one.host.name != fleet.server.host.name
    }
    server = fleet.server
    if known is not None and known.is_of(server.facts.boot_id, server.host.address, apart):
        links: Links | None = known
        findings.append(_port(server, port))
        findings += link_findings(known, demand)
    else:
        more, links = _network(
            fleet.inventory, fleet.hosts, conditions, demand, port, BRIEF_SECONDS, upload=False
        )
        findings += more
        if links is not None and links.hosts and not links.problems:
            save_links(results, links)
    _refuse(findings)
    return tuple(findings), links


def _name(guarded: GuardedHost) -> str:
    return guarded.host.name


def _refuse(findings: list[Finding]) -> None:
    stops = stops_of(findings)
    if stops:
        raise not_ready(stops)


def not_ready(stops: tuple[Finding, ...]) -> HostsNotReady | PortTaken:
    lines = [f"  {one.host}: {one.what}: {one.text}. {one.remedy}" for one in stops]
    first = stops[0]
    if len(stops) == 1:
        kind = PortTaken if first.what == "port" else HostsNotReady
        return kind(f"{first.host}: {first.what}: {first.text}", remedy=first.remedy)
    return HostsNotReady(
        f"{len(stops)} things stop the plan before its first run",
        remedy="Mend them, or choose another plan",
        detail="\n".join(lines),
    )


def _unreached(errors: Mapping[str, AsgibenchError]) -> list[Finding]:
    return [
        Finding("stops", name, "reach", error.message.removeprefix(f"{name}: "), error.remedy)
        for name, error in errors.items()
    ]


def _state(
    inventory: Inventory,
    hosts: Mapping[str, GuardedHost],
    conditions: Mapping[str, Condition],
    demand: Demand,
) -> list[Finding]:
    loads = {host.name for host in inventory.loadgen}
    findings: list[Finding] = []
    for name, condition in conditions.items():
        facts = _facts(hosts[name])
        if name == inventory.server.name:
            findings += server_findings(facts, condition, demand)
            if name in loads:
                of_load = load_findings(facts, condition, demand, len(loads))
                findings += [one for one in of_load if one not in findings]
        elif name in loads:
            findings += load_findings(facts, condition, demand, len(loads))
        else:
            findings += other_findings(facts, condition)
    return findings


def _programs(inventory: Inventory, hosts: Mapping[str, GuardedHost], demand: Demand) -> list[Finding]:
    """What the load is made with, on every host that makes some, and what stands before the server."""
    makers = [*inventory.loadgen, *((inventory.server,) if demand.load_on_server else ())]
    wanted = {host.name: demand.programs for host in makers}
    server = inventory.server.name
    wanted[server] = (*wanted.get(server, ()), *demand.server_programs)

    def look(name: str) -> list[Finding]:
        one = hosts[name]
        found = [(program, find_program(one, one.facts, program)) for program in wanted[name]]
        return [
            program_finding(one.facts, program, None if had is None else had.title, cannot_send(one.facts))
            for program, had in found
        ]

    names = [name for name, programs in wanted.items() if programs and name in hosts]
    return [finding for found in on_all(look, names, str).values() for finding in found]


def _facts(guarded: GuardedHost) -> HostFacts:
    """With the clock as the guard reads it, which is more exact than the facts' one round trip over SSH."""
    clocks = guarded.read_clocks()
    return guarded.facts.with_clock(clocks.wall_offset, clocks.error)


def _port(server: GuardedHost, port: int) -> Finding:
    bind = server.host.bind or server.host.address
    return port_finding(server.host.name, bind, port, server.port_problem(bind, port))


def _network(
    inventory: Inventory,
    hosts: Mapping[str, GuardedHost],
    conditions: Mapping[str, Condition],
    demand: Demand,
    port: int,
    seconds: float,
    *,
    upload: bool,
) -> tuple[list[Finding], Links | None]:
    """The server's port, and the links to it if it is free."""
    server = hosts[inventory.server.name]
    findings = [_port(server, port)]
    if findings[0].state == "stops":
        return findings, None
    loads = [hosts[host.name] for host in inventory.loadgen if host.name in hosts]
    links: Links | None = None
    errors: dict[str, AsgibenchError] = {}
    try:
        links, errors = measure_links(
            inventory.name,
            server,
            loads,
            port=port,
            seconds=seconds,
            upload=upload,
            interfaces={name: one.interface_bits_per_second for name, one in conditions.items()},
        )
    except AsgibenchError as error:
        errors = {server.host.name: error}
    findings += [
        Finding("stops", name, "link", error.message.removeprefix(f"{name}: "), error.remedy)
        for name, error in errors.items()
    ]
    if links is not None:
        findings += [
            unreached_finding(name, links.address, port, problem) for name, problem in links.problems.items()
        ]
        findings += link_findings(links, demand)
    return findings, links
