"""`./invoke slow-clients` on this machine, with few connections: real servers, and one that takes no care."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.proofs.kept import Proofs, read_proofs
from bench.proofs.slow_clients import SlowFinding, SlowFindings, judged, memory_per_connection
from bench.wire.slow_clients import SlowOrder
from remote.onhost.slow_clients.__main__ import report_of
from tests.helpers.environments import LOOPBACK, ROOT, stop
from tests.helpers.ports import free_port
from tests.helpers.program import LOCAL_INVENTORY, Finished, processes_naming, run, work_folder

IDLE, SLOW, PATIENCE = 500, 20, 1
PROBES = ("idle", "slowloris", "endless-answer")
CAP_BYTES = 100_000_000


class Measured(msgspec.Struct, frozen=True):
    """One run of the command."""

    done: Finished
    kept: Proofs[SlowFindings]
    json: dict[str, dict[str, dict[str, object]]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("slow")
    with work_folder() as outside:
        inventory = folder / "here.yml"
        inventory.write_text(LOCAL_INVENTORY.format(workdir=outside / "w"))
        done = run(
            "slow-clients", "--hosts", str(inventory), "--servers", "uvicorn,daphne", "--idle", str(IDLE),
            "--slow", str(SLOW), "--patience", str(PATIENCE), "--pairs", "2", "--probes", ",".join(PROBES),
            "--results", str(folder / "results"), "--json", str(folder / "out.json"),
        )  # fmt: skip
        assert done.status == 0, done.stderr
        assert processes_naming(outside) == []
    kept = read_proofs(folder / "results" / "proofs" / "slow_clients-here.json", SlowFindings)
    assert kept is not None
    found = msgspec.json.decode(
        (folder / "out.json").read_bytes(), type=dict[str, dict[str, dict[str, object]]]
    )
    return Measured(done, kept, found)


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
def test_idle_connections_cost_memory_and_others_are_served_beside_them(
    measured: Measured, server: str
) -> None:
    one = measured.kept.findings[server]["idle"]
    assert (one.verdict, one.measured.problem) == ("serves", "")
    held = one.measured.held
    assert held is not None and (held.opened, held.meanwhile.answered) == (IDLE, held.meanwhile.asked)
    each = memory_per_connection(one)
    assert each is not None and 1_000 < each < 100_000
    if sys.platform == "linux":
        assert held.after.pss_bytes is not None
    assert one.ratio is not None and one.ratio.blocks == 2 and one.ratio.mean is not None
    assert all(pair.beside > 10 and pair.without > 10 for pair in one.measured.pairs)


def test_a_slow_header_is_watched_for_as_long_as_asked(measured: Measured) -> None:
    one = measured.kept.findings["uvicorn"]["slowloris"]
    held = one.measured.held
    assert held is not None and held.opened == SLOW
    assert one.verdict == "keeps" and held.closed == 0 and held.watched_seconds >= PATIENCE


def test_uvicorn_waits_for_a_reader_that_stops_and_daphne_does_not(measured: Measured) -> None:
    careful = measured.kept.findings["uvicorn"]["endless-answer"]
    careless = measured.kept.findings["daphne"]["endless-answer"]
    assert (careful.verdict, careless.verdict) == ("bounded", "unbounded"), (careful.reason, careless.reason)
    stopped = careless.measured.flow
    assert stopped is not None and stopped.peak_rss_bytes - stopped.before.rss_bytes > 50_000_000


def test_what_is_printed_and_kept_is_the_same(measured: Measured) -> None:
    assert set(measured.json) == {"uvicorn", "daphne"}
    for server, found in measured.kept.findings.items():
        assert set(found) == set(PROBES)
        assert {probe: one.verdict for probe, one in found.items()} == {
            probe: one["verdict"] for probe, one in measured.json[server].items()
        }
    assert measured.done.last_line.endswith("slow_clients-here.json")
    assert "daphne: endless-answer: unbounded" in measured.done.stdout


@contextlib.contextmanager
def careless_server(witness: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, str(ROOT / "tests" / "helpers" / "careless_server.py"), str(port)]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "ASGIBENCH_WITNESS": str(witness)}
    process = subprocess.Popen(
        [*command, "testapp.proving.slow_clients:app"], env=environment, start_new_session=True
    )
    try:
        yield process, port
    finally:
        stop(process, signal.SIGTERM)


def test_a_server_whose_send_never_waits_is_found_out_and_stopped_at_the_bound(tmp_path: Path) -> None:
    found: dict[str, SlowFinding] = {}
    with careless_server(tmp_path) as (process, port):
        for probe in ("endless-answer", "half-closed"):
            order = SlowOrder(
                probe, process.pid, LOOPBACK, port, str(tmp_path), SLOW, 1.0, CAP_BYTES, ready_seconds=10.0
            )
            found[probe] = judged(report_of(order))
    endless = found["endless-answer"]
    assert endless.verdict == "unbounded", endless.reason
    flow = endless.measured.flow
    assert flow is not None and flow.reached_cap
    # Stopped there, and not far beyond.
    assert flow.peak_rss_bytes - flow.before.rss_bytes < 2 * CAP_BYTES
    assert flow.ahead_bytes < 2 * CAP_BYTES
    assert found["half-closed"].verdict == "drops"


def test_a_server_that_is_not_there_leaves_the_probe_untested(tmp_path: Path) -> None:
    order = SlowOrder(
        "idle", os.getpid(), LOOPBACK, free_port(), str(tmp_path), 1, 1.0, CAP_BYTES, ready_seconds=0.2
    )
    found = judged(report_of(order))
    assert found.verdict == "untested" and "did not become ready" in found.reason
