"""The test app on every server of the catalogue, for real: the same answers, counted, and stopped."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import trio
from starlette.types import ASGIApp, Message

from testapp.app import create_app
from testapp.counts import COUNTED, AnswerCounts, read_counts
from testapp.data import USER_COUNT, orders_of, tokens, user_of
from testapp.workload import Workload
from testapp.workloads import WORKLOADS, longbody, shortbody
from testapp.workloads.orders import expected_body, render_orders
from tests.helpers.endpoints import KNOWN_ENDPOINTS, load_catalogue
from tests.helpers.environments import (
    LOOPBACK,
    ROOT,
    SEED,
    STOP_SECONDS,
    RunningServer,
    ask_over,
    filled_postgres,
    passable_folder,
    running_server,
    shipped_program,
)
from tests.helpers.ports import free_port

CATALOGUE = load_catalogue()
SERVERS = [spec.name for spec in CATALOGUE.servers]
FIRST_OF_PACKAGE = {spec.package: spec.name for spec in reversed(CATALOGUE.servers)}
# By the setting.
LOOPS = {
    "uvloop": "uvloop.Loop",
    "asyncio": "asyncio.unix_events._UnixSelectorEventLoop",
    "trio": "trio",
}
# What a shell sees after SIGTERM: uvicorn with one worker ends by the signal.
TERMINATED_STATUS = {
    spec.name: -signal.SIGTERM
    for spec in CATALOGUE.servers
    if spec.package == "uvicorn" and spec.version_set == "current"
}
POOL_SIZE = 10


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with passable_folder() as folder, filled_postgres(folder) as url:
        yield url


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    spec = CATALOGUE.server(request.param)
    with running_server(spec, tmp_path_factory.mktemp(spec.name), database_url) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def serves(server: RunningServer, endpoint: str) -> bool:
    return endpoint not in server.spec.unsupported_endpoints


def skip_unless_it_serves_orders(server: RunningServer) -> None:
    if not serves(server, "orders"):
        pytest.skip(server.spec.unsupported_endpoints["orders"])


@pytest.mark.parametrize(
    "workload",
    [one for one in WORKLOADS.values() if one.protocol == "http/1.1"],
    ids=lambda workload: workload.name,
)
def test_every_server_gives_the_same_answer(server: RunningServer, workload: Workload) -> None:
    """Status, type, length and body are those of the workload, whichever server is asked; it is counted."""
    if not serves(server, workload.name):
        pytest.skip(server.spec.unsupported_endpoints[workload.name])
    user_index = 3 if workload.rotates_tokens else 0
    expected = workload.bodies(SEED)[user_index]
    counted = read_counts(server.counts)
    answer = server.ask(
        workload.path,
        method=workload.method,
        headers={**bearer(tokens(SEED)[user_index]), **dict(workload.headers)},
        body=workload.request_body(SEED),
    )
    assert (answer.status, answer.headers["content-type"]) == (workload.status, workload.content_type)
    assert answer.headers["content-length"] == str(len(expected))
    assert "transfer-encoding" not in answer.headers
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(expected).digest()
    assert workload.length_bytes in (None, len(answer.body))
    assert read_counts(server.counts) == {**counted, workload.name: counted[workload.name] + 1}


def test_each_user_gets_their_own_orders(server: RunningServer) -> None:
    skip_unless_it_serves_orders(server)
    for user_index in range(0, USER_COUNT, 97):
        answer = server.ask("/api/orders", headers=bearer(tokens(SEED)[user_index]))
        assert answer.body == expected_body(SEED, user_index)


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="asgibench"'),
        ({"Authorization": "Basic dTpw"}, 'Bearer realm="asgibench"'),
        (bearer("wrong"), 'Bearer realm="asgibench", error="invalid_token"'),
    ],
)
def test_a_missing_or_wrong_token_is_refused(
    server: RunningServer, headers: dict[str, str], challenge: str
) -> None:
    skip_unless_it_serves_orders(server)
    answer = server.ask("/api/orders", headers=headers)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, challenge)
    assert answer.headers["content-type"] == "application/json"
    assert "error" in json.loads(answer.body)
    assert answer.headers["content-length"] == str(len(answer.body))


def test_orders_is_refused_where_asyncpg_cannot_run(server: RunningServer) -> None:
    if serves(server, "orders"):
        pytest.skip("it can")
    answer = server.ask("/api/orders", headers=bearer(tokens(SEED)[0]))
    assert (answer.status, answer.headers["content-length"]) == (501, str(len(answer.body)))


def test_other_paths_and_methods_are_refused(server: RunningServer) -> None:
    unknown = server.ask("/api/nothing")
    posted = server.ask("/api/shortbody", method="POST")
    for answer, status in ((unknown, 404), (posted, 405)):
        assert (answer.status, answer.headers["content-length"]) == (status, str(len(answer.body)))


@pytest.mark.parametrize("name", ["shortbody", "longbody"])
def test_head_has_the_length_and_no_body(server: RunningServer, name: str) -> None:
    """The connection is in order after it: nothing of a body is left in there."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=STOP_SECONDS)
    for _ in range(2):
        head = ask_over(connection, f"/api/{name}", method="HEAD")
        whole = ask_over(connection, f"/api/{name}")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.body))
    connection.close()


def test_the_process_tells_how_it_is_set_up(server: RunningServer) -> None:
    told = json.loads(server.ask("/api/process").body)
    assert all(isinstance(value, str | int | bool | None) for value in told.values())
    assert told["loop"] == LOOPS[server.spec.settings.loop]
    assert told["http_version"] == "1.1"
    assert told["tcp_nodelay"] is (server.spec.name != "hypercorn-paper")
    assert told["access_log"] in (False, None)
    assert told["lifespan"] is (server.spec.package != "daphne")
    assert told["pool_size"] == POOL_SIZE
    assert server.spec.package in told["parts"].split()
    assert os.getpgid(told["pid"]) == server.process.pid
    if server.spec.name == "uvicorn":
        assert told["receiver"] == "uvicorn.protocols.http.httptools_impl.RequestResponseCycle"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_connection_with_nagles_delays_is_seen(loop: str, tmp_path: Path) -> None:
    """uvicorn's workers on asyncio leave TCP_NODELAY off, on uvloop they set it."""
    spec = CATALOGUE.server("uvicorn")
    spec = msgspec.structs.replace(spec, settings=msgspec.structs.replace(spec.settings, loop=loop))
    with running_server(spec, tmp_path / "s", "", workers=2) as server:
        told = json.loads(server.ask("/api/process").body)
    assert told["tcp_nodelay"] is (loop == "uvloop")


def test_the_app_counts_what_it_answers(server: RunningServer) -> None:
    """GET and HEAD, and refusals by an endpoint; not what no endpoint answered."""
    before = read_counts(server.counts)
    for path, method, times in (
        ("/api/shortbody", "GET", 3),
        ("/api/longbody", "HEAD", 2),
        ("/api/orders", "GET", 1),
        ("/api/nothing", "GET", 1),
        ("/api/shortbody", "POST", 1),
        ("/api/process", "GET", 1),
    ):
        for _ in range(times):
            server.ask(path, method=method)
    after = read_counts(server.counts)
    expected = {**dict.fromkeys(COUNTED, 0), "shortbody": 3, "longbody": 2, "orders": 1}
    assert {name: after[name] - before[name] for name in after} == expected


def test_a_connection_is_kept_for_thousands_of_requests(server: RunningServer) -> None:
    """hypercorn by default closes each after 1,000."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=STOP_SECONDS)
    connection.connect()
    first = connection.sock
    for _ in range(1_100):
        connection.request("GET", "/api/shortbody")
        if sys.platform == "linux":
            # hypercorn 0.16 leaves TCP_NODELAY off: else each answer waits 40 ms for our acknowledgement.
            first.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, shortbody.BODY)
        assert answer.getheader("connection") != "close"
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize("name", SERVERS)
def test_sigterm_stops_a_server_that_holds_connections(name: str, database_url: str, tmp_path: Path) -> None:
    with running_server(CATALOGUE.server(name), tmp_path / "s", database_url) as server:
        idle = http.client.HTTPConnection(LOOPBACK, server.port, timeout=STOP_SECONDS)
        ask_over(idle, "/api/shortbody")
        server.process.terminate()
        status = server.process.wait(timeout=STOP_SECONDS)
        assert status == TERMINATED_STATUS.get(name, 0), server.log.read_text()
        idle.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, server.port), timeout=1)


@pytest.mark.parametrize("name", ["uvicorn", "daphne", "hypercorn"])
def test_one_pool_is_opened_however_many_ask_first(name: str, database_url: str, tmp_path: Path) -> None:
    """With daphne there is no lifespan: all the first requests find no pool."""
    named_url = f"{database_url}&application_name=one-pool-{name}"
    with running_server(CATALOGUE.server(name), tmp_path / "s", named_url) as server:
        with ThreadPoolExecutor(24) as threads:
            asked = [
                threads.submit(server.ask, "/api/orders", headers=bearer(token))
                for token in tokens(SEED)[:24]
            ]
        bodies = [future.result().body for future in asked]
        assert bodies == [expected_body(SEED, index) for index in range(24)]
        assert asyncio.run(count_connections(database_url, f"one-pool-{name}")) == POOL_SIZE


async def count_connections(database_url: str, application_name: str) -> int:
    connection = await asyncpg.connect(database_url)
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
    count: int = await connection.fetchval(query, application_name)
    await connection.close()
    return count


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "hypercorn-uvloop", "hypercorn-trio"])
def test_the_counts_of_several_workers_are_added_up(name: str, database_url: str, tmp_path: Path) -> None:
    with running_server(CATALOGUE.server(name), tmp_path / "s", database_url, workers=2) as server:
        pids: set[int] = set()
        asked = 0
        while len(pids) < 2:
            assert asked < 2_000, "only one worker answers"
            server.ask("/api/shortbody")
            pids.add(json.loads(server.ask("/api/process").body)["pid"])
            asked += 1
        assert read_counts(server.counts)["shortbody"] == asked


@pytest.mark.parametrize("name", ["uvicorn", "daphne", "hypercorn"])
def test_a_server_listens_on_an_ipv6_address(name: str, tmp_path: Path) -> None:
    try:
        free_port("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with running_server(CATALOGUE.server(name), tmp_path / "s", "", host="::1") as server:
        assert server.ask("/api/shortbody").body == shortbody.BODY
        assert json.loads(server.ask("/api/process").body)["tcp_nodelay"] is True


def test_counts_outlive_a_killed_server(tmp_path: Path) -> None:
    with running_server(CATALOGUE.server("uvicorn"), tmp_path / "s", "") as server:
        for _ in range(5):
            server.ask("/api/shortbody")
        server.process.kill()
        assert server.process.wait(timeout=STOP_SECONDS) == -signal.SIGKILL
        assert shipped_program("counts", str(server.counts)) == (
            0,
            {**dict.fromkeys(COUNTED, 0), "shortbody": 5},
        )


@pytest.mark.parametrize("name", FIRST_OF_PACKAGE.values())
@pytest.mark.parametrize("access_log", [False, True])
def test_the_access_log_is_on_or_off_as_set(name: str, access_log: bool, tmp_path: Path) -> None:
    spec = CATALOGUE.server(name)
    settings = msgspec.structs.replace(spec.settings, access_log=access_log)
    spec = msgspec.structs.replace(spec, settings=settings)
    with running_server(spec, tmp_path / "s", "") as server:
        server.ask("/api/shortbody")
        told = json.loads(server.ask("/api/process").body)
        tells = spec.access_logger or spec.package == "daphne"  # whose own object has it
        assert told["access_log"] is (access_log if tells else None)
    assert ("/api/shortbody" in server.log.read_text()) is access_log


def test_a_server_without_its_database_does_not_start(tmp_path: Path) -> None:
    """Where there is a lifespan; the reason stands in the log."""
    nowhere = "postgresql://asgibench:x@127.0.0.1:1/asgibench"
    with (
        pytest.raises(RuntimeError, match="did not start") as failure,
        running_server(CATALOGUE.server("uvicorn"), tmp_path / "s", nowhere),
    ):
        pass
    assert "ConnectionRefusedError" in str(failure.value)


# ---------------------------------------------------------------- without a server


async def answer_of(app: ASGIApp, path: str) -> tuple[int, bytes]:
    """What the app sends for a GET, with no server between."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer x")],
        "client": None,
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_without_a_database_only_orders_is_unavailable() -> None:
    app = create_app({})
    assert asyncio.run(answer_of(app, "/api/orders"))[0] == 503
    assert asyncio.run(answer_of(app, "/api/shortbody")) == (200, shortbody.BODY)
    assert asyncio.run(answer_of(app, "/api/longbody")) == (200, longbody.BODY)


def test_on_trio_all_but_orders_is_served() -> None:
    app = create_app({"ASGIBENCH_DATABASE_URL": "postgresql://127.0.0.1:1/x"})
    assert trio.run(answer_of, app, "/api/orders")[0] == 501
    assert trio.run(answer_of, app, "/api/shortbody") == (200, shortbody.BODY)
    told = json.loads(trio.run(answer_of, app, "/api/process")[1])
    assert (told["loop"], told["tcp_nodelay"]) == ("trio", None)


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_wrong_pool_size_is_an_error(size: str) -> None:
    with pytest.raises(ValueError, match=r"ASGIBENCH_POOL_SIZE|invalid literal"):
        create_app({"ASGIBENCH_POOL_SIZE": size})


def test_without_a_folder_nothing_is_counted() -> None:
    AnswerCounts(None).add(0)


def test_a_process_id_that_comes_again_adds_to_its_counts(tmp_path: Path) -> None:
    for _ in range(2):
        counts = AnswerCounts(tmp_path)
        counts.add(COUNTED.index("shortbody"))
        counts.add(COUNTED.index("shortbody"))
    assert [path.name for path in tmp_path.iterdir()] == [f"{os.getpid()}.counts"]
    assert read_counts(tmp_path)["shortbody"] == 4


def test_a_forked_worker_counts_for_itself(tmp_path: Path) -> None:
    """A server may load the app first and fork its workers then."""
    program = (
        "import os, pathlib, sys; from testapp.counts import AnswerCounts\n"
        "counts = AnswerCounts(pathlib.Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "counts.add(0)\n"
        "if child: os.waitpid(child, 0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True, timeout=STOP_SECONDS)
    assert len(list(tmp_path.iterdir())) == 2
    assert read_counts(tmp_path)["shortbody"] == 2


def test_counts_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    status, told = shipped_program("counts", str(tmp_path / "none"))
    assert (status, sorted(told)) == (1, ["error", "remedy"])
    (tmp_path / "1.counts").write_bytes(b"short")
    (tmp_path / "2.counts").touch()
    with pytest.raises(ValueError, match=f"5 bytes, not {8 * len(COUNTED)}"):
        read_counts(tmp_path)


def test_the_data_is_the_same_for_ever() -> None:
    """Controller and hosts make it themselves, each with its own version of Python."""
    everything = hashlib.sha256(b"".join(expected_body(1, index) for index in range(USER_COUNT)))
    everything.update("".join(tokens(1)).encode())
    assert everything.hexdigest() == "c9554e57f06397081a1266373d80881ea1f76f3ed6b9b89032aa114bbdfde25e"
    assert expected_body(1, 0) != expected_body(2, 0)


def test_the_data_has_the_shape_that_is_promised() -> None:
    users = [user_of(SEED, index) for index in range(USER_COUNT)]
    orders = [orders_of(SEED, index) for index in range(USER_COUNT)]
    sizes = [len(expected_body(SEED, index)) for index in range(USER_COUNT)]
    assert USER_COUNT == 1_000
    assert tokens(SEED) == tuple(user["token"] for user in users)
    assert len({user["token"] for user in users}) == len({user["email"] for user in users}) == USER_COUNT
    assert len({order["id"] for some in orders for order in some}) == sum(map(len, orders))
    assert 19 < sum(map(len, orders)) / USER_COUNT < 21
    assert 1_000 < min(sizes) < max(sizes) < 1_200
    assert len(shortbody.BODY) == 22
    assert len(longbody.BODY) == 430_000
    assert KNOWN_ENDPOINTS.names == COUNTED


@pytest.mark.parametrize("user_index", [-1, USER_COUNT])
def test_there_is_no_user_outside(user_index: int) -> None:
    with pytest.raises(IndexError):
        expected_body(SEED, user_index)


def test_orders_come_newest_first() -> None:
    keys = [(order["placed_at"], order["id"]) for order in orders_of(SEED, 5)]
    assert keys == sorted(keys, reverse=True)


def test_the_rendering_reads_by_column_name() -> None:
    user: Mapping[str, Any] = {**user_of(SEED, 5)}
    document = json.loads(render_orders(user, orders_of(SEED, 5)[:1]))
    assert document["user"] == {name: user[name] for name in ("id", "name", "email")}
    assert document["orders"][0]["placed_at"].endswith("+00:00")
