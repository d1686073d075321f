"""All hosts of an environment, connected, known and held under their guards. Every host's outcome is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.environment.hosts import Host, Inventory
from bench.errors import AsgibenchError, ConnectionLost, HostUnreachable
from remote.facts import read_facts
from remote.guarded import GuardedHost, GuardSession
from remote.parallel import on_all, outcomes
from remote.runner import HostConnection
from remote.ssh.ask import Ask, outcomes_asking
from remote.ssh.connect import connect
from remote.ssh.hop import HostKeys, host_keys_of

CONTROLLER = "(controller)"  # a name that no host of an inventory can have
# Less than the lease: what runs on the host has not been stopped by then.
RECONNECT_SECONDS = 30.0
# A jump host sees the connections to all hosts behind it, and sshd drops some where 10 have not logged in yet
# (MaxStartups).
AT_ONCE_THROUGH_A_JUMP_HOST = 8


class Fleet(msgspec.Struct, frozen=True):
    """``hosts`` by name; ``controller`` is this machine's guard (one of ``hosts`` where it is among them)."""

    inventory: Inventory
    hosts: dict[str, GuardedHost]
    controller: GuardedHost

    @property
    def server(self) -> GuardedHost:
        return self.hosts[self.inventory.server.name]

    @property
    def database(self) -> GuardedHost:
        return self.hosts[(self.inventory.database or self.inventory.server).name]

    @property
    def loadgen(self) -> tuple[GuardedHost, ...]:
        return tuple(self.hosts[host.name] for host in self.inventory.loadgen)

    @property
    def guarded(self) -> tuple[GuardedHost, ...]:
        """Every guard once."""
        others = () if self.controller in self.hosts.values() else (self.controller,)
        return (*self.hosts.values(), *others)

    def reconnect(self) -> tuple[str, ...]:
        """Take up every lost connection again, while its lease lasts; their hosts. Raises HostUnreachable."""
        lost = [one for one in self.guarded if one.is_lost()]
        keys = host_keys_of(self.inventory)
        gates = _gates(self.inventory.hosts)
        on_all(lambda one: _take_up(one, keys, gates), lost, lambda one: one.host.name)
        return tuple(one.host.name for one in lost)

    def release(self) -> dict[str, AsgibenchError]:
        """Stop all of ours everywhere; the hosts that could not be asked, with their errors.

        A host that is out of reach stops everything by itself when its lease expires.
        """
        return _give_back(self.guarded)


def controller_host(inventory: Inventory) -> Host:
    """This machine as the controller of one environment: several may be measured from it at once."""
    base = "/var/lib/asgibench-controller" if os.geteuid() == 0 else "~/.local/share/asgibench-controller"
    label = f"{inventory.name}-{zlib.crc32(str(Path(inventory.path).resolve()).encode()):08x}"
    return Host(
        name=CONTROLLER, groups=(), connection="local", address="127.0.0.1", workdir=f"{base}/{label}"
    )


def open_fleet(
    inventory: Inventory,
    session: GuardSession,
    *,
    report: Callable[[str], None],
    ask: Ask | None = None,
) -> Fleet:
    """Connect to every host at once and hold it. If one fails, all are given back and each failure raised.

    ``ask`` asks the user for what the keys alone don't open.
    """
    keys = host_keys_of(inventory)
    gates = _gates(inventory.hosts)
    opened: list[GuardedHost] = []
    given_up = threading.Event()

    def open_one(host: Host) -> GuardedHost:
        connection = _connect(host, keys, gates)
        try:
            guarded = GuardedHost(connection, read_facts(connection), session)
        except BaseException:
            connection.close()
            raise
        opened.append(guarded)
        if given_up.is_set():
            guarded.release()
        report(f"{host.name}: connected")
        return guarded

    wanted = list(inventory.hosts)
    if not any(host.is_local for host in wanted):
        wanted.append(controller_host(inventory))
    try:
        hosts, errors = outcomes_asking(open_one, wanted, ask)
    except BaseException:
        # Ctrl-C: what is held already is given back now, what is being opened as soon as it is open.
        given_up.set()
        _give_back(list(opened))
        raise
    if errors:
        _give_back(list(hosts.values()))
        # Raises what stands in ``errors``: one alone as it is, several together.
        on_all(_raise, errors.items(), lambda pair: pair[0])
    local = next(one for one in hosts.values() if one.host.is_local)
    return Fleet(
        inventory=inventory,
        hosts={name: one for name, one in hosts.items() if name != CONTROLLER},
        controller=local,
    )


def _give_back(guards: Sequence[GuardedHost]) -> dict[str, AsgibenchError]:
    """Release them all; the failures by host. The controller's own folder goes: nothing in it is kept."""
    _, errors = outcomes(lambda one: one.release(), guards, lambda one: one.host.name)
    for one in guards:
        if one.host.name == CONTROLLER and CONTROLLER not in errors:
            # Its guard removes its own last files meanwhile.
            shutil.rmtree(one.workdir, ignore_errors=True)
    return errors


def _gates(hosts: Iterable[Host]) -> dict[str, threading.Semaphore]:
    """One for each jump host of the inventory."""
    jumps = {host.proxy_jump for host in hosts if host.proxy_jump}
    return {jump: threading.Semaphore(AT_ONCE_THROUGH_A_JUMP_HOST) for jump in jumps}


def _connect(host: Host, keys: HostKeys, gates: Mapping[str, threading.Semaphore]) -> HostConnection:
    """Raises as ``connect``. Only hosts behind a jump host wait for each other."""
    gate = gates.get(host.proxy_jump or "")
    with gate if gate is not None else contextlib.nullcontext():
        return connect(host, keys)


def _take_up(guarded: GuardedHost, keys: HostKeys, gates: Mapping[str, threading.Semaphore]) -> None:
    deadline = time.monotonic() + RECONNECT_SECONDS
    while True:
        try:
            guarded.reattach(_connect(guarded.host, keys, gates))
            return
        except (HostUnreachable, ConnectionLost):
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def _raise(pair: tuple[str, AsgibenchError]) -> None:
    raise pair[1]
