"""What the links between load hosts and server carry, as measured. Versioned, JSON, kept with the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.environment.calibration import write_json
from bench.judge.figures import LinkUse
from bench.wire.links import PacketRate, Transfer

LINKS_VERSION = 1
# In a benchmark's own folder: what its links were known to carry.
LINKS_FILE = "links.json"


class Link(msgspec.Struct, frozen=True):
    """Between a load host and the server's host. None: not measured."""

    boot_id: str  # the load host's
    download: Transfer | None  # from the server
    upload: Transfer | None
    round_trip_seconds: float | None  # the shortest
    # What the load host's interface says of itself; None where it says nothing, or the host has several.
    interface_bits_per_second: int | None = None
    packets: PacketRate | None = None


class Links(msgspec.Struct, frozen=True):
    """``links-<environment>.json``: the links of one environment."""

    version: int  # LINKS_VERSION
    environment: str
    created_at: str  # ISO 8601
    server: str  # the server's host
    server_boot_id: str
    address: str  # the server's, as the load hosts reach it
    hosts: dict[str, Link]  # by load host
    together: Transfer | None = None  # of all load hosts at once; None for a single one
    problems: dict[str, str] = {}  # LinkMeasured.problem of each load host that could not reach the server

    def is_of(self, server_boot_id: str, address: str, load_boot_ids: Mapping[str, str]) -> bool:
        """Whether all these machines were measured, and none of them has been restarted since."""
        return (
            not self.problems
            and self.server_boot_id == server_boot_id
            and self.address == address
            and {name: link.boot_id for name, link in self.hosts.items()} == dict(load_boot_ids)
        )


def links_path(results_root: Path, environment: str) -> Path:
    return results_root / f"links-{environment}.json"


def save_links(results_root: Path, links: Links) -> Path:
    """Raises ResultError, DiskFull."""
    return write_json(links_path(results_root, links.environment), links)


def known_links(path: Path) -> Links | None:
    """None where nothing is known, or what is there can't be read: it is measured again."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Links)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.version == LINKS_VERSION else None


def link_use(links: Links | None, bytes_per_second: Mapping[str, float]) -> LinkUse:
    """The fullest of all links: each load host's own and, where there are several, what all share.

    ``bytes_per_second`` is what each load host received. Where no link's speed is known, all of it counts.
    """
    total = sum(bytes_per_second.values())
    if links is None:
        return LinkUse(total)
    round_trips = [
        link.round_trip_seconds
        for name, link in links.hosts.items()
        if link.round_trip_seconds is not None and name in bytes_per_second
    ]
    round_trip = min(round_trips, default=None)
    candidates = [(bytes_per_second.get(name, 0.0), link.download) for name, link in links.hosts.items()]
    candidates.append((sum(bytes_per_second.get(name, 0.0) for name in links.hosts), links.together))
    known = [
        (used, measured.bytes_per_second)
        for used, measured in candidates
        if measured is not None and not measured.is_lower_bound and measured.bytes_per_second > 0
    ]
    used, speed = max(known, key=lambda pair: pair[0] / pair[1], default=(total, None))
    return LinkUse(
        bytes_per_second=used,
        link_bytes_per_second=speed,
        round_trip_seconds=round_trip,
        link_packets_per_second=_packets_per_second(links),
        probed_bytes_per_second=_probed_bytes_per_second(links),
    )


def _probed_bytes_per_second(links: Links) -> float | None:
    """What the load hosts together were seen to receive; None where some link wasn't measured."""
    if links.together is not None:
        return links.together.bytes_per_second
    found = [link.download.bytes_per_second for link in links.hosts.values() if link.download is not None]
    return sum(found) if found and len(found) == len(links.hosts) else None


def _packets_per_second(links: Links) -> float | None:
    """What the link carries each way; None where the probe's CPU was the limit, and where hosts share it."""
    found = [link.packets for link in links.hosts.values()]
    if len(found) != 1 or found[0] is None or found[0].is_lower_bound:
        return None
    return found[0].packets_per_second or None
