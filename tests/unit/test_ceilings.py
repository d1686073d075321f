"""The report says how far below the load generator's ceiling each cell was, and which don't count."""

from __future__ import annotations

import msgspec

from bench.environment.calibration import Calibration, HostCeiling, Round, client_figure, endpoint_ceiling
from bench.results.summarise import summarise
from bench.verdicts.contest import contests
from reports.tables.ceilings import ceilings_table
from reports.words.numbers import percent, rate
from reports.words.verdicts import label_of
from tests.helpers.results_example import example


def calibration(host: str, *, shared_core: bool = False) -> Calibration:
    ceiling = endpoint_ceiling([Round(client_figure(100_000, 2.0, 1.0), None, None)])
    return Calibration(
        version=1,
        environment="lab",
        created_at="2026-11-24T08:00:00+00:00",
        asgibench_version="0.1.0",
        connections=50,
        window_seconds=2,
        hosts={
            host: HostCeiling(
                boot_id="",
                cpu_model="",
                cores_usable=(0, 1),
                system="Linux",
                release="",
                architecture="x86_64",
                versions={},
                origin="nginx",
                origin_core=1 if shared_core else 0,
                client_core=1,
                notes=(),
                endpoints={"shortbody": ceiling},
            )
        },
    )


def cells_of(found: Calibration | None) -> dict[tuple[str, ...], tuple[str, ...]]:
    """{(endpoint label, server): the other columns}."""
    shown = example()
    summary = summarise(shown.plan, shown.runs)
    groups = contests(summary, shown.runs, [endpoint.name for endpoint in shown.plan.endpoints])
    table = ceilings_table([(label_of(one, groups), one) for one in groups], shown.runs, found)
    rows: dict[tuple[str, ...], tuple[str, ...]] = {}
    label = ""
    for row in table.rows:
        if len(row.cells) == 1:
            label = row.cells[0]
        else:
            rows[label, row.cells[0]] = row.cells[1:]
    rows[("note",)] = (table.note,)
    return rows


def load_host() -> str:
    return example().runs[0].load_workers[0].host


def test_a_known_ceiling_is_set_against_the_busiest_worker() -> None:
    shown = example()
    run = next(one for one in shown.runs if (one.cell.server, one.cell.endpoint) == ("uvicorn", "shortbody"))
    hosts = {worker.host for worker in run.load_workers}
    base = calibration(load_host())
    everywhere = {host: base.hosts[load_host()] for host in hosts}
    cells = cells_of(msgspec.structs.replace(base, hosts=everywhere))["shortbody", "uvicorn"]
    assert cells[1] == rate(100_000)
    assert cells[2] != "–"
    assert cells[2].endswith("%")
    assert cells[3].endswith("%")


def test_without_calibration_the_command_that_measures_it_is_named() -> None:
    found = cells_of(None)
    assert "./invoke calibrate" in found[("note",)][0]
    assert found["shortbody", "uvicorn"][1:3] == ("–", "–")
    assert found["shortbody", "uvicorn"][3] == percent(_busiest_share())


def _busiest_share() -> float:
    runs = [one for one in example().runs if (one.cell.server, one.cell.endpoint) == ("uvicorn", "shortbody")]
    return max(worker.work_share for run in runs for worker in run.load_workers)


def test_a_ceiling_of_a_shared_core_is_left_out_and_named() -> None:
    found = cells_of(calibration(load_host(), shared_core=True))
    assert found["shortbody", "uvicorn"][1] == "–"
    assert load_host() in found[("note",)][0]
