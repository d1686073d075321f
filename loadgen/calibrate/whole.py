"""`calibrate`: every load host's ceilings, one host after the other, saved with the results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.environment.calibration import (
    CALIBRATION_VERSION,
    Calibration,
    HostCeiling,
    save_calibration,
    write_json,
)
from bench.environment.hosts import Inventory
from bench.errors import AsgibenchError, SeveralHostsFailed, UsageError
from bench.version import asgibench_version
from inventory.read import read_inventory
from loadgen.calibrate.host import Report, calibrate_host
from loadgen.calibrate.ready import CONNECTIONS
from loadgen.calibrate.static import why_no_file_answers
from loadgen.endpoints import known_endpoints
from remote.fleet import Fleet, open_fleet
from remote.guarded import new_session
from remote.ssh.ask import terminal
from testapp.workload import Workload
from testapp.workloads import WORKLOADS

WINDOW_SECONDS = 2
ROUNDS = 3
MOST_ROUNDS = 20


class CalibrateRequest(msgspec.Struct, frozen=True):
    """What the user asked for. Empty ``endpoints``: the usual ones."""

    root: Path
    hosts: str = "local"
    endpoints: tuple[str, ...] = ()
    json_file: Path | None = None
    results: Path | None = None
    rounds: int = ROUNDS
    window_seconds: int = WINDOW_SECONDS

    @property
    def results_root(self) -> Path:
        return self.results or self.root / "results"


class Calibrated(msgspec.Struct, frozen=True):
    """``calibration`` has the hosts that could be measured; ``error`` is what the others came to, or None."""

    calibration: Calibration
    error: AsgibenchError | None


def calibrate(request: CalibrateRequest, report: Report) -> Calibrated:
    """Measure every load host, one after the other, and save the ceilings; nothing is left running.

    A host that fails doesn't cost the others theirs. Raises UsageError, InventoryError, what connecting
    raises, and the hosts' failure where none could be measured.
    """
    workloads = _workloads(request.endpoints, report)
    if not 1 <= request.rounds <= MOST_ROUNDS:
        raise UsageError(f"{request.rounds} rounds", remedy=f"Give 1 to {MOST_ROUNDS}")
    inventory = read_inventory(request.hosts, root=request.root)
    hosts: dict[str, HostCeiling] = {}
    failures: list[tuple[str, AsgibenchError]] = []
    with _holding(inventory, report) as fleet:
        for guarded in fleet.loadgen:
            name = guarded.host.name
            try:
                hosts[name] = calibrate_host(
                    fleet,
                    guarded,
                    workloads,
                    report,
                    root=request.root,
                    rounds=request.rounds,
                    window_seconds=request.window_seconds,
                )
            except AsgibenchError as error:
                report(f"{name}: {error}")
                failures.append((name, error))
    failure = _failure(failures)
    if not hosts and failure is not None:
        raise failure
    calibration = Calibration(
        version=CALIBRATION_VERSION,
        environment=inventory.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        asgibench_version=asgibench_version(request.root),
        connections=CONNECTIONS,
        window_seconds=request.window_seconds,
        hosts=hosts,
    )
    report(f"saved in {save_calibration(request.results_root, calibration)}")
    if request.json_file is not None:
        write_json(request.json_file, calibration.rates)
    return Calibrated(calibration, failure)


def _workloads(names: Sequence[str], report: Report) -> tuple[Workload, ...]:
    """Those of ``names`` that a file answers; the others are reported. Raises UsageError if none is left."""
    chosen = [WORKLOADS[endpoint.name] for endpoint in known_endpoints().chosen(names)]
    left_out = {one.name: why for one in chosen if (why := why_no_file_answers(one))}
    for name, why in left_out.items():
        report(f"{name} is left out: {why}")
    if len(left_out) == len(chosen):
        raise UsageError(
            f"no ceiling can be measured of {', '.join(left_out)}", remedy="Choose other endpoints"
        )
    return tuple(one for one in chosen if one.name not in left_out)


def _failure(failures: Sequence[tuple[str, AsgibenchError]]) -> AsgibenchError | None:
    """None, the one as it is, or all of them together."""
    if len(failures) > 1:
        return SeveralHostsFailed(failures)
    return failures[0][1] if failures else None


@contextlib.contextmanager
def _holding(inventory: Inventory, report: Report) -> Iterator[Fleet]:
    """The load hosts, and this machine; the server's host isn't touched."""
    load_hosts = msgspec.structs.replace(inventory, server=inventory.loadgen[0], database=None)
    fleet = open_fleet(load_hosts, new_session("calibrate"), report=report, ask=terminal())
    try:
        yield fleet
    finally:
        for host, failure in fleet.release().items():
            report(f"{host} could not be told to stop ({failure}); its guard stops everything by itself")
