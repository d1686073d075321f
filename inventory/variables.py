"""Our own inventory variables, a row each: reader, messages and the table in docs/hosts.md follow from it.

A new one is a row here, and a field of ``Host`` or ``Inventory`` that what it is for reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from bench.environment.hosts import ExistingDatabase, Host
from inventory.ansible_variables import (
    ANSIBLE_KEYS,
    HOST_KEYS,
    PASSWORD_KEYS,
    PORT_KEYS,
    REFUSED_KEYS,
    USER_KEYS,
    connection,
    key_file,
    proxy_jump,
)
from inventory.database_url import parse_database_url
from inventory.values import HostVariables


class Variable(msgspec.Struct, frozen=True):
    """One variable of ours, ``asgibench_...``."""

    name: str  # as it stands in an inventory
    field: str  # of Host, or of Inventory
    # What the inventory has of the variable of that name, None where it is not set. Raises InventoryError.
    read: Callable[[HostVariables, str], Any]
    meaning: str  # for docs/hosts.md
    default: str  # what holds without it, for docs/hosts.md
    # Whose setting it is: of each host, or of the whole inventory, where hosts must not differ.
    of: Literal["host", "inventory"] = "host"


def name_or_address(variables: HostVariables, key: str) -> str | None:
    """A host's name or IP address, without the brackets of IPv6."""
    return (variables.text(key) or "").strip("[]") or None


def python(variables: HostVariables, key: str) -> str | None:
    """A path, or a name on PATH; in its place Ansible's interpreter counts, if it is one."""
    own = variables.text(key)
    if own is not None:
        return own
    ansible = variables.text("ansible_python_interpreter")
    if ansible is None or ansible.startswith("auto"):
        return None
    words = ansible.split()
    # `/usr/bin/env python3` is the name alone: it is looked for on PATH.
    return words[1] if len(words) == 2 and PurePosixPath(words[0]).name == "env" else ansible


def folder(variables: HostVariables, key: str) -> str | None:
    """An absolute path, or one that begins with ~/; hosts.clean removes that folder and all that is in it."""
    value = variables.text(key)
    if value is not None and not value.startswith(("/", "~")):
        raise variables.error(key, f"'{value}' is a relative path", "Start it with / or ~/")
    if value is not None and (len(Path(value).parts) < 2 or ".." in Path(value).parts):
        raise variables.error(key, f"'{value}' is not a folder of its own", "Name one, like ~/asgibench")
    return value


def database(variables: HostVariables, key: str) -> ExistingDatabase | None:
    """The URL of a PostgreSQL database; no message shows it."""
    text = variables.text(key)
    try:
        return None if text is None else parse_database_url(text)
    except ValueError as error:
        # Without its cause: that one's words may have the password in them.
        raise variables.error(
            key,
            f"is no URL of a PostgreSQL database ({error})",
            "Write it like postgresql://user:password@db.example:5432/database",
        ) from None


VARIABLES = (
    Variable(
        "asgibench_address",
        "address",
        name_or_address,
        "what the other hosts connect to: the private address behind a NAT",
        "`ansible_host`",
    ),
    Variable(
        "asgibench_bind",
        "bind",
        name_or_address,
        "what the server, or the database, listens on",
        "`asgibench_address`",
    ),
    Variable("asgibench_python", "python", python, "a Python 3.11 or newer", "found on PATH"),
    Variable(
        "asgibench_workdir",
        "workdir",
        folder,
        "the folder for everything of ours",
        "`~/.local/share/asgibench`; `/var/lib/asgibench` for root",
    ),
    Variable(
        "asgibench_cores", "cores", HostVariables.cores, "the cores to use, like `0-3,5` (Linux)", "all"
    ),
    Variable(
        "asgibench_controller_cores",
        "controller_cores",
        HostVariables.cores,
        "those of your own machine for the controller",
        "all",
        of="inventory",
    ),
    Variable(
        "asgibench_database_port",
        "database_port",
        HostVariables.port,
        "on the database's host: PostgreSQL's port",
        "any free one",
    ),
    Variable(
        "asgibench_source_address",
        "source_address",
        HostVariables.address,
        "on the server's host: where its connections to the database come from",
        "what its own routes say",
    ),
    Variable(
        "asgibench_note",
        "note",
        HostVariables.text,
        "what a reader of the results should know of the host, like `c7g.large, eu-central-1`",
        "nothing",
    ),
    Variable(
        "asgibench_database_url",
        "existing_database",
        database,
        "an existing database, see below",
        "ours",
        of="inventory",
    ),
)
OWN_KEYS = tuple(variable.name for variable in VARIABLES)
READ_KEYS = (*OWN_KEYS, *ANSIBLE_KEYS)


def check_names(variables: HostVariables) -> None:
    """Raises InventoryError for an unknown ``asgibench_...``, and for what we can't honour of Ansible's."""
    for key in variables.values:
        if key.startswith("asgibench_") and key not in OWN_KEYS:
            nearest = difflib.get_close_matches(key, OWN_KEYS, n=1, cutoff=0.0)[0]
            raise variables.error(key, "unknown variable", f"Did you mean {nearest}?")
        if key in REFUSED_KEYS:
            raise variables.error(key, "not supported", REFUSED_KEYS[key])


def read_host(variables: HostVariables, groups: tuple[str, ...]) -> Host:
    """Raises InventoryError for every value that can't be used."""
    check_names(variables)
    own = {one.field: one.read(variables, one.name) for one in VARIABLES if one.of == "host"}
    address = own.pop("address")
    if connection(variables) == "local":
        return Host(variables.host, groups, connection="local", address=address or "127.0.0.1", **own)
    ssh_host = (variables.text(*HOST_KEYS) or variables.host).strip("[]")
    return Host(
        variables.host,
        groups,
        connection="ssh",
        ssh_host=ssh_host,
        ssh_port=variables.port(*PORT_KEYS),
        ssh_user=variables.text(*USER_KEYS),
        ssh_key_file=key_file(variables),
        ssh_password=variables.text(*PASSWORD_KEYS),
        proxy_jump=proxy_jump(variables),
        address=address or ssh_host,
        **own,
    )
