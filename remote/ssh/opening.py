"""Opening an SSH connection through Fabric: keys, agents, jump hosts; every host key is checked at once."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from bench.environment.hosts import Host
from remote.ssh.hop import HostKeys, host_hop
from remote.ssh.jumps import add_jumps, way_to
from remote.ssh.refusals import key_files, translated

KEEP_ALIVE_SECONDS = 5


def unopened(host: Host, keys: HostKeys) -> Any:
    """Fabric's connection to the host, as OpenSSH would make it, with jump hosts as its chain of gateways;
    every host key on the way will be checked when it is opened. Raises InventoryError."""
    hop = host_hop(host, keys)
    add_jumps(hop, host, keys)
    return hop.connection


def opened(host: Host, keys: HostKeys) -> Any:
    """Fabric's connection to the host, open, by way of its jump hosts.

    Raises InventoryError, HostUnreachable, HostKeyError or AuthenticationError.
    """
    connection = unopened(host, keys)
    try:
        open_jumps(host, connection, keys)
        _open_one(host, connection, keys, is_jump=False)
    except BaseException:
        close_way(connection)
        raise
    return connection


def open_jumps(host: Host, connection: Any, keys: HostKeys) -> None:
    """Connect to every jump host on the way to ``connection``, which itself stays unopened.

    Raises what ``connect`` raises, naming the jump host.
    """
    for one in way_to(connection)[:-1]:
        _open_one(host, one, keys, is_jump=True)


def _open_one(host: Host, one: Any, keys: HostKeys, *, is_jump: bool) -> None:
    with translated(host, one, keys.inventory, is_jump=is_jump), _agents_key(one):
        one.open()
        one.client.get_transport().set_keepalive(KEEP_ALIVE_SECONDS)


@contextlib.contextmanager
def _agents_key(connection: Any) -> Iterator[None]:
    """Let an agent that holds the key of the key file offer it first, as ssh does.

    Servers hang up after some six keys, and an agent may hold more.
    """
    wanted = {blob for file in key_files(connection) if (blob := _public_blob(file)) is not None}
    agent = paramiko.Agent()
    try:
        held = [key for key in agent.get_keys() if key.asbytes() in wanted]
        if held:
            # A key with a certificate of its own comes first.
            connection.connect_kwargs.setdefault("pkey", held[0])
        yield
    finally:
        agent.close()


def _public_blob(file: Path) -> bytes | None:
    """Of the public key beside a private one, where it is."""
    try:
        words = file.with_name(f"{file.name}.pub").read_text("utf-8", "replace").split()
        return base64.b64decode(words[1], validate=True)
    except (OSError, IndexError, ValueError):
        return None


def close_way(connection: Any) -> None:
    """Close it and every jump host on the way to it."""
    for one in reversed(way_to(connection)):
        one.close()
