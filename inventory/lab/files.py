"""What the lab writes for its users: an Ansible inventory, and the host keys to expect."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from inventory.lab.spec import USER, HostSpec, LabSpec
from inventory.lab.state import invoking_user, write_atomically

INVENTORY_NAME = "lab.yml"
KNOWN_HOSTS_NAME = "known_hosts"
HEADER = "# Written by `./invoke lab.up`, removed by `./invoke lab.down`.\n"
WRITTEN_BY_US = re.compile(r"# Written by `(\./)?invoke lab\.up`, ")


def inventory_text(hosts: Sequence[HostSpec], client_key: Path, controller_cores: Sequence[int]) -> str:
    """The lab as an Ansible inventory in YAML."""
    lines = [
        "all:",
        "  vars:",
        f"    asgibench_controller_cores: {quoted(','.join(map(str, controller_cores)))}",
    ]
    lines += ["  children:"]
    for group in dict.fromkeys(host.group for host in hosts):
        lines += [f"    {group}:", "      hosts:"]
        for host in hosts:
            if host.group == group:
                lines += host_lines(host, client_key)
    return HEADER + "\n".join(lines) + "\n"


def host_lines(host: HostSpec, client_key: Path) -> list[str]:
    variables = {
        "ansible_host": host.address,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(client_key),
        "asgibench_address": host.address,
        "asgibench_bind": host.address,
    }
    return [
        f"        {host.name}:",
        *(f"          {key}: {quoted(value)}" for key, value in variables.items()),
    ]


def quoted(text: str) -> str:
    """A YAML scalar that stays a string; JSON's strings are YAML's."""
    return json.dumps(text)


def known_hosts_text(before: str, network: ipaddress.IPv4Network, keys: Mapping[str, str]) -> str:
    """``before`` with the lab's lines replaced by ``keys`` (address -> ``ssh-ed25519 AAAA...``).

    A line is the lab's when all it names are addresses in the lab's subnet.
    """
    kept = [line for line in before.splitlines() if not is_of_network(line, network)]
    ours = [f"{address} {key}" for address, key in keys.items()]
    return "".join(f"{line}\n" for line in kept + ours)


def is_of_network(line: str, network: ipaddress.IPv4Network) -> bool:
    names = line.split(maxsplit=1)[0].split(",") if line.strip() else [""]
    return all(is_address_in(name, network) for name in names)


def is_address_in(name: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(name) in network
    except ValueError:
        return False


def write_files(
    inventory_directory: Path,
    spec: LabSpec,
    hosts: Sequence[HostSpec],
    *,
    client_key: Path,
    controller_cores: Sequence[int],
    keys: Mapping[str, str],
) -> None:
    """Write the inventory and the lab's lines of known_hosts; files that say so already stay untouched."""
    inventory_directory.mkdir(parents=True, exist_ok=True)
    text = inventory_text(hosts, client_key, controller_cores)
    write_atomically(inventory_directory / INVENTORY_NAME, text.encode(), 0o644, invoking_user())
    update_known_hosts(inventory_directory, spec.network, keys)


def remove_files(inventory_directory: Path, network: ipaddress.IPv4Network) -> None:
    """Take the lab's inventory and its lines of known_hosts away again."""
    inventory = inventory_directory / INVENTORY_NAME
    if inventory.exists() and WRITTEN_BY_US.match(inventory.read_text()):
        inventory.unlink()
    update_known_hosts(inventory_directory, network, {})


def update_known_hosts(
    inventory_directory: Path, network: ipaddress.IPv4Network, keys: Mapping[str, str]
) -> None:
    path = inventory_directory / KNOWN_HOSTS_NAME
    before = path.read_text() if path.exists() else ""
    after = known_hosts_text(before, network, keys)
    if not after.strip():
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, after.encode(), 0o644, invoking_user())
