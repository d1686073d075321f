"""Ansible inventories -> the hosts of one environment by role."""

from __future__ import annotations

import difflib
import ipaddress
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.environment.hosts import Host, Inventory
from bench.errors import InventoryError
from inventory.environment import ROLES, choose_group, environment_groups, split_group
from inventory.find import find_inventory
from inventory.listing import IMPLIED_GROUPS, Listing, list_inventory
from inventory.templates import fill_in
from inventory.values import HostVariables
from inventory.variables import VARIABLES, Variable, read_host


def read_inventory(hosts: str, *, root: Path) -> Inventory:
    """``hosts`` names an inventory in ``root``/inventory (its ending may be left out), or is a path; with
    ``:GROUP`` behind it, only that group's hosts count.

    Runs `ansible-inventory` once (about 0.7 s), and `ansible` where values are templates or vaulted. Raises
    InventoryError naming file, key and remedy.
    """
    name, group = split_group(hosts, root=root)
    path = find_inventory(name, root=root)
    listing = choose_group(path, list_inventory(path), group)
    wanted = dict.fromkeys(name for role in ROLES for name in listing.groups.get(role, ()))
    return build_inventory(path, fill_in(path, listing, tuple(wanted)), group=group, typed=hosts)


def build_inventory(path: Path, listing: Listing, *, group: str = "", typed: str = "") -> Inventory:
    """The roles' hosts of ``listing``; nothing is read but key files' permissions. Raises InventoryError.

    ``typed`` is what the user gave as --hosts, for remedies.
    """
    file = typed.removesuffix(f":{group}") if group else typed
    members = {role: _members(path, listing, role, file or path.stem) for role in ROLES}
    names = dict.fromkeys(name for role in ROLES for name in members[role])
    variables = {name: HostVariables(path, name, listing.variables.get(name, {})) for name in names}
    hosts = {name: read_host(variables[name], _groups_of(name, listing)) for name in names}
    database = members["database"]
    inventory = Inventory(
        name=f"{path.stem}-{group}" if group else path.stem,
        group=group,
        path=str(path),
        typed=typed,
        server=hosts[members["server"][0]],
        loadgen=tuple(hosts[name] for name in members["loadgen"]),
        database=hosts[database[0]] if database else None,
        **_of_inventory(path, tuple(variables.values())),
    )
    if inventory.database is not None and inventory.existing_database is not None:
        raise InventoryError(
            f"{path}: group database and asgibench_database_url name two databases",
            remedy="Take one of the two out",
        )
    _refuse_duplicates(path, tuple(hosts.values()))
    _refuse_unreachable_address(path, inventory)
    return inventory


def _members(path: Path, listing: Listing, role: str, typed: str) -> tuple[str, ...]:
    names = listing.groups.get(role, ())
    if not names and (role in listing.groups or role != "database"):
        raise InventoryError(
            f"{path}: group {role}: {_absence(listing, role)}", remedy=_group_remedy(listing, role)
        )
    if role != "loadgen" and len(names) > 1:
        raise InventoryError(
            f"{path}: group {role}: {len(names)} hosts ({', '.join(names)}), and there must be exactly one",
            remedy=_choice(typed, listing)
            or "Leave one in it, or put the hosts of each environment into a group of its own",
        )
    return names


def _choice(typed: str, listing: Listing) -> str:
    groups = environment_groups(listing)
    return (
        f"Choose one environment: --hosts {' or '.join(shlex.quote(f'{typed}:{one}') for one in groups)}"
        if groups
        else ""
    )


def _absence(listing: Listing, role: str) -> str:
    own = [group for group in listing.groups if group not in IMPLIED_GROUPS]
    if role in listing.groups:
        return "has no host"
    if not own and not listing.variables:
        return "missing: the file names no group and no host"
    if not own:
        return f"missing; the file names no group, only hosts: {', '.join(listing.variables)}"
    return f"missing; the groups are: {', '.join(own)}"


def _group_remedy(listing: Listing, role: str) -> str:
    close = difflib.get_close_matches(role, [group for group in listing.groups if group not in ROLES], n=1)
    if close and role not in listing.groups:
        return f"Rename the group {close[0]} to {role}"
    wanted = {
        "server": "the one host to be measured",
        "loadgen": "at least one host",
        "database": "one host",
    }[role]
    return f"Put {wanted} into the group {role}; inventory/local.yml shows the form"


def _groups_of(name: str, listing: Listing) -> tuple[str, ...]:
    return tuple(
        group for group, members in listing.groups.items() if name in members and group not in IMPLIED_GROUPS
    )


def _of_inventory(path: Path, variables: Sequence[HostVariables]) -> dict[str, Any]:
    """{field of Inventory: value, or None} of the variables that hold for all hosts together."""
    return {one.field: _common(path, variables, one) for one in VARIABLES if one.of == "inventory"}


def _common(path: Path, variables: Sequence[HostVariables], variable: Variable) -> Any:
    said = {one.host: variable.read(one, variable.name) for one in variables if variable.name in one.values}
    first = next(iter(said.values()), None)
    if any(value != first for value in said.values()):
        raise InventoryError(
            f"{path}: {variable.name}: differs between the hosts {', '.join(said)}",
            remedy="Set it once, under all: vars:",
        )
    return first


def _refuse_duplicates(path: Path, hosts: Sequence[Host]) -> None:
    seen: dict[tuple[object, ...], str] = {}
    for host in hosts:
        if host.is_local:
            continue
        target = (host.ssh_host.lower(), host.ssh_port or 22, host.ssh_user, host.proxy_jump)
        if target in seen:
            raise InventoryError(
                f"{path}: the hosts {seen[target]} and {host.name} are the same machine "
                f"({host.ssh_host} port {host.ssh_port or 22})",
                remedy="Give it one name, which may stand in several groups, or correct ansible_host",
            )
        seen[target] = host.name


def _refuse_unreachable_address(path: Path, inventory: Inventory) -> None:
    """A loopback address leads every other machine to itself."""
    server = inventory.server
    others = [host for host in inventory.loadgen if not _same_machine(host, server)]
    if others and _is_loopback(server.address):
        raise InventoryError(
            f"{path}: host {server.name}: asgibench_address: "
            f"{others[0].name} can't reach it as '{server.address}'",
            remedy="Set asgibench_address to the address that the load hosts connect to",
        )


def _same_machine(one: Host, other: Host) -> bool:
    return one.name == other.name or (one.is_local and other.is_local)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address.lower() in ("localhost", "localhost.localdomain")
