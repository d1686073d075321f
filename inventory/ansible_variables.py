"""Ansible's own variables that say how a host is reached. Each function raises InventoryError."""

from __future__ import annotations

import os
from pathlib import Path

from inventory.ssh_arguments import parse_ssh_arguments, split_jump
from inventory.values import HostVariables

# Ansible's own names for one setting; the first that is set counts.
HOST_KEYS = ("ansible_host", "ansible_ssh_host")
PORT_KEYS = ("ansible_port", "ansible_ssh_port")
USER_KEYS = ("ansible_user", "ansible_ssh_user")
KEY_FILE_KEYS = ("ansible_ssh_private_key_file", "ansible_private_key_file")
PASSWORD_KEYS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
ARGUMENT_KEYS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
REFUSED_KEYS = {
    "ansible_paramiko_proxy_command": "Name the jump host as ansible_ssh_common_args: -o ProxyJump=HOST",
    "ansible_private_key": "Write the key to a file and name it in ansible_ssh_private_key_file",
    "ansible_ssh_private_key": "Write the key to a file and name it in ansible_ssh_private_key_file",
}
ANSIBLE_KEYS = (
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


def connection(variables: HostVariables) -> str:
    key = "ansible_connection"
    value = (variables.text(key) or "ssh").removeprefix("ansible.builtin.")
    if value == "local":
        return "local"
    if value in SSH_CONNECTIONS:
        return "ssh"
    raise variables.error(key, f"'{value}' is not supported", "Use ssh or local")


def key_file(variables: HostVariables) -> str | None:
    key, _ = variables.find(KEY_FILE_KEYS)
    text = variables.text(*KEY_FILE_KEYS)
    if text is None:
        return None
    path = variables.file.parent / Path(text).expanduser()
    if not path.is_file():
        raise variables.error(
            key, f"there is no file {path}", "Correct the path, or make the key with ssh-keygen"
        )
    if not os.access(path, os.R_OK):
        raise variables.error(key, f"{path} can't be read", f"Make it yours and readable: chmod 600 {path}")
    return str(path)


def proxy_jump(variables: HostVariables) -> str | None:
    jump: str | None = None
    for key in ARGUMENT_KEYS:
        text = variables.text(key)
        if text is None:
            continue
        try:
            found, others = parse_ssh_arguments(text)
        except ValueError as error:
            raise variables.error(key, f"{text!r} can't be split ({error})", "Close its quotes") from error
        if others:
            raise variables.error(
                key,
                f"{', '.join(others)} can't be honoured",
                "Only -J HOST or -o ProxyJump=HOST is read; put what else ssh needs into ~/.ssh/config, "
                "or take it out",
            )
        try:
            for hop in () if found is None else found.split(","):
                split_jump(hop)
        except ValueError as error:
            raise variables.error(
                key, f"'{found}' names no jump hosts", "Write each as [user@]host[:port], with commas"
            ) from error
        jump = jump if jump is not None else found
    return jump
