"""The lab as a whole: up, down, status. Each may be called again, also after what went wrong before."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import AsgibenchError, LabError, SeveralHostsFailed
from inventory.lab import network
from inventory.lab.base import ensure_base
from inventory.lab.files import remove_files, write_files
from inventory.lab.host import (
    HostPlan,
    LabHost,
    ensure_host,
    is_reachable,
    stop_host,
    stop_namespace,
    stop_recorded,
)
from inventory.lab.lock import locked
from inventory.lab.spec import STATE_DIRECTORY, CoreSplit, HostSpec, LabSpec, plan_hosts, split_cores
from inventory.lab.state import (
    CLIENT_KEY_NAME,
    STATE_NAME,
    LabState,
    ensure_key,
    invoking_user,
    load_state,
    save_state,
)
from inventory.lab.system import Report, check_rights, remove_tree, require, run, usable_physical_cores

LOCK_TIMEOUT_SECONDS = 1200.0
REACH_TIMEOUT_SECONDS = 3.0

Item = TypeVar("Item")
Value = TypeVar("Value")


class HostStatus(msgspec.Struct, frozen=True):
    """One host. ``sshd_pid`` is its number on this machine, None when no sshd listens there."""

    name: str
    address: str
    groups: tuple[str, ...]
    sshd_pid: int | None
    is_reachable: bool


class LabStatus(msgspec.Struct, frozen=True):
    """The lab as it is. No hosts: no lab is up."""

    hosts: tuple[HostStatus, ...]

    @property
    def is_sound(self) -> bool:
        return bool(self.hosts) and all(host.is_reachable and host.sshd_pid for host in self.hosts)


def up(spec: LabSpec, *, inventory_directory: Path, report: Report) -> None:
    """Make the lab as ``spec`` says, changing only what isn't so yet; then write inventory and host keys.

    Raises LabError (SeveralHostsFailed of several) with what to do about it; `down` clears what was made.
    """
    spec.check()
    report = one_at_a_time(report)
    require(report)
    hosts = plan_hosts(spec)
    releases = {host.name: release for host, release in zip(hosts, cycle(spec.releases), strict=False)}
    bases = {
        release: ensure_base(spec.cache_directory, report, release=release)
        for release in dict.fromkeys(releases.values())
    }
    with locked(spec.state_directory, report, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        remove_unlike(spec, inventory_directory, report)
        network.check_is_free(spec)
        record(spec, hosts, report)
        network.ensure_bridge(spec)
        client_key = spec.state_directory / CLIENT_KEY_NAME
        public_key = ensure_key(client_key, "asgibench lab")
        give_to_invoking_user(client_key)
        split = split_cores(usable_physical_cores())
        plans = [
            plan_host(spec, host, hosts, bases[releases[host.name]], split, public_key) for host in hosts
        ]
        keys = in_parallel(lambda plan: ensure_host(plan, report), plans, lambda plan: plan.spec.name)
        check_reach(hosts)
        write_files(
            inventory_directory,
            spec,
            hosts,
            client_key=client_key,
            controller_cores=split.load,
            keys={host.address: " ".join(key.split()[:2]) for host, key in zip(hosts, keys, strict=True)},
        )
    report(f"the lab is up: {', '.join(host.name for host in hosts)}")


def down(*, inventory_directory: Path, report: Report, state_directory: Path = STATE_DIRECTORY) -> None:
    """Remove every trace of the lab but the base system in its cache. Raises LabError."""
    check_machine()
    state = load_state(state_directory)
    bridges = network.owned_bridges(state_directory)
    if state is None and not bridges and not state_directory.exists():
        remove_files(inventory_directory, LabSpec().network)
        report("no lab is up")
        return
    with locked(state_directory, report, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        take_down(state_directory, inventory_directory, report)
        remove_tree(state_directory)
    cache = (state.spec if state else LabSpec()).cache_directory
    report(f"the lab is down; its base system stays in {cache}")


def status(*, state_directory: Path = STATE_DIRECTORY) -> LabStatus:
    """The lab as it is now. Raises LabError where there is one and we are not root."""
    return LabStatus(tuple(in_parallel(host_status, lab_hosts(state_directory), lambda host: host.spec.name)))


def lab_hosts(state_directory: Path = STATE_DIRECTORY) -> tuple[LabHost, ...]:
    """The hosts of the lab that is up, the server first; none when no lab is up. Raises LabError."""
    state = load_state(state_directory)
    if state is None:
        return ()
    check_machine()
    return tuple(LabHost(host) for host in plan_hosts(state.spec))


def host_status(host: LabHost) -> HostStatus:
    spec = host.spec
    return HostStatus(spec.name, spec.address, (spec.group,), host.sshd_pid, is_reachable(spec.address))


def one_at_a_time(report: Report) -> Report:
    """Hosts are made in threads; what they report arrives line by line."""
    lock = threading.Lock()

    def locked_report(line: str) -> None:
        with lock:
            report(line)

    return locked_report


def check_machine() -> None:
    status_text = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    check_rights(platform=sys.platform, is_root=os.geteuid() == 0, process_status=status_text)


def remove_unlike(spec: LabSpec, inventory_directory: Path, report: Report) -> None:
    """Take down a lab of other names or addresses that stands in the same state folder."""
    state = load_state(spec.state_directory)
    if state is not None and identity(state.spec) != identity(spec):
        report("the lab stands with other names or addresses: taking it down first")
        take_down(spec.state_directory, inventory_directory, report)


def identity(spec: LabSpec) -> tuple[str, str, str]:
    return spec.prefix, spec.bridge, spec.subnet


def record(spec: LabSpec, hosts: Sequence[HostSpec], report: Report) -> None:
    """Remove the hosts that the lab has beyond ``hosts``; note what it will have before it is made."""
    state = load_state(spec.state_directory)
    wanted = {host.namespace for host in hosts}
    for host in plan_hosts(state.spec) if state is not None else ():
        if host.namespace not in wanted:
            report(f"{host.name}: removed")
            stop_host(host)
    for namespace in network.namespaces_of(spec.bridge):
        if namespace not in wanted:
            stop_namespace(namespace)
    had_directory = network.NAMESPACE_DIRECTORY.exists()
    made = state.made_namespace_directory if state is not None else not had_directory
    if state is None or state.spec != spec:
        save_state(LabState(spec, made))


def plan_host(
    spec: LabSpec, host: HostSpec, hosts: Sequence[HostSpec], base: Path, split: CoreSplit, public_key: str
) -> HostPlan:
    return HostPlan(
        spec=host,
        bridge=spec.bridge,
        base=base,
        cores=split.server if host.group == "server" else split.load,
        hosts_file=hosts_file(spec, hosts),
        client_key=public_key,
    )


def hosts_file(spec: LabSpec, hosts: Sequence[HostSpec]) -> str:
    """/etc/hosts of every host of the lab."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{spec.controller_address} {spec.prefix}-controller"]
    lines += [f"{host.address} {host.name}" for host in hosts]
    return "\n".join(lines) + "\n"


def give_to_invoking_user(client_key: Path) -> None:
    user = invoking_user()
    if user is not None:
        client_key.parent.chmod(0o755)
        os.chown(client_key, *user)


def check_reach(hosts: Sequence[HostSpec]) -> None:
    """Where this machine's firewall sees what goes over bridges, raise LabError if it lets nothing by."""
    if not network.is_filtered():
        return
    server, *others = hosts
    probe = f"import socket; socket.create_connection(({server.address!r}, 22), {REACH_TIMEOUT_SECONDS})"
    for host in others:
        try:
            run(["ip", "netns", "exec", host.namespace, sys.executable, "-IS", "-c", probe])
        except LabError as error:
            raise LabError(
                f"{host.name} does not reach {server.name}: this machine's firewall filters its bridges",
                remedy="Allow it, or `sysctl net.bridge.bridge-nf-call-iptables=0`",
                detail=error.detail,
            ) from error


def take_down(state_directory: Path, inventory_directory: Path, report: Report) -> None:
    """Remove what is recorded, and what the kernel says is ours where the record is lost."""
    state = load_state(state_directory)
    spec = state.spec if state is not None else LabSpec(state_directory=state_directory)
    directories = sorted((state_directory / "hosts").glob("*"))
    in_parallel(stop_recorded, directories, lambda directory: directory.name)
    for bridge in bridges_to_remove(state_directory, state):
        for link in network.links_of(bridge):
            network.remove_link(link)
        in_parallel(stop_namespace, network.namespaces_of(bridge), str)
        network.remove_bridge(bridge)
    if state is not None and state.made_namespace_directory:
        network.remove_namespace_directory()
    report(f"ended {', '.join(directory.name for directory in directories) or 'nothing'}")
    remove_files(inventory_directory, spec.network)
    # The record last: whoever interrupts this can begin again.
    remove_tree(state_directory / "hosts")
    for name in (CLIENT_KEY_NAME, f"{CLIENT_KEY_NAME}.pub", STATE_NAME):
        (state_directory / name).unlink(missing_ok=True)


def bridges_to_remove(state_directory: Path, state: LabState | None) -> tuple[str, ...]:
    """The lab's bridges; and its bridge's name, which namespaces begin with, where that isn't marked."""
    owned = network.owned_bridges(state_directory)
    if state is not None and network.is_unmarked(state.spec):
        return (*owned, state.spec.bridge)
    return owned


def in_parallel(
    work: Callable[[Item], Value], items: Iterable[Item], name: Callable[[Item], str]
) -> list[Value]:
    """``work`` on every item in a thread each, to the end of all; the results in order.

    One failure is raised as it is, several as SeveralHostsFailed naming each.
    """
    things = list(items)
    with ThreadPoolExecutor(max_workers=max(1, len(things))) as pool:
        futures = [(name(thing), pool.submit(work, thing)) for thing in things]
    errors = [(key, error) for key, future in futures if (error := future.exception()) is not None]
    failures = [(key, error) for key, error in errors if isinstance(error, AsgibenchError)]
    for _, error in errors:
        if len(errors) == 1 or not isinstance(error, AsgibenchError):
            raise error
    if failures:
        raise SeveralHostsFailed(failures)
    return [future.result() for _, future in futures]
