"""The command `hosts.trust`: shows every SSH host's keys, and pins those that the user confirms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import HostKeyError
from inventory.read import read_inventory
from remote.ssh.hop import HostKeys, host_keys_of
from remote.ssh.jumps import way_to
from remote.ssh.known_hosts import alias_of, fingerprint, pin, scan_host_key
from remote.ssh.opening import close_way, open_jumps, unopened

SCAN_SECONDS = 10.0


def trust_hosts(
    root: Path, hosts: str, *, say: Callable[[str], None], confirm: Callable[[str], bool]
) -> None:
    """Show every SSH host's keys and pin them beside the inventory. Raises HostKeyError if refused.

    Names and ports are what ~/.ssh/config makes of them; a jump host is pinned before what is behind it, and
    once if several hosts are behind it.
    """
    inventory = read_inventory(hosts, root=root)
    keys = host_keys_of(inventory)
    remote = [host for host in inventory.hosts if not host.is_local]
    if not remote:
        say("every host is local: there is no key to pin")
        return
    pinned: set[tuple[str, int]] = set()
    for host in remote:
        for number in range(len(way_to(unopened(host, keys)))):
            # Anew for each: what was pinned on the way is known by then.
            way = way_to(unopened(host, keys))
            one = way[number]
            if (one.host, int(one.port)) in pinned:
                continue
            through = one.open_gateway if one.gateway else None
            name = host.name if number == len(way) - 1 else f"jump host of {host.name}"
            try:
                open_jumps(host, one, keys)
                _pin(name, one, keys, through, say, confirm)
            finally:
                close_way(one)
            pinned.add((one.host, int(one.port)))
    say(f"pinned in {keys.files[0]}")


def _pin(
    name: str,
    connection: Any,
    keys: HostKeys,
    open_socket: Callable[[], Any] | None,
    say: Callable[[str], None],
    confirm: Callable[[str], bool],
) -> None:
    address, port = connection.host, int(connection.port)
    shown = scan_host_key(address, port, SCAN_SECONDS, open_socket=open_socket)
    for key in shown:
        say(f"{name} ({address}:{port})  {key.get_name()}  {fingerprint(key)}")
    if not confirm(f"Are these the keys of {name}? Compare them with what its owner gives you."):
        raise HostKeyError(f"{name}: not pinned", remedy="Nothing runs on a host whose key is not known")
    alias = alias_of(connection.client)
    pin(keys.files[0], alias or address, None if alias else port, shown)
