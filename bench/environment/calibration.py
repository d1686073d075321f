"""Each load host's ceiling: what one of its cores can ask for, by three clients. Versioned, immutable, JSON.

A figure is requests per second of one core, the client's whole CPU counted: with our engine that is the
engine and the Locust worker above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

from bench.errors import ResultError
from bench.results.store import Store

CALIBRATION_VERSION = 1
# In a benchmark's own folder: the ceilings that were known when it ran.
CALIBRATION_FILE = "calibration.json"
SATURATED_CORE_SHARE = 0.9
TITLES = {"engine": "engine", "wrk": "wrk", "fast_http_user": "FastHttpUser"}


class ClientFigure(msgspec.Struct, frozen=True):
    """One client in one window. ``core_share`` 1.0 is one core in full.

    ``basis`` says what ``requests_per_second_of_core`` is: ``wall``, requests by the window's seconds,
    where the client had its core busy; else ``cpu``, requests by the client's CPU seconds: that is reckoned,
    not reached.
    """

    requests: int
    seconds: float
    cpu_seconds: float
    core_share: float
    basis: Literal["wall", "cpu"]
    requests_per_second_of_core: float


class Round(msgspec.Struct, frozen=True):
    """The clients one after the other, so that a ratio within it suffers little from the machine's drift."""

    engine: ClientFigure
    wrk: ClientFigure | None
    fast_http_user: ClientFigure | None


class EndpointCeiling(msgspec.Struct, frozen=True):
    """Medians over the rounds in requests/s of one core, None for a client that isn't there."""

    engine: float
    wrk: float | None
    fast_http_user: float | None
    engine_to_wrk: float | None
    engine_to_fast_http_user: float | None
    rounds: tuple[Round, ...]

    @property
    def rates(self) -> dict[str, float | None]:
        return {name: getattr(self, name) for name in TITLES}


class HostCeiling(msgspec.Struct, frozen=True):
    """One load host. ``boot_id`` and ``cpu_model`` tell whether it is still the same machine.

    ``origin`` is the server that answered. A core is None where the system can't pin. ``notes`` are for the
    reader: what was shared, and why a client is missing.
    """

    boot_id: str
    cpu_model: str
    cores_usable: tuple[int, ...]
    system: str
    release: str
    architecture: str
    versions: dict[str, str]
    origin: str
    origin_core: int | None
    client_core: int | None
    notes: tuple[str, ...]
    endpoints: dict[str, EndpointCeiling]

    @property
    def overstates(self) -> bool:
        """Server and client had one core, and the figures are too high for a server elsewhere."""
        return self.client_core is not None and self.client_core == self.origin_core


class Calibration(msgspec.Struct, frozen=True):
    """``calibration-<environment>.json``."""

    version: int
    environment: str
    created_at: str
    asgibench_version: str
    connections: int
    window_seconds: int
    hosts: dict[str, HostCeiling]

    @property
    def rates(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """{host: {endpoint: {engine, wrk, fast_http_user}}} in requests/s of one core."""
        return {
            name: {endpoint: found.rates for endpoint, found in host.endpoints.items()}
            for name, host in self.hosts.items()
        }


def client_figure(requests: int, seconds: float, cpu_seconds: float) -> ClientFigure:
    """The requests of a window by what they cost: the whole core if it was busy, else the CPU used.

    A client that isn't pinned may have used more than one core: that goes by its CPU, too.
    """
    core_share = cpu_seconds / seconds
    is_saturated = SATURATED_CORE_SHARE <= core_share <= 1
    return ClientFigure(
        requests=requests,
        seconds=round(seconds, 4),
        cpu_seconds=round(cpu_seconds, 4),
        core_share=round(core_share, 4),
        basis="wall" if is_saturated else "cpu",
        requests_per_second_of_core=round(requests / (seconds if is_saturated else cpu_seconds), 1),
    )


def endpoint_ceiling(rounds: Sequence[Round]) -> EndpointCeiling:
    """Medians of the figures and of the ratios within each round."""
    by_client = {name: [getattr(one, name) for one in rounds] for name in TITLES}
    rates = {
        name: [figure.requests_per_second_of_core for figure in figures if figure is not None]
        for name, figures in by_client.items()
    }
    ratios = {
        name: [
            one.engine.requests_per_second_of_core / other.requests_per_second_of_core
            for one in rounds
            if (other := getattr(one, name)) is not None
        ]
        for name in ("wrk", "fast_http_user")
    }
    return EndpointCeiling(
        engine=median(rates["engine"]),
        wrk=_median(rates["wrk"]),
        fast_http_user=_median(rates["fast_http_user"]),
        engine_to_wrk=_median(ratios["wrk"]),
        engine_to_fast_http_user=_median(ratios["fast_http_user"]),
        rounds=tuple(rounds),
    )


def calibration_path(results_root: Path, environment: str) -> Path:
    """Where an environment's ceilings lie."""
    return results_root / f"calibration-{environment}.json"


def save_calibration(results_root: Path, calibration: Calibration) -> Path:
    """Write or replace the environment's ceilings; their path. Raises ResultError, DiskFull."""
    return write_json(calibration_path(results_root, calibration.environment), calibration)


def load_calibration(path: Path) -> Calibration:
    """Raises ResultError where there is none, or it is damaged or of another version."""
    remedy = "Measure the ceilings with `./invoke calibrate`"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except OSError as error:
        raise ResultError(f"can't read {path}: {error.strerror}", remedy=remedy) from error
    except msgspec.DecodeError as error:
        raise ResultError(f"{path} is damaged: {error}", remedy=remedy) from error
    if found.version != CALIBRATION_VERSION:
        raise ResultError(
            f"{path} is of version {found.version}; this asgibench reads version {CALIBRATION_VERSION}",
            remedy=remedy,
        )
    return found


def write_json(path: Path, value: object) -> Path:
    """Whole or not at all; makes the folder. Raises ResultError, DiskFull."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"can't make {path.parent}: {error.strerror}", remedy="Name another folder"
        ) from error
    return Store(path.parent).write_file(
        path.name, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
    )


def table_lines(calibration: Calibration) -> list[str]:
    """The ceilings as a table, with what is to be known of each host below it."""
    rows = [("host", "endpoint", *TITLES.values(), "engine/wrk", "engine/FastHttpUser")]
    for name, host in calibration.hosts.items():
        for endpoint, found in host.endpoints.items():
            figures = [*map(_rate, found.rates.values())]
            ratios = [_ratio(found.engine_to_wrk), _ratio(found.engine_to_fast_http_user)]
            rows.append((name, endpoint, *figures, *ratios))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["requests/s of one core, the client's whole CPU counted"]
    lines += [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return lines + [
        f"{name}: {note}"
        for name, host in calibration.hosts.items()
        for note in (*host.notes, *_bases(host.endpoints))
    ]


def _bases(endpoints: Mapping[str, EndpointCeiling]) -> list[str]:
    """Which figures are by the client's CPU, because its core was not busy."""
    bases = {
        f"{endpoint} {title}": {figure.basis for one in ceiling.rounds if (figure := getattr(one, name))}
        for endpoint, ceiling in endpoints.items()
        for name, title in TITLES.items()
    }
    found = [name for name, kinds in bases.items() if "cpu" in kinds]
    if not found:
        return []
    every = len(found) == sum(map(bool, bases.values()))
    return [
        "by the client's CPU seconds, because its core was not saturated: "
        + ("all" if every else ", ".join(found))
    ]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
