"""Many hosts at once: each step takes as long as its slowest host, and every host's outcome is told.

Barriers instead of clocks: a step passes only where all hosts are in it at the same time.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from bench.environment.hosts import Host, Inventory
from bench.errors import (
    AsgibenchError,
    AuthenticationError,
    ConnectionLost,
    HostUnreachable,
    LoadError,
    SeveralHostsFailed,
)
from remote import fleet
from remote.fleet import AT_ONCE_THROUGH_A_JUMP_HOST, open_fleet
from remote.guarded import new_session
from remote.local import LocalConnection
from remote.parallel import on_all, outcomes, wait_for_all
from remote.provision.ship import ship
from remote.runner import Completed, HostCommand
from remote.ssh.hop import HostKeys
from tests.helpers.facts import facts_of_this_machine

pytestmark = pytest.mark.alone

LOAD_HOSTS = 8
PATIENCE_SECONDS = 60


def environment(load_hosts: int, *, proxy_jump: str | None = None) -> Inventory:
    server = Host("server", ("server",), ssh_host="192.0.2.1", proxy_jump=proxy_jump)
    load = tuple(
        Host(f"load-{number}", ("loadgen",), ssh_host="192.0.2.2", proxy_jump=proxy_jump)
        for number in range(1, load_hosts + 1)
    )
    return Inventory(name="many", path="many.yml", server=server, loadgen=load)


class MeetingConnection(LocalConnection):
    """A local connection whose every command waits until all others run theirs."""

    def __init__(self, name: str, meeting: threading.Barrier) -> None:
        super().__init__(Host(name, ("loadgen",), connection="local"))
        self.meeting = meeting

    def execute(self, command: HostCommand) -> Completed:
        self.meeting.wait()
        return super().execute(command)


def test_files_go_to_all_hosts_at_once(tmp_path: Path) -> None:
    """Both round trips, the question and the sending, are on every host at the same time."""
    meeting = threading.Barrier(LOAD_HOSTS, timeout=PATIENCE_SECONDS)
    connections = [MeetingConnection(f"load-{number}", meeting) for number in range(LOAD_HOSTS)]

    def ship_to(connection: MeetingConnection) -> bool:
        folder = tmp_path / connection.host.name
        folder.mkdir()
        return ship(connection, facts_of_this_machine(folder), {"a.txt": b"a"}).changed

    shipped = on_all(ship_to, connections, lambda one: one.host.name)
    assert shipped == {connection.host.name: True for connection in connections}


def test_all_hosts_are_connected_to_at_once_and_each_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host waits for another; all that failed are named, in the inventory's order and in their own way."""
    hosts = environment(LOAD_HOSTS)
    meeting = threading.Barrier(len(hosts.hosts), timeout=PATIENCE_SECONDS)

    def connect(host: Host, keys: HostKeys) -> LocalConnection:
        if host.is_local:
            return LocalConnection(host)
        meeting.wait()
        if host.name == "load-3":
            raise AuthenticationError(f"{host.name}: refused", remedy="see its keys")
        raise HostUnreachable(f"{host.name}: gone", remedy="see that it is up")

    monkeypatch.setattr(fleet, "connect", connect)
    with pytest.raises(SeveralHostsFailed) as caught:
        open_fleet(hosts, new_session("a test"), report=lambda line: None)
    failures = dict(caught.value.failures)
    assert list(failures) == ["server", *(f"load-{number}" for number in range(1, LOAD_HOSTS + 1))]
    assert [name for name, error in failures.items() if isinstance(error, AuthenticationError)] == ["load-3"]


def test_a_jump_host_is_not_asked_for_all_connections_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many at a time as sshd takes without dropping any; every host has its turn."""
    hosts = environment(3 * AT_ONCE_THROUGH_A_JUMP_HOST, proxy_jump="jump.example")
    lock = threading.Lock()
    now, most, tried = 0, 0, []

    def connect(host: Host, keys: HostKeys) -> LocalConnection:
        nonlocal now, most
        if host.is_local:
            return LocalConnection(host)
        with lock:
            now += 1
            most = max(most, now)
            tried.append(host.name)
        time.sleep(0.1)
        with lock:
            now -= 1
        raise HostUnreachable(f"{host.name}: gone", remedy="see that it is up")

    monkeypatch.setattr(fleet, "connect", connect)
    with pytest.raises(SeveralHostsFailed):
        open_fleet(hosts, new_session("a test"), report=lambda line: None)
    assert sorted(tried) == sorted(host.name for host in hosts.hosts)
    assert most == AT_ONCE_THROUGH_A_JUMP_HOST


def test_one_failure_among_eight_leaves_the_others_outcomes() -> None:
    """What the seven others came to is kept, also where the failure comes first."""
    rest = threading.Event()

    def work(number: int) -> int:
        if number == 3:
            rest.set()
            raise HostUnreachable("load-3: gone", remedy="see that it is up")
        assert rest.wait(PATIENCE_SECONDS)
        return number * number

    values, errors = outcomes(work, range(LOAD_HOSTS), lambda number: f"load-{number}")
    assert values == {f"load-{number}": number * number for number in range(LOAD_HOSTS) if number != 3}
    assert list(errors) == ["load-3"]


def test_parts_that_run_side_by_side_keep_every_failure() -> None:
    one, other = ConnectionLost("server: the connection has gone"), LoadError("load-1: the file is cut short")
    assert failure_of(server=None, load=None) is None
    assert failure_of(server=None, load=other) is other
    assert failure_of(server=one, agents=one, load=None) is one
    both = failure_of(server=one, agents=None, load=other)
    assert isinstance(both, SeveralHostsFailed)
    assert both.failures == (("server", one), ("load", other))
    assert "the connection has gone" in both.detail and "cut short" in both.detail


def failure_of(**parts: AsgibenchError | None) -> AsgibenchError | None:
    """What ``wait_for_all`` raises where each of the parts ends in this way."""
    futures: dict[str, Future[None]] = {name: Future() for name in parts}
    for name, error in parts.items():
        futures[name].set_exception(error) if error is not None else futures[name].set_result(None)
    try:
        wait_for_all(**futures)
    except AsgibenchError as raised:
        return raised
    return None
