"""What a lab is to look like: its hosts, their addresses and the cores they run on."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.errors import LabError
from inventory.lab.releases import DEFAULT_RELEASE, release_named

CACHE_DIRECTORY = Path("/var/cache/asgibench/lab")
STATE_DIRECTORY = Path("/var/lib/asgibench-lab")
USER = "bench"
USER_ID = 1000

NETWORK6_PREFIX = bytes.fromhex("fda56b00")
CONTROLLER_HOST_NUMBER = 1
DATABASE_HOST_NUMBER = 9
SERVER_HOST_NUMBER = 10
# An interface name has 15 characters; a link is the bridge's name, a dash and up to 3 digits.
BRIDGE_NAME_MAX = 11

CLOCK_STEP_SECONDS = 1_000


class LabSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lab: one server host and ``loadgens`` load hosts on a bridge of this machine.

    ``database``: PostgreSQL has a host of its own.
    ``cache_directory`` keeps the base system and outlives the lab; everything else is in ``state_directory``.
    ``prefix`` begins every host's name, ``bridge`` is the interface, ``subnet`` holds every address.
    ``releases`` are what the hosts run; they take them in turn, the server host first.
    Two labs on one machine differ in ``state_directory``, ``prefix``, ``bridge`` and ``subnet``.
    """

    loadgens: int = 2
    cache_directory: Path = CACHE_DIRECTORY
    state_directory: Path = STATE_DIRECTORY
    prefix: str = "lab"
    bridge: str = "asgilab"
    subnet: str = "198.18.0.0/24"
    database: bool = False
    releases: tuple[str, ...] = (DEFAULT_RELEASE,)

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.subnet)

    @property
    def network6(self) -> ipaddress.IPv6Network:
        """Of unique local addresses; its last 64 bits count hosts as ``network`` does."""
        return ipaddress.IPv6Network((NETWORK6_PREFIX + self.network.network_address.packed + bytes(8), 64))

    @property
    def controller_address6(self) -> str:
        return str(self.network6[CONTROLLER_HOST_NUMBER])

    @property
    def controller_address(self) -> str:
        return str(self.network[CONTROLLER_HOST_NUMBER])

    def check(self) -> None:
        """Raise LabError where the parts don't go together."""
        if not self.releases:
            raise LabError("the hosts have no release to run", remedy=f"Name one, such as {DEFAULT_RELEASE}")
        for release in self.releases:
            release_named(release)
        try:
            network = self.network
        except ValueError as error:
            raise LabError(f"{self.subnet} is no IPv4 network", remedy="Write it as 198.18.0.0/24") from error
        room = network.num_addresses - 1 - SERVER_HOST_NUMBER - 1
        if not 1 <= self.loadgens <= min(room, 200):
            raise LabError(
                f"a lab in {self.subnet} has 1 to {max(1, min(room, 200))} load hosts, not {self.loadgens}",
                remedy="Ask for another number",
            )
        if not self.bridge or len(self.bridge) > BRIDGE_NAME_MAX or not self.bridge.isalnum():
            raise LabError(
                f"'{self.bridge}' can't name the lab's bridge",
                remedy=f"Use 1 to {BRIDGE_NAME_MAX} letters and digits",
            )
        if not self.prefix.replace("-", "").isalnum() or self.prefix.startswith("-"):
            raise LabError(f"'{self.prefix}' can't begin a host's name", remedy="Use letters and digits")


class HostSpec(msgspec.Struct, frozen=True):
    """One host of a lab. ``namespace`` is its network namespace, ``link`` its port on the bridge.

    ``address6`` is given to it where the kernel has IPv6.
    """

    name: str
    group: str
    address: str
    address6: str
    prefix_length: int
    mac_address: str
    namespace: str
    link: str
    directory: Path

    @property
    def clock_ahead_seconds(self) -> int:
        """By how much its monotonic clock is ahead of this machine's: no two hosts of a lab are alike."""
        return CLOCK_STEP_SECONDS * int(self.address.rpartition(".")[2])


class CoreSplit(msgspec.Struct, frozen=True):
    """CPU numbers of the server host, and those that all load hosts and the controller share."""

    server: tuple[int, ...]
    load: tuple[int, ...]


def mac_address(address: ipaddress.IPv4Address) -> str:
    """Follows from the IP address, so that a host that is started again needs no new ARP entries."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + address.packed)


def plan_hosts(spec: LabSpec) -> tuple[HostSpec, ...]:
    """The server host, the load hosts, the database's. An address doesn't depend on how many there are."""
    roles = [(f"{spec.prefix}-server", "server", SERVER_HOST_NUMBER)]
    roles += [
        (f"{spec.prefix}-load-{number}", "loadgen", SERVER_HOST_NUMBER + number)
        for number in range(1, spec.loadgens + 1)
    ]
    roles += [(f"{spec.prefix}-database", "database", DATABASE_HOST_NUMBER)] if spec.database else []
    return tuple(
        HostSpec(
            name=name,
            group=group,
            address=str(spec.network[number]),
            address6=str(spec.network6[number]),
            prefix_length=spec.network.prefixlen,
            mac_address=mac_address(spec.network[number]),
            namespace=f"{spec.bridge}-{name}",
            link=f"{spec.bridge}-{number}",
            directory=spec.state_directory / "hosts" / name,
        )
        for name, group, number in roles
    )


def split_cores(physical_cores: Sequence[Sequence[int]]) -> CoreSplit:
    """Give the server host the first half of the machine and everything else the other half.

    ``physical_cores``: for each physical core, the CPU numbers of its hardware threads. Threads of one core
    stay on one side, because they slow each other down. One core with several threads is split between them;
    a single CPU is shared.
    """
    groups = [tuple(core) for core in physical_cores]
    if len(groups) == 1:
        groups = [(cpu,) for cpu in groups[0]]
    if len(groups) == 1:
        return CoreSplit(server=groups[0], load=groups[0])
    half = len(groups) // 2
    first, second = groups[:half], groups[half:]
    return CoreSplit(
        server=tuple(sorted(cpu for core in first for cpu in core)),
        load=tuple(sorted(cpu for core in second for cpu in core)),
    )
