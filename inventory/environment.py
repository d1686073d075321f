"""Several environments in one inventory: a group of any name holds the hosts of one of them.

Chosen by ``--hosts FILE:GROUP``. The roles stay the groups server, loadgen and database, and of each only the
hosts that are in GROUP too count.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from bench.errors import InventoryError
from inventory.find import find_inventory
from inventory.listing import IMPLIED_GROUPS, Listing

ROLES = ("server", "loadgen", "database")


def split_group(hosts: str, *, root: Path) -> tuple[str, str]:
    """(inventory, group) of what the user typed; "" where no group is named."""
    name, colon, group = hosts.rpartition(":")
    if not colon or Path(hosts).expanduser().exists():
        return hosts, ""
    if not group or not name:
        raise InventoryError(
            f"'{hosts}' names no {'group' if name else 'inventory'}", remedy="Write it as INVENTORY:GROUP"
        )
    # First whether there is such a file: its error is the one that helps.
    find_inventory(name, root=root)
    return name, group


def environment_groups(listing: Listing) -> tuple[str, ...]:
    """The groups that make an environment: one server host in them, and a load host."""
    return tuple(
        group
        for group, members in listing.groups.items()
        if group not in (*ROLES, *IMPLIED_GROUPS)
        and len(set(members) & set(listing.groups.get("server", ()))) == 1
        and set(members) & set(listing.groups.get("loadgen", ()))
    )


def choose_group(path: Path, listing: Listing, group: str) -> Listing:
    """``listing`` with the hosts of ``group`` alone in every group; as it is for "".

    Raises InventoryError.
    """
    if not group:
        return listing
    if group in ROLES or not listing.groups.get(group):
        there = environment_groups(listing)
        close = difflib.get_close_matches(group, there, n=1)
        raise InventoryError(
            f"{path}: {group} is a role"
            if group in ROLES
            else f"{path}: there is no group {group} with hosts",
            remedy=(f"Did you mean {path.stem}:{close[0]}? " if close else "")
            + (
                f"Environments there: {', '.join(there)}"
                if there
                else "Put an environment's hosts into a group"
            ),
        )
    kept = set(listing.groups[group])
    groups = {
        name: found
        for name, members in listing.groups.items()
        if (found := tuple(host for host in members if host in kept))
    }
    return Listing(groups, listing.variables)
