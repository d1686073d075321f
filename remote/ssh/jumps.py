"""Jump hosts, as OpenSSH goes through them: the first one named is connected to first, the last one leads on.

Fabric goes through several in the opposite order, and checks no jump host's key; so the chain is made here.
"""

from __future__ import annotations

from typing import Any

import fabric

from bench.environment.hosts import Host
from bench.errors import InventoryError
from inventory.ssh_arguments import NO_JUMP, split_jump
from remote.ssh.hop import Hop, HostKeys, jump_hop

DEEPEST = 8


def add_jumps(hop: Hop, host: Host, keys: HostKeys) -> None:
    """Give ``hop``, which is the host's own, its gateways: the inventory's jump hosts, else those of ssh.

    Raises InventoryError for jump hosts that lead to each other, or that ssh has no settings for.
    """
    _add(hop, host.proxy_jump, host, keys, 1)


def way_to(connection: Any) -> list[Any]:
    """The jump hosts in the order in which they are connected to, then ``connection`` itself."""
    gateway = connection.gateway
    before = way_to(gateway) if isinstance(gateway, fabric.Connection) else []
    return [*before, connection]


def _add(hop: Hop, wanted: str | None, host: Host, keys: HostKeys, depth: int) -> None:
    connection = hop.connection
    if depth > DEEPEST:
        raise InventoryError(
            f"host {host.name}: its jump hosts lead to each other ({connection.host})",
            remedy="See ProxyJump in ~/.ssh/config",
        )
    if wanted is not None:
        connection.gateway = None  # a ProxyCommand of ssh's own settings doesn't count then
    text = hop.settings.proxy_jump if wanted is None else wanted
    if text.lower() in ("", NO_JUMP):
        return
    previous: Any = None
    for step in text.split(","):
        user, address, port = split_jump(step)
        one = jump_hop(address, user, port, host, keys)
        if _is_same(one.connection, connection):
            # `Host *` with a ProxyJump means the jump host too; ssh takes no notice of it there.
            return
        if previous is None:
            _add(one, None, host, keys, depth + 1)
        else:
            one.connection.gateway = previous
        previous = one.connection
    connection.gateway = previous


def _is_same(one: Any, other: Any) -> bool:
    return (one.host, int(one.port), one.user) == (other.host, int(other.port), other.user)
