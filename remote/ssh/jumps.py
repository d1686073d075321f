"""Jump hosts, as OpenSSH goes through them: the first one named is connected to first, the last one leads on.

Fabric reads ProxyJump out of ~/.ssh/config too, but goes through several in the opposite order, and checks no
jump host's key; so the chain is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fabric

from bench.environment.hosts import Host
from bench.errors import InventoryError
from inventory.ssh_arguments import NO_JUMP, split_jump

DEEPEST = 8


def add_jumps(connection: Any, host: Host, options: Mapping[str, Any]) -> None:
    """Give Fabric's unopened ``connection`` its gateways: those of the inventory, else of ~/.ssh/config.

    ``options`` are connect_kwargs for each of them; keys and users of a jump host are ~/.ssh/config's, as
    with ssh. Raises InventoryError for jump hosts that lead to each other.
    """
    _add(connection, host.proxy_jump, host, options, 1)


def way_to(connection: Any) -> list[Any]:
    """The jump hosts in the order in which they are connected to, then ``connection`` itself."""
    gateway = connection.gateway
    before = way_to(gateway) if isinstance(gateway, fabric.Connection) else []
    return [*before, connection]


def _add(connection: Any, wanted: str | None, host: Host, options: Mapping[str, Any], depth: int) -> None:
    if depth > DEEPEST:
        raise InventoryError(
            f"host {host.name}: its jump hosts lead to each other ({connection.host})",
            remedy="See ProxyJump in ~/.ssh/config",
        )
    text = wanted if wanted is not None else connection.ssh_config.get("proxyjump", "")
    connection.gateway = connection.ssh_config.get("proxycommand") if wanted is None and not text else None
    if text.lower() in ("", NO_JUMP):
        return
    previous: Any = None
    for hop in text.split(","):
        user, address, port = split_jump(hop)
        one = fabric.Connection(address, user=user, port=port, gateway=False, connect_kwargs=dict(options))
        if _is_same(one, connection):
            # `Host *` with a ProxyJump means the jump host too; ssh takes no notice of it there.
            return
        if previous is None:
            _add(one, None, host, options, depth + 1)
        else:
            one.gateway = previous
        previous = one
    connection.gateway = previous


def _is_same(one: Any, other: Any) -> bool:
    return (one.host, int(one.port), one.user) == (other.host, int(other.port), other.user)
