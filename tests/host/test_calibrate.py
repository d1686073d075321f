"""The load hosts' ceilings: the trivial server on real sockets, and the whole command on this machine."""

from __future__ import annotations

import http.client
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.environment.calibration import (
    CALIBRATION_VERSION,
    Calibration,
    EndpointCeiling,
    HostCeiling,
    Round,
    calibration_path,
    client_figure,
    endpoint_ceiling,
    load_calibration,
    save_calibration,
    table_lines,
)
from bench.errors import HostBusy, ResultError, UsageError
from inventory.read import read_inventory
from loadgen.calibrate.clients.wrk import parse_wrk
from loadgen.calibrate.host import calibrate_host
from loadgen.calibrate.origin import CEILING_SERVER
from loadgen.calibrate.ready import Programs
from loadgen.calibrate.static import body_of, static_workloads
from loadgen.calibrate.whole import CalibrateRequest, calibrate
from remote.fleet import open_fleet
from remote.guarded import new_session
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.program import LOCAL_INVENTORY, ROOT, Finished, command, processes_naming, run, work_folder

pytestmark = pytest.mark.alone

BODIES = {one.name: body_of(one) for one in static_workloads()}
WRK_REPORT = """Running 2s test @ http://127.0.0.1:40001/api/shortbody
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   831.58us  200.10us   6.47ms   94.12%
    Req/Sec    60.52k     2.11k   63.01k    75.00%
  120414 requests in 2.01s, 20.21MB read
Requests/sec:  59907.46
Transfer/sec:     10.05MB
1.98
"""


# ---------------------------------------------------------------- the trivial server


@pytest.fixture(scope="module", params=["epoll", "any selector"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The shipped file in a process of its own; its port."""
    root = tmp_path_factory.mktemp("bodies")
    (root / "api").mkdir()
    for name, body in BODIES.items():
        (root / "api" / name).write_bytes(body)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    words = ["--root", str(root), "--port", str(port)]
    other = ["--any-selector"] if request.param == "any selector" else []
    program = [sys.executable, "-B", "-m", CEILING_SERVER]
    process = subprocess.Popen([*program, *words, *other], cwd=root, env={"PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def exchange(port: int, *pieces: bytes) -> bytes:
    """Send the pieces one after the other; all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_each_endpoint_has_its_body_again_and_again_on_one_connection(server: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=10)
    for _ in range(3):
        for name, body in BODIES.items():
            connection.request("GET", f"/api/{name}")
            response = connection.getresponse()
            assert (response.status, response.headers["content-length"]) == (200, str(len(body)))
            assert response.read() == body
    connection.close()


def test_bodies_have_the_lengths_of_the_real_ones() -> None:
    assert {endpoint.name for endpoint in ENDPOINTS} == set(BODIES)
    for endpoint in ENDPOINTS:
        length = len(BODIES[endpoint.name])
        assert length == endpoint.length_bytes if endpoint.length_bytes else 700 < length < 1_500


def test_a_request_in_pieces_and_requests_in_one_piece_are_answered(server: int) -> None:
    one = b"GET /api/shortbody HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /api/shortbody HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert exchange(server, one[:10], one[10:30], one[30:] + one + last).count(BODIES["shortbody"]) == 3


def test_a_client_that_reads_late_gets_all_of_several_long_bodies(server: int) -> None:
    one = b"GET /api/longbody HTTP/1.1\r\n\r\n"
    last = b"GET /api/longbody HTTP/1.1\r\nconnection: close\r\n\r\n"
    assert exchange(server, one + one + last).count(BODIES["longbody"]) == 3


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /api/shortbody HTTP/1.0\r\n\r\n", b"200"),
        (b"POST /api/shortbody HTTP/1.1\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
    ],
)
def test_what_it_does_not_serve_ends_with_a_status(server: int, request_bytes: bytes, status: bytes) -> None:
    assert exchange(server, request_bytes).startswith(b"HTTP/1.1 " + status)


# ---------------------------------------------------------------- figures


def test_a_busy_core_counts_by_the_window_and_an_idle_one_by_its_cpu() -> None:
    busy, idle, several = (client_figure(1_000, 2.0, cpu) for cpu in (1.9, 0.5, 2.5))
    assert (busy.basis, busy.requests_per_second_of_core) == ("wall", 500)
    assert (idle.basis, idle.requests_per_second_of_core) == ("cpu", 2_000)
    assert (several.basis, several.requests_per_second_of_core) == ("cpu", 400)


def test_ratios_are_taken_within_a_round() -> None:
    """The machine is twice as slow in the second round: the ratio doesn't see it."""
    rounds = [
        Round(client_figure(9_000 // slow, 1, 1), client_figure(6_000 // slow, 1, 1), None) for slow in (1, 2)
    ]
    found = endpoint_ceiling(rounds)
    assert (found.engine, found.wrk, found.fast_http_user) == (6_750, 4_500, None)
    assert (found.engine_to_wrk, found.engine_to_fast_http_user) == (1.5, None)


def test_wrks_report_is_read() -> None:
    figure = parse_wrk(WRK_REPORT)
    assert figure is not None
    assert (figure.requests, figure.seconds, figure.cpu_seconds) == (120_414, 2.01, 1.98)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "unable to connect to 127.0.0.1:1 Connection refused\n0.01\n",
        WRK_REPORT.replace("Requests/sec", "  Non-2xx or 3xx responses: 120414\nRequests/sec"),
        WRK_REPORT.replace(
            "Requests/sec", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec"
        ),
        WRK_REPORT.replace("120414 requests", "0 requests"),
    ],
)
def test_wrks_errors_are_no_figure(output: str) -> None:
    assert parse_wrk(output) is None


def test_a_calibration_is_read_as_it_was_written_and_replaced(tmp_path: Path) -> None:
    path = calibration_path(tmp_path / "results", "here")
    for requests in (1_000, 2_000):
        written = calibration_of(requests)
        assert save_calibration(tmp_path / "results", written) == path
        assert load_calibration(path) == written
    assert [file.name for file in path.parent.iterdir()] == ["calibration-here.json"]


def test_a_calibration_that_is_missing_damaged_or_of_another_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "calibration-here.json"
    with pytest.raises(ResultError, match="invoke calibrate"):
        load_calibration(path)
    path.write_text("{}")
    with pytest.raises(ResultError, match="damaged"):
        load_calibration(path)
    later = msgspec.structs.replace(calibration_of(1), version=CALIBRATION_VERSION + 1)
    path.write_bytes(msgspec.json.encode(later))
    with pytest.raises(ResultError, match="version 2"):
        load_calibration(path)


def test_the_table_shows_a_missing_client_and_what_a_figure_is_based_on() -> None:
    lines = table_lines(calibration_of(1_000))
    assert lines[2].split() == ["load-1", "shortbody", "1,000", "-", "-", "-", "-"]
    assert "load-1: no wrk" in lines
    assert not any("CPU seconds" in line for line in lines)


def test_a_host_whose_only_core_was_shared_overstates() -> None:
    host = calibration_of(1).hosts["load-1"]
    shared = msgspec.structs.replace(host, origin_core=1)
    unpinned = msgspec.structs.replace(host, origin_core=None, client_core=None)
    assert [one.overstates for one in (host, shared, unpinned)] == [False, True, False]


def calibration_of(requests: int) -> Calibration:
    ceiling = endpoint_ceiling([Round(client_figure(requests, 1, 1), None, None)])
    host = HostCeiling(
        boot_id="b",
        cpu_model="c",
        cores_usable=(0, 1),
        system="Linux",
        release="6",
        architecture="x86_64",
        versions={},
        origin="ceiling_server.py",
        origin_core=0,
        client_core=1,
        notes=("no wrk",),
        endpoints={"shortbody": ceiling},
    )
    return Calibration(CALIBRATION_VERSION, "here", "2026-01-01T00:00:00+00:00", "0", 50, 2, {"load-1": host})


# ---------------------------------------------------------------- the whole


class Place(msgspec.Struct, frozen=True):
    """An inventory of this machine alone, with a work folder of the test's own."""

    workdir: Path
    inventory: Path
    results: Path


class Whole(msgspec.Struct, frozen=True):
    """The command run once, and the file it wrote."""

    done: Finished
    rates: dict[str, dict[str, dict[str, float | None]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("calibrate")
    with work_folder() as outside:
        (folder / "here.yml").write_text(LOCAL_INVENTORY.format(workdir=outside / "w"))
        yield Place(outside / "w", folder / "here.yml", folder / "results")


@pytest.fixture(scope="module")
def whole(place: Place) -> Whole:
    written = place.results / "rates.json"
    done = run(
        "calibrate", "--hosts", str(place.inventory), "--results", str(place.results),
        "--rounds", "1", "--json", str(written),
    )  # fmt: skip
    assert done.status == 0, done.stderr
    return Whole(done, json.loads(written.read_text()))


@pytest.mark.pipeline
def test_every_endpoint_has_the_ceilings_of_engine_and_fast_http_user(whole: Whole) -> None:
    assert set(whole.rates) == {"here"}
    assert set(whole.rates["here"]) == {"shortbody", "longbody", "orders"}
    for figures in whole.rates["here"].values():
        assert set(figures) == {"engine", "wrk", "fast_http_user"}
        engine, fast = figures["engine"], figures["fast_http_user"]
        assert engine is not None and fast is not None
        # The goals are the benchmark's business; this is far below them.
        assert engine > 3 * fast > 100


@pytest.mark.pipeline
def test_wrk_has_its_figures(whole: Whole) -> None:
    """CI installs wrk and nginx: there, null is a failure."""
    missing = [name for name, figures in whole.rates["here"].items() if figures["wrk"] is None]
    if missing and os.environ.get("CI") != "true":
        pytest.skip("no wrk on this machine's PATH")
    assert not missing
    if os.environ.get("CI") == "true":
        assert "nginx" in whole.done.stdout


@pytest.mark.pipeline
def test_the_table_is_on_stdout_and_the_ceilings_stay_with_the_results(whole: Whole, place: Place) -> None:
    assert "engine/FastHttpUser" in whole.done.stdout
    saved = load_calibration(calibration_path(place.results, "here"))
    assert saved.rates == whole.rates
    host = saved.hosts["here"]
    assert set(host.endpoints) == set(BODIES)
    assert host.versions["locust"]
    assert host.cpu_model
    if platform.system() == "Linux":
        assert host.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.pipeline
def test_nothing_is_left_running(whole: Whole, place: Place) -> None:
    assert processes_naming(place.workdir) == []


@pytest.mark.pipeline
def test_ctrl_c_leaves_nothing_running(whole: Whole, place: Place) -> None:
    words = ["calibrate", "--hosts", str(place.inventory), "--results", str(place.results / "stopped")]
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not any("--worker" in words for words in processes_naming(place.workdir)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert processes_naming(place.workdir) == []
    assert not (place.results / "stopped").exists()


@pytest.mark.pipeline
def test_without_nginx_and_wrk_our_own_server_answers_and_wrk_is_null(whole: Whole, place: Place) -> None:
    request = CalibrateRequest(root=ROOT, results=place.results, rounds=1, window_seconds=1)
    said: list[str] = []
    fleet = open_fleet(
        read_inventory(str(place.inventory), root=ROOT), new_session("test"), report=said.append
    )
    try:
        found = calibrate_host(
            fleet,
            fleet.loadgen[0],
            static_workloads(),
            said.append,
            root=ROOT,
            rounds=1,
            window_seconds=1,
            programs=Programs(nginx=None, wrk=None),
        )
        with pytest.raises(HostBusy):
            calibrate(msgspec.structs.replace(request, hosts=str(place.inventory)), said.append)
    finally:
        assert not fleet.release()
    assert found.origin == "ceiling_server.py"
    assert any("no wrk" in note for note in found.notes)
    for ceiling in found.endpoints.values():
        assert isinstance(ceiling, EndpointCeiling)
        assert ceiling.wrk is None
        assert ceiling.engine > (ceiling.fast_http_user or 0) > 0
    assert processes_naming(place.workdir) == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [(("--endpoints", "nothing"), 2, "shortbody"), (("--hosts", "nowhere"), 10, "nowhere")],
)
def test_a_slip_is_told_with_its_remedy(words: tuple[str, ...], status: int, said: str) -> None:
    done = run("calibrate", *words)
    assert done.status == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_rounds_are_bounded() -> None:
    with pytest.raises(UsageError, match="1 to 20"):
        calibrate(CalibrateRequest(root=ROOT, rounds=0), print)


def test_a_workload_that_no_file_answers_is_left_out_with_the_reason() -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="no ceiling can be measured of echo"):
        calibrate(CalibrateRequest(root=ROOT, endpoints=("echo",)), said.append)
    assert said == [
        "echo is left out: it is a POST whose body the server has to read, and ours only sends files"
    ]
    assert "echo" not in BODIES
