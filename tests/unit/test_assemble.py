"""A run's parts put together: what the links and the busiest worker were reaches the judgement."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.environment.clocks import ClockReading
from bench.environment.links import LINKS_VERSION, Link, Links
from bench.plan.plan import PlannedRun
from bench.results.assemble import run_result
from bench.results.cell import Cell
from bench.results.clocks import ClockEvidence
from bench.results.evidence import (
    AgentEvidence,
    CoresGiven,
    DatabaseEvidence,
    LoadEvidence,
    Planned,
    RunEvidence,
    ServerEvidence,
    Timeline,
)
from bench.results.figures import LoadWorker
from bench.results.latency import Latency
from bench.results.run import RunResult
from bench.results.window import Window
from bench.wire.links import Transfer
from reports.words.shares import load_share
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import QUICK, SERVERS
from tests.helpers.samples_example import MONOTONIC, WALL, end, head, sample

SECONDS = QUICK.window_seconds
LONGBODY = ENDPOINTS[1]
RECEIVED = 120e6
CLOCKS = ClockReading(MONOTONIC, 0.0, 0.0, 0.001, WALL - MONOTONIC)


def samples(*core_shares: float) -> bytes:
    """Ten seconds of a server whose workers use their cores so."""
    lines = [
        sample(second, *([pid, 50_000, share * second] for pid, share in enumerate(core_shares, 1)))
        for second in range(11)
    ]
    return head(targets={"server": 1}) + b"".join(lines) + end(1 + len(lines), missed=0)


def worker(host: str, bytes_per_second: float) -> LoadWorker:
    return LoadWorker(f"{host}/0", host, 1_000, 0.3, 0.1, 0.001, 25, 0, int(bytes_per_second * SECONDS), 0.3)


def links(speed: float, *, busiest_thread: float = 0.1, round_trip_seconds: float = 0.0001) -> Links:
    transfer = Transfer(speed, busiest_thread, 1.0)
    hosts = {"load-1": Link("b", transfer, None, round_trip_seconds)}
    return Links(LINKS_VERSION, "lab", "2026-11-24", "box", "b", "192.0.2.1", hosts)


def result(
    known: Links | None, *, core_shares: tuple[float, ...] = (0.4,), p50: float = 0.02, **changes: Any
) -> RunResult:
    """``changes`` are of the load's evidence."""
    cell = Cell("uvicorn", "longbody", len(core_shares), 50, "lab")
    window = Window(SECONDS, 2_000, {}, int(RECEIVED * SECONDS), (), (), (worker("load-1", RECEIVED),), {})
    late = MONOTONIC + 10
    load = LoadEvidence(
        window=window,
        latency=Latency(p50, p50, p50, p50, p50, p50),
        seconds=(),
        engine_requests=2_500,
        in_flight_at_stop=0,
        locust_requests=2_500,
        spool_requests=2_500,
        open_loop=None,
    )
    return run_result(
        RunEvidence(
            planned=Planned(PlannedRun("001", cell, 1, 0), 1, SERVERS[0], LONGBODY),
            cores=CoresGiven(
                server=tuple(range(len(core_shares))),
                server_fills=len(core_shares),
                database_count=1,
                load={},
                load_workers_on_server=frozenset(),
                agent_on_server=True,
            ),
            server=ServerEvidence(
                host="box",
                version="0.54.0",
                command=("uvicorn",),
                pids=tuple(range(1, len(core_shares) + 1)),
                configuration={},
                requests=2_500,
            ),
            load=msgspec.structs.replace(load, **changes),
            database=DatabaseEvidence("box", None, None),
            agents=AgentEvidence({"box": samples(*core_shares)}),
            timeline=Timeline(
                WALL, MONOTONIC, MONOTONIC, MONOTONIC, MONOTONIC + 1, late, late, late, late, QUICK
            ),
            clocks=ClockEvidence({"box": CLOCKS}, {"box": CLOCKS}, ()),
            links=known,
        )
    )


def codes(found: RunResult) -> set[str]:
    return {reason.code for reason in found.reasons}


def test_a_full_link_is_what_was_measured() -> None:
    found = result(links(125e6))
    assert (found.limit.name, codes(found), found.valid) == ("network", {"NetworkAtLimit"}, False)
    assert "120.0 MB/s of 125 MB/s" in found.limit.text


def test_a_wide_or_unknown_link_is_not() -> None:
    assert "NetworkAtLimit" not in codes(result(links(1.25e9)))
    assert "NetworkAtLimit" not in codes(result(None))
    # The probe was the limit: the link carries more, and how much isn't known.
    assert "NetworkAtLimit" not in codes(result(links(125e6, busiest_thread=0.9)))


@pytest.mark.parametrize(("round_trip", "is_said"), [(0.015, True), (0.001, False)])
def test_a_round_trip_that_is_most_of_the_latency_is_said(round_trip: float, is_said: bool) -> None:
    found = result(links(1.25e9, round_trip_seconds=round_trip))
    assert ("RoundTripDominates" in codes(found)) == is_said


def test_a_full_worker_beside_an_idle_one_is_said() -> None:
    found = result(None, core_shares=(0.99, 0.2))
    assert (found.limit.name, codes(found)) == ("server_cpu", {"ServerWorkersUneven"})
    assert "0.99 of a core" in found.reasons[-1].text + found.reasons[0].text
    assert codes(result(None, core_shares=(0.6, 0.59))) == {"NotSaturated"}


def by(workers: tuple[LoadWorker, ...]) -> RunResult:
    return result(None, window=Window(SECONDS, 2_000, {}, int(RECEIVED * SECONDS), (), (), workers, {}))


@pytest.mark.parametrize(("locust", "is_at_limit"), [(0.11, True), (0.08, False)])
def test_engine_and_locust_fill_their_core_together(locust: float, is_at_limit: bool) -> None:
    """Neither of the two processes is at the limit by itself; both have the same core."""
    busy = msgspec.structs.replace(
        worker("load-1", RECEIVED),
        engine_core_share_median=0.80,
        locust_core_share_median=locust,
        engine_busy_poll_share=0.15,
    )
    found = by((worker("load-1", RECEIVED), busy))
    assert ("LoadWorkerAtLimit" in codes(found)) == is_at_limit
    # What the report and the terminal show is the figure that the verdict was made of.
    assert load_share(found) == pytest.approx(0.80 + locust)
    assert f"{0.80 + locust:.2f} of 1 core;" in found.limit.text


def test_a_worker_of_an_older_result_has_its_mean_for_the_median() -> None:
    old = msgspec.json.decode(
        b'{"name":"a/0","host":"a","requests":1,"engine_core_share":0.5,"locust_core_share":0.25,'
        b'"loop_lag_seconds_max":0,"connects":1,"reconnects":0,"bytes_received":1}',
        type=LoadWorker,
    )
    assert old.work_share == 0.75
