"""The lab's bridge, and each host's network namespace and link to it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import LabError
from inventory.lab.spec import HostSpec, LabSpec, mac_address
from inventory.lab.system import run, unmount_below

NAMESPACE_DIRECTORY = Path("/run/netns")
INTERFACE_DIRECTORY = Path("/sys/class/net")
# A route to more than this is the whole internet's, a VPN's say; ours, narrower, goes before it.
NARROW_PREFIX_LENGTH = 8


class BridgeLink(msgspec.Struct, frozen=True):
    """A host's port on the bridge, as the kernel has it."""

    name: str
    is_up: bool


def ip(*arguments: str) -> str:
    return run(["ip", *arguments])


def ip_json(*arguments: str) -> list[dict[str, Any]]:
    output = run(["ip", "-json", *arguments])
    parsed: list[dict[str, Any]] = msgspec.json.decode(output or "[]")
    return [entry for entry in parsed if entry]


def owner_mark(state_directory: Path) -> str:
    """The alias of a lab's bridge: the kernel itself says whose it is, even when our files are lost."""
    return f"asgibench lab {state_directory}"


def owned_bridges(state_directory: Path) -> tuple[str, ...]:
    mark = owner_mark(state_directory)
    return tuple(link["ifname"] for link in ip_json("link", "show") if link.get("ifalias") == mark)


def check_is_free(spec: LabSpec) -> None:
    """Raise LabError where the bridge's name or the subnet is in use by something that isn't this lab's."""
    if spec.bridge in owned_bridges(spec.state_directory) or is_half_made(spec):
        return
    if has_interface(spec.bridge):
        raise LabError(
            f"an interface {spec.bridge} exists on this machine and is not this lab's",
            remedy=f"Remove it (`ip link show {spec.bridge}`), or name another bridge for the lab",
        )
    used = conflicts(spec.network, ip_json("address", "show"), ip_json("route", "show", "table", "all"))
    if used:
        raise LabError(
            f"{spec.subnet} is in use on this machine: {'; '.join(used)}",
            remedy="Free it, or give the lab another subnet",
        )


def ensure_bridge(spec: LabSpec) -> None:
    """Make the bridge, unless it is there, and give it the controller's address. Raises LabError."""
    if not has_interface(spec.bridge):
        # With an address of its own; else it takes a port's, another one whenever a host comes or goes.
        ip("link", "add", "name", spec.bridge, "address", bridge_mac_address(spec), "type", "bridge")
    ip("link", "set", spec.bridge, "alias", owner_mark(spec.state_directory))
    ip("address", "replace", controller_interface(spec), "dev", spec.bridge)
    ip("link", "set", spec.bridge, "up")
    if has_ipv6():
        ip("address", "replace", f"{spec.controller_address6}/64", "dev", spec.bridge, "nodad")


def has_ipv6(listed: Path = Path("/proc/net/if_inet6")) -> bool:
    """Whether interfaces get IPv6 addresses here: loopback, at least, then has one."""
    return listed.exists() and bool(listed.read_text().strip())


def bridge_mac_address(spec: LabSpec) -> str:
    return mac_address(ipaddress.IPv4Address(spec.controller_address))


def is_half_made(spec: LabSpec) -> bool:
    """Whether the bridge was made by a lab.up that was stopped before it could set the mark."""
    directory = INTERFACE_DIRECTORY / spec.bridge
    return (
        (directory / "bridge").exists()
        and not (directory / "ifalias").read_text().strip()
        and (directory / "address").read_text().strip() == bridge_mac_address(spec)
    )


def is_unmarked(spec: LabSpec) -> bool:
    """Whether the bridge, made or to be made, bears nobody's mark."""
    return not has_interface(spec.bridge) or is_half_made(spec)


def has_interface(name: str) -> bool:
    return (INTERFACE_DIRECTORY / name).exists()


def controller_interface(spec: LabSpec) -> str:
    return f"{spec.controller_address}/{spec.network.prefixlen}"


def conflicts(
    network: ipaddress.IPv4Network, addresses: Sequence[dict[str, Any]], routes: Sequence[dict[str, Any]]
) -> tuple[str, ...]:
    """What overlaps with ``network``, in words; from `ip -json address` and `ip -json route`."""
    found: list[str] = []
    for interface in addresses:
        for one in interface.get("addr_info", ()):
            if one.get("family") != "inet":
                continue
            taken = ipaddress.IPv4Interface(f"{one['local']}/{one['prefixlen']}")
            if taken.network.overlaps(network):
                found.append(f"{taken} on {interface['ifname']}")
    for route in routes:
        target = parse_network(str(route.get("dst", "")))
        if target and target.prefixlen >= NARROW_PREFIX_LENGTH and target.overlaps(network):
            found.append(f"a route to {target} by {route.get('dev', route.get('type', 'another'))}")
    return tuple(dict.fromkeys(found))


def parse_network(text: str) -> ipaddress.IPv4Network | None:
    """None for ``default`` and what is not IPv4."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError:
        return None


def remove_bridge(bridge: str) -> None:
    if has_interface(bridge):
        ip("link", "delete", bridge)


def link_of(host: HostSpec) -> BridgeLink | None:
    """The host's port, or None where there is none."""
    if not has_interface(host.link):
        return None
    state = (INTERFACE_DIRECTORY / host.link / "flags").read_text()
    return BridgeLink(host.link, bool(int(state, 16) & 1))


def connect(host: HostSpec, bridge: str) -> None:
    """Make the host's namespace and link, in place of any that are left over. Raises LabError.

    It has no default route: what it can reach is the bridge.
    """
    remove_link(host.link)
    remove_namespace(host.namespace)
    ip("netns", "add", host.namespace)
    ip(
        *("link", "add", host.link, "master", bridge, "type", "veth"),
        *("peer", "name", "eth0", "address", host.mac_address, "netns", host.namespace),
    )
    inside = f"""\
address add {host.address}/{host.prefix_length} dev eth0
{f"address add {host.address6}/64 dev eth0 nodad" if has_ipv6() else ""}
link set lo up
link set eth0 up
"""
    run(["ip", "-netns", host.namespace, "-batch", "-"], stdin=inside)
    set_link(host.link, up=True)


def remove_link(link: str) -> None:
    """Remove a link with both its ends. The kernel may be doing so already, its namespace being gone."""
    if not has_interface(link):
        return
    try:
        ip("link", "delete", link)
    except LabError:
        if has_interface(link):
            raise


def remove_namespace(namespace: str) -> None:
    """Remove the name, mounted or left over; the namespace ends with its last process."""
    if (NAMESPACE_DIRECTORY / namespace).exists():
        ip("netns", "delete", namespace)


def remove_namespace_directory() -> None:
    """Undo what the first `ip netns add` of a machine does, unless somebody else has names there by now."""
    if NAMESPACE_DIRECTORY.exists() and not any(NAMESPACE_DIRECTORY.iterdir()):
        unmount_below(NAMESPACE_DIRECTORY)
        NAMESPACE_DIRECTORY.rmdir()


def set_link(link: str, *, up: bool) -> None:
    """Plug the host's cable in, or pull it out."""
    ip("link", "set", link, "up" if up else "down")


def namespace_inode(namespace: str) -> int | None:
    """The inode of a named network namespace, or None where there is no such name."""
    try:
        return os.stat(NAMESPACE_DIRECTORY / namespace).st_ino  # noqa: PTH116
    except FileNotFoundError:
        return None


def namespaces_of(bridge: str) -> tuple[str, ...]:
    """The names of all namespaces that belong to a lab's bridge."""
    if not NAMESPACE_DIRECTORY.exists():
        return ()
    return tuple(sorted(path.name for path in NAMESPACE_DIRECTORY.glob(f"{bridge}-*")))


def links_of(bridge: str) -> tuple[str, ...]:
    """The names of all links that belong to a lab's bridge."""
    return tuple(sorted(path.name for path in INTERFACE_DIRECTORY.glob(f"{bridge}-*")))


def is_filtered(setting: Path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")) -> bool:
    """Whether what goes over a bridge passes this machine's firewall, as Docker has it set."""
    return setting.exists() and setting.read_text().strip() == "1"
