"""How far each cell was below its load workers' ceiling, the requests/s that a core can send."""

from __future__ import annotations

from collections.abc import Sequence

from bench.environment.calibration import Calibration, HostCeiling
from bench.results.figures import LoadWorker
from bench.results.pairs import runs_of
from bench.results.run import RunResult
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.numbers import MISSING, percent, rate
from reports.words.verdicts import Labelled


def ceilings_table(contests: Labelled, runs: Sequence[RunResult], calibration: Calibration | None) -> Table:
    """The worst load worker of each cell, over all its runs, beside its core's ceiling."""
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        rows += [_row(cell, runs, calibration) for cell in contest.cells]
    columns = (
        *words("Server"),
        *numbers("Requests/s of one load worker", "Ceiling of its core", "Used of it", "Used of its CPU"),
    )
    return Table("How far below the load generator's ceiling", columns, tuple(rows), _note(calibration))


def _note(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "No ceiling is known for these load hosts: ./invoke calibrate --hosts NAME measures it, and "
            "reports of later benchmarks print it here. CPU is known all the same: a worker near 100 % is at "
            "its limit."
        )
    left_out = [name for name, host in calibration.hosts.items() if host.overstates]
    why = (
        f" {', '.join(left_out)}: left out, because server and client shared one core in the calibration."
        if left_out
        else ""
    )
    return (
        f"Calibrated {calibration.created_at} with asgibench {calibration.asgibench_version}, against a "
        "trivial server on the load host itself, in requests/s of one core with all of the client's CPU "
        f"counted.{why}"
    )


def _row(cell: CellSummary, runs: Sequence[RunResult], calibration: Calibration | None) -> TableRow:
    busiest = [
        (run, max(run.load_workers, key=lambda worker: worker.work_share))
        for run in runs_of(cell, runs)
        if run.load_workers
    ]
    if not busiest:
        return TableRow((named(cell), MISSING, MISSING, MISSING, MISSING), tone(cell))
    run, worker = max(busiest, key=lambda pair: pair[1].work_share)
    asked = worker.requests / run.timing.window_seconds
    ceiling = _ceiling(worker, cell.endpoint, calibration)
    return TableRow(
        (
            named(cell),
            rate(asked),
            MISSING if ceiling is None else rate(ceiling),
            MISSING if ceiling is None else percent(asked / ceiling),
            percent(worker.work_share),
        ),
        tone(cell),
    )


def _ceiling(worker: LoadWorker, endpoint: str, calibration: Calibration | None) -> float | None:
    host: HostCeiling | None = None if calibration is None else calibration.hosts.get(worker.host)
    if host is None or host.overstates or endpoint not in host.endpoints:
        return None
    return host.endpoints[endpoint].engine
