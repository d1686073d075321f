"""One host's variables, as Ansible names them, read into a ``Host``."""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.environment.hosts import ExistingDatabase, Host
from bench.errors import InventoryError
from inventory.database_url import parse_database_url
from inventory.ssh_arguments import parse_ssh_arguments, split_jump

OWN_KEYS = (
    "asgibench_address",
    "asgibench_bind",
    "asgibench_python",
    "asgibench_workdir",
    "asgibench_cores",
    "asgibench_controller_cores",
    "asgibench_database_port",
    "asgibench_database_url",
    "asgibench_source_address",
)
# Ansible's own names for one setting; the first that is set counts.
HOST_KEYS = ("ansible_host", "ansible_ssh_host")
PORT_KEYS = ("ansible_port", "ansible_ssh_port")
USER_KEYS = ("ansible_user", "ansible_ssh_user")
KEY_FILE_KEYS = ("ansible_ssh_private_key_file", "ansible_private_key_file")
PASSWORD_KEYS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
ARGUMENT_KEYS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
REFUSED_KEYS = {
    "ansible_paramiko_proxy_command": "name the jump host as ansible_ssh_common_args: -o ProxyJump=HOST",
    "ansible_private_key": "write the key to a file and name it in ansible_ssh_private_key_file",
    "ansible_ssh_private_key": "write the key to a file and name it in ansible_ssh_private_key_file",
}
READ_KEYS = (
    *OWN_KEYS,
    *HOST_KEYS,
    *PORT_KEYS,
    *USER_KEYS,
    *KEY_FILE_KEYS,
    *PASSWORD_KEYS,
    *ARGUMENT_KEYS,
    "ansible_connection",
    "ansible_python_interpreter",
)
SSH_CONNECTIONS = ("ssh", "smart", "paramiko", "paramiko_ssh")
MAX_CORES = 4096


class HostVariables(msgspec.Struct, frozen=True):
    """``values`` of ``host`` in ``file``; every reader raises InventoryError naming file, host and key."""

    file: Path
    host: str
    values: dict[str, Any]

    def error(self, key: str, message: str, remedy: str) -> InventoryError:
        return InventoryError(f"{self.file}: host {self.host}: {key}: {message}", remedy=remedy)

    def check_names(self) -> None:
        """Refuse what we don't know among ``asgibench_*``, and what we can't honour of Ansible's."""
        for key in self.values:
            if key.startswith("asgibench_") and key not in OWN_KEYS:
                nearest = difflib.get_close_matches(key, OWN_KEYS, n=1, cutoff=0.0)[0]
                raise self.error(key, "unknown variable", f"did you mean {nearest}?")
            if key in REFUSED_KEYS:
                raise self.error(key, "not supported", REFUSED_KEYS[key])

    def find(self, keys: Sequence[str]) -> tuple[str, Any]:
        """The first of ``keys`` that is set, with its value; (first key, None) if none is."""
        for key in keys:
            if key in self.values:
                return key, self._usable(key, self.values[key])
        return keys[0], None

    def text(self, *keys: str) -> str | None:
        key, value = self.find(keys)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self.error(key, f"{value!r} is not text", f'put it in quotes: {key}: "..."')

    def port(self, keys: Sequence[str] = PORT_KEYS) -> int | None:
        key, value = self.find(keys)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
            raise self.error(key, f"{value!r} is not a port", "give a number from 1 to 65535")
        return value

    def address(self, key: str) -> str | None:
        """An IP address, not a name."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return str(ipaddress.ip_address(text.strip("[]")))
        except ValueError as error:
            raise self.error(key, f"'{text}' is no IP address", "write it like 10.0.0.10") from error

    def existing_database(self) -> ExistingDatabase | None:
        key = "asgibench_database_url"
        text = self.text(key)
        try:
            return None if text is None else parse_database_url(text)
        except ValueError as error:
            # Without its cause: that one's words may have the password in them.
            raise self.error(
                key,
                f"is no URL of a PostgreSQL database ({error})",
                "write it like postgresql://user:password@db.example:5432/database",
            ) from None

    def cores(self, key: str) -> tuple[int, ...] | None:
        """CPU numbers, sorted, from ``"0-3,5"``, a number, or a list of numbers."""
        _, value = self.find((key,))
        if value is None:
            return None
        try:
            return parse_cores(value)
        except ValueError as error:
            raise self.error(key, f"{value!r} names no cores ({error})", "write it like 0-3,5") from error

    def connection(self) -> str:
        key = "ansible_connection"
        value = (self.text(key) or "ssh").removeprefix("ansible.builtin.")
        if value == "local":
            return "local"
        if value in SSH_CONNECTIONS:
            return "ssh"
        raise self.error(key, f"'{value}' is not supported", "use ssh or local")

    def key_file(self) -> str | None:
        key, _ = self.find(KEY_FILE_KEYS)
        text = self.text(*KEY_FILE_KEYS)
        if text is None:
            return None
        path = self.file.parent / Path(text).expanduser()
        if not path.is_file():
            raise self.error(
                key, f"there is no file {path}", "correct the path, or make the key with ssh-keygen"
            )
        if not os.access(path, os.R_OK):
            raise self.error(key, f"{path} can't be read", f"make it yours and readable: chmod 600 {path}")
        return str(path)

    def proxy_jump(self) -> str | None:
        jump: str | None = None
        for key in ARGUMENT_KEYS:
            text = self.text(key)
            if text is None:
                continue
            try:
                found, others = parse_ssh_arguments(text)
            except ValueError as error:
                raise self.error(key, f"{text!r} can't be split ({error})", "close its quotes") from error
            if others:
                raise self.error(
                    key,
                    f"{', '.join(others)} can't be honoured",
                    "only -J HOST or -o ProxyJump=HOST is read; put what else ssh needs into ~/.ssh/config, "
                    "or take it out",
                )
            try:
                for hop in () if found is None else found.split(","):
                    split_jump(hop)
            except ValueError as error:
                raise self.error(
                    key, f"'{found}' names no jump hosts", "write each as [user@]host[:port], with commas"
                ) from error
            jump = jump if jump is not None else found
        return jump

    def python(self) -> str | None:
        own = self.text("asgibench_python")
        if own is not None:
            return own
        ansible = self.text("ansible_python_interpreter")
        return None if ansible is None or ansible.startswith("auto") else ansible

    def workdir(self) -> str | None:
        key = "asgibench_workdir"
        value = self.text(key)
        if value is not None and not value.startswith(("/", "~")):
            raise self.error(key, f"'{value}' is a relative path", "start it with / or ~/")
        # hosts.clean removes the folder with all that is in it.
        if value is not None and (len(Path(value).parts) < 2 or ".." in Path(value).parts):
            raise self.error(key, f"'{value}' is not a folder of its own", "name one, like ~/asgibench")
        return value

    def _usable(self, key: str, value: Any) -> Any:
        if isinstance(value, dict) and "__ansible_vault" in value:
            raise self.error(
                key,
                f"encrypted inline, which {self.file.name} can't be read with",
                "name the file with the vault's password in ANSIBLE_VAULT_PASSWORD_FILE, or encrypt the "
                "whole variables file (ansible-vault encrypt)",
            )
        if is_unfilled(value):
            raise self.error(
                key, f"{value!r} is a template, and ansible-inventory fills in none", "write the value itself"
            )
        if value is None or value == "" or value == []:
            raise self.error(key, "has no value", "give it one, or take the line out")
        return value


def parse_cores(value: object) -> tuple[int, ...]:
    """``"0-3,5"`` -> (0, 1, 2, 3, 5); a number and a list of numbers are taken too. Raises ValueError."""
    parts = value if isinstance(value, list) else str(value).split(",")
    cores: set[int] = set()
    for part in parts:
        first, dash, last = str(part).strip().partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end.isascii() and end.isdigit() for end in ends):
            raise ValueError(f"{part!r} is neither a core nor a range of cores")
        start, end = int(ends[0]), int(ends[1])
        if not start <= end < MAX_CORES:
            raise ValueError(f"{part!r} is no range of cores")
        cores.update(range(start, end + 1))
    return tuple(sorted(cores))


def read_host(variables: HostVariables, groups: tuple[str, ...]) -> Host:
    """Raises InventoryError for every value that can't be used."""
    variables.check_names()
    common: dict[str, Any] = {
        "name": variables.host,
        "groups": groups,
        "bind": (variables.text("asgibench_bind") or "").strip("[]") or None,
        "python": variables.python(),
        "workdir": variables.workdir(),
        "cores": variables.cores("asgibench_cores"),
        "database_port": variables.port(("asgibench_database_port",)),
        "source_address": variables.address("asgibench_source_address"),
    }
    address = (variables.text("asgibench_address") or "").strip("[]")
    if variables.connection() == "local":
        return Host(**common, connection="local", address=address or "127.0.0.1")
    ssh_host = (variables.text(*HOST_KEYS) or variables.host).strip("[]")
    return Host(
        **common,
        connection="ssh",
        ssh_host=ssh_host,
        ssh_port=variables.port(),
        ssh_user=variables.text(*USER_KEYS),
        ssh_key_file=variables.key_file(),
        ssh_password=variables.text(*PASSWORD_KEYS),
        proxy_jump=variables.proxy_jump(),
        address=address or ssh_host,
    )


def is_unfilled(value: Any) -> bool:
    """Whether it is a template, or encrypted inline."""
    if isinstance(value, dict):
        return "__ansible_vault" in value
    return any(mark in text for text in _texts(value) for mark in ("{{", "{%"))


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(text for inner in value for text in _texts(inner)) if isinstance(value, list) else ()
