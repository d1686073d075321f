"""A rest of a run: its server idles, its memory is sampled, and the yardstick reads the machine's speed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from bench.results.speed import RestReadings
from bench.wire.agent import Gauged
from remote.parallel import on_all
from session.parties.agents import AgentParty

# The machine's speed has phases of parts of a second: readings over the whole rest see more of them than as
# many at once.
BETWEEN_READINGS_SECONDS = 0.1
# A reading that takes so long must not lengthen the rest.
SPARE_SECONDS = 0.05
MOST_CORES = 8


class GaugedCores(msgspec.Struct, frozen=True):
    """Which cores are read in each round. An empty tuple: any core, where the system can't pin."""

    server_host: str
    server: tuple[int, ...]
    load: dict[str, tuple[int, ...]]


def gauged_cores(
    server_host: str, server: tuple[int, ...] | None, load: dict[str, tuple[int | None, ...]]
) -> GaugedCores:
    """The server's cores, at most eight of them in even steps, and one core of each load host's."""
    first = {host: next((core for core in cores if core is not None), None) for host, cores in load.items()}
    return GaugedCores(
        server_host,
        _in_even_steps(server or ()),
        {host: () if core is None else (core,) for host, core in first.items()},
    )


def _in_even_steps(cores: tuple[int, ...]) -> tuple[int, ...]:
    count = min(len(cores), MOST_CORES)
    return tuple(cores[index * len(cores) // count] for index in range(count))


def rest(seconds: float, agents: AgentParty, cores: GaugedCores) -> RestReadings:
    """Take ``seconds``, not more, and read the yardstick on every host meanwhile. Raises AgentError."""
    until = time.monotonic() + seconds
    parts = [("server", cores.server_host, cores.server)]
    parts += [("load", host, named) for host, named in cores.load.items()]
    by_host: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for part, host, named in parts:
        by_host.setdefault(host, []).append((part, named))

    def read(host: str) -> dict[str, list[Gauged]]:
        """One host's parts in turn: two readings at once would disturb each other."""
        found: dict[str, list[Gauged]] = {part: [] for part, _ in by_host[host]}
        while True:
            began = time.monotonic()
            for part, named in by_host[host]:
                found[part] += _round(host, agents, named, until)
            time.sleep(max(0.0, min(began + BETWEEN_READINGS_SECONDS, until) - time.monotonic()))
            if time.monotonic() + SPARE_SECONDS >= until:
                return found

    readings = on_all(read, by_host, str)
    time.sleep(max(0.0, until - time.monotonic()))
    return RestReadings(
        server=tuple(readings[cores.server_host]["server"]),
        load={host: tuple(readings[host]["load"]) for host in cores.load},
    )


def _round(host: str, agents: AgentParty, cores: Sequence[int], until: float) -> list[Gauged]:
    """One reading of each core, as far as there is time."""
    found: list[Gauged] = []
    for core in cores or (None,):
        if time.monotonic() + SPARE_SECONDS >= until:
            break
        found.append(agents.gauge(host, core))
    return found
