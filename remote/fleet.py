"""All hosts of an environment, connected, known and held under their guards. Every host's outcome is kept."""

from __future__ import annotations

import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.errors import AsgibenchError, ConnectionLost, HostUnreachable
from bench.hosts import Host, Inventory
from remote.ask import Ask, outcomes_asking
from remote.connect import HostKeys, connect, host_keys_of
from remote.facts import read_facts
from remote.guarded import GuardedHost, GuardSession
from remote.parallel import on_all, outcomes

CONTROLLER = "(controller)"  # no inventory can name a host so
# Less than the lease, so that what still runs there is ours to go on with.
RECONNECT_SECONDS = 30.0


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
        on_all(lambda one: _take_up(one, keys), lost, lambda one: one.host.name)
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
    """Connect to every host at once and hold it. If one fails, all are given back and each failure told.

    ``ask`` asks the user for what the keys alone don't open.
    """
    keys = host_keys_of(inventory)
    opened: list[GuardedHost] = []
    given_up = threading.Event()

    def open_one(host: Host) -> GuardedHost:
        connection = connect(host, keys)
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


def _take_up(guarded: GuardedHost, keys: HostKeys) -> None:
    deadline = time.monotonic() + RECONNECT_SECONDS
    while True:
        try:
            guarded.reattach(connect(guarded.host, keys))
            return
        except (HostUnreachable, ConnectionLost):
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def _raise(pair: tuple[str, AsgibenchError]) -> None:
    raise pair[1]
