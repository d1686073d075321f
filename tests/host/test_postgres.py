"""PostgreSQL from the wheel, for real: made, started, filled, counted, stopped, and closed to strangers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from testapp.counts import read_counts
from testapp.data import orders_of, tokens, user_of
from testapp.postgres.__main__ import main
from testapp.postgres.account import Account, PostgresError, check_passage, choose_account
from testapp.postgres.cluster import PostgresCluster, find_binaries, find_running
from testapp.workloads.orders import ORDERS_QUERY, USER_QUERY, expected_body, render_orders
from tests.helpers.endpoints import load_catalogue
from tests.helpers.environments import (
    LOOPBACK,
    SEED,
    STOP_SECONDS,
    filled_postgres,
    passable_folder,
    running_server,
    shipped_program,
    started_postgres,
    stop,
)
from tests.helpers.ports import free_port

# One reading's, seen by the next: to connect, and to ask.
OWN_TRANSACTIONS = 2
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run PostgreSQL as")


@pytest.fixture
def folder() -> Iterator[Path]:
    with passable_folder() as one:
        yield one


@pytest.fixture(scope="module")
def prepared_folder() -> Iterator[Path]:
    """A cluster to copy: initdb is what takes time."""
    with passable_folder() as one:
        assert prepare(one)["created"]
        yield one


@pytest.fixture
def cluster(prepared_folder: Path, folder: Path) -> Path:
    shutil.copytree(prepared_folder / "data", folder / "data", copy_function=copy_with_owner)
    for place in (folder / "data", *(folder / "data").rglob("*")):
        origin = (prepared_folder / place.relative_to(folder)).stat()
        os.chown(place, origin.st_uid, origin.st_gid)
    return folder


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with passable_folder() as one, filled_postgres(one) as url:
        yield url


def copy_with_owner(source: str, target: str) -> None:
    shutil.copy2(source, target)


def ask(verb: str, folder: Path, *arguments: str, user: str = "") -> tuple[int, Any]:
    return shipped_program("postgres", verb, "--directory", str(folder), *arguments, user=user)


def prepare(folder: Path, *arguments: str) -> Any:
    status, told = ask("prepare", folder, "--port", str(free_port()), *arguments)
    assert status == 0, told
    return told


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def stored(folder: Path) -> Any:
    return json.loads((folder / "data" / "asgibench.json").read_text())


# ---------------------------------------------------------------- prepare


def test_a_fresh_cluster_is_private(prepared_folder: Path) -> None:
    data = prepared_folder / "data"
    assert permissions(data) == 0o700
    for name in ("asgibench.json", "postgresql.conf", "pg_hba.conf"):
        assert permissions(data / name) == 0o600
    assert sorted(path.name for path in prepared_folder.iterdir()) == ["data"]
    rules = (data / "pg_hba.conf").read_text().splitlines()
    assert {rule.split()[-1] for rule in rules} == {"scram-sha-256"}


@as_root
def test_root_leaves_the_cluster_to_an_unprivileged_user(prepared_folder: Path) -> None:
    expected = choose_account(None)
    assert expected.name in ("postgres", "nobody")
    status, command = ask("command", prepared_folder)
    assert (status, command["user"]) == (0, expected.name)
    owners = {path.stat().st_uid for path in (prepared_folder / "data").rglob("*")}
    assert owners == {expected.user_id} != {0}


def test_a_second_prepare_only_writes_the_configuration(cluster: Path) -> None:
    before = stored(cluster)
    port = free_port()
    status, told = ask("prepare", cluster, "--port", str(port), "--allow", "198.18.0.0/24")
    assert (status, told["created"], told["port"]) == (0, False, port)
    assert told["seconds"] < 1
    assert stored(cluster) == before
    assert f"port = {port}\n" in (cluster / "data" / "postgresql.conf").read_text()
    assert "host all all 198.18.0.0/24 scram-sha-256" in (cluster / "data" / "pg_hba.conf").read_text()


def test_what_an_interrupted_prepare_left_is_redone(folder: Path) -> None:
    leftover = folder / "data.new"
    leftover.mkdir(mode=0o700)
    (leftover / "PG_VERSION").write_text("18\n")
    (folder / "initdb-password").write_text("x")
    assert prepare(folder)["created"]
    assert sorted(path.name for path in folder.iterdir()) == ["data"]


def test_a_cluster_of_another_major_version_is_made_anew(cluster: Path) -> None:
    old = stored(cluster)
    (cluster / "data" / "asgibench.json").write_text(json.dumps(old | {"version": "17.2"}))
    told = prepare(cluster)
    assert told["created"]
    assert stored(cluster)["version"] == told["version"] != "17.2"
    assert stored(cluster)["passwords"] != old["passwords"]


def test_a_cluster_that_runs_is_not_made_anew(cluster: Path) -> None:
    prepare(cluster)
    with started_postgres(cluster):
        assert ask("wait", cluster)[0] == 0
        path = cluster / "data" / "asgibench.json"
        path.write_text(json.dumps(stored(cluster) | {"version": "17.2"}))
        status, told = ask("prepare", cluster, "--port", str(free_port()))
        assert status == 1
        assert "still runs" in told["error"]


@as_root
def test_a_closed_folder_is_named_and_left_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    status, told = ask("prepare", closed / "postgres", "--port", "5432")
    assert status == 1
    assert f"can't pass through {closed}" in told["error"]
    assert "asgibench_workdir" in told["remedy"]
    assert permissions(closed) == 0o700


@as_root
@pytest.mark.parametrize("user", ["root", "nosuchuser"])
def test_root_or_an_unknown_user_does_not_run_postgresql(folder: Path, user: str) -> None:
    status, told = ask("prepare", folder, "--port", "5432", "--user", user)
    assert status == 1
    assert f"no unprivileged user {user}" in told["error"]


@as_root
def test_whoever_is_not_root_runs_it_themselves(folder: Path) -> None:
    os.chown(folder, choose_account("nobody").user_id, -1)
    status, told = ask("prepare", folder, "--port", str(free_port()), user="nobody")
    assert (status, told["created"], told["user"]) == (0, True, None)
    assert ask("command", folder, user="nobody")[1]["user"] is None


def test_passage_is_no_question_for_oneself(tmp_path: Path) -> None:
    tmp_path.chmod(0o000)
    check_passage(tmp_path, Account(None, 1, 1))
    with pytest.raises(PostgresError, match="can't pass through"):
        check_passage(tmp_path, Account("nobody", 65_534, 65_534))
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    "arguments", [("--bind", "localhost"), ("--allow", "198.18.0.1/24"), ("--port", "x")]
)
def test_what_is_no_address_is_refused(folder: Path, arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "--directory", str(folder), "--port", "1", *arguments])


def test_commands_need_a_prepared_folder(folder: Path) -> None:
    for verb in ("command", "wait"):
        status, told = ask(verb, folder)
        assert (status, told["remedy"]) == (1, "Run `prepare` first")


def test_the_wheel_may_be_missing() -> None:
    """In the tests' own environment it is."""
    with pytest.raises(PostgresError, match="not installed here"):
        find_binaries()


# ---------------------------------------------------------------- started


def test_it_starts_waits_and_stops_at_once_on_sigint(cluster: Path) -> None:
    """A connection that is open does not hold it up, and the cluster is clean afterwards."""
    port = prepare(cluster)["port"]
    with started_postgres(cluster) as process:
        status, ready = ask("wait", cluster)
        assert (status, ready["pid"], ready["port"]) == (0, process.pid, port)
        asyncio.run(stop_while_connected(ready["url"], process.pid))
        assert process.wait(timeout=STOP_SECONDS) == 0
    assert "database system is shut down" in (cluster / "log").read_text()
    assert not (cluster / "data" / "postmaster.pid").exists()


async def stop_while_connected(url: str, process_id: int) -> None:
    connection = await asyncpg.connect(url)
    os.kill(process_id, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while not connection.is_closed():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_it_starts_again_after_being_killed(cluster: Path) -> None:
    prepare(cluster)
    with started_postgres(cluster) as process:
        assert ask("wait", cluster)[0] == 0
        stop(process, signal.SIGKILL)
    assert find_running(cluster / "data") is None
    prepare(cluster)
    with started_postgres(cluster) as again:
        status, ready = ask("wait", cluster)
        assert (status, ready["pid"]) == (0, again.pid)


def test_waiting_is_bounded(cluster: Path) -> None:
    status, told = ask("wait", cluster, "--timeout", "0.1")
    assert status == 1
    assert "does not accept connections after 0.1 s" in told["error"]


def test_there_are_two_roles_to_wait_for(cluster: Path) -> None:
    status, told = ask("wait", cluster, "--role", "stranger")
    assert (status, told["remedy"]) == (1, "Take one of asgibench, postgres")


@pytest.mark.parametrize(
    ("text", "running"),
    [
        ("{own}\n/d\n1\n5432\n\n127.0.0.1\n0 0\nready   \n", True),
        ("{own}\n/d\n1\n5432\n\n127.0.0.1\n0 0\nstarting\n", False),
        ("{own}\n/d\n1\n5432\n", False),
        ("999999999\n/d\n1\n5432\n\n127.0.0.1\n0 0\nready   \n", False),
        ("", False),
    ],
)
def test_a_running_server_is_known_by_its_own_record(tmp_path: Path, text: str, running: bool) -> None:
    (tmp_path / "postmaster.pid").write_text(text.format(own=os.getpid()))
    assert find_running(tmp_path) == ((os.getpid(), 5432) if running else None)


def test_a_url_takes_an_ipv6_address() -> None:
    cluster = PostgresCluster(Path("/d"), "18.6", None, {"asgibench": "secret"})
    assert cluster.url("::1", 5432, "asgibench") == (
        "postgresql://asgibench:secret@[::1]:5432/asgibench?sslmode=disable"
    )


# ---------------------------------------------------------------- access and data


async def refusal_of(url: str) -> str:
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.PostgresError as error:
        return type(error).__name__
    await connection.close()
    return ""


async def rows_of(url: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


async def do(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_nobody_gets_in_without_the_password(database_url: str) -> None:
    address = database_url.rpartition("@")[2]
    assert asyncio.run(refusal_of(database_url)) == ""
    for role in ("asgibench", "postgres"):
        assert asyncio.run(refusal_of(f"postgresql://{role}:x@{address}")) == "InvalidPasswordError"


def test_the_app_is_no_superuser_and_the_settings_hold(database_url: str) -> None:
    query = """
        SELECT rolsuper, current_setting('jit') AS jit, current_setting('autovacuum') AS autovacuum,
               current_setting('fsync') AS fsync, current_setting('listen_addresses') AS listens,
               current_setting('server_encoding') AS encoding, datcollate AS collation,
               current_setting('max_connections') AS connections, current_setting('shared_buffers') AS buffers
        FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
    """
    (row,) = asyncio.run(rows_of(database_url, query))
    assert dict(row) == {
        "rolsuper": False,
        "jit": "off",
        "autovacuum": "off",
        "fsync": "on",
        "listens": LOOPBACK,
        "encoding": "UTF8",
        "collation": "C",
        "connections": "100",
        "buffers": "128MB",
    }


def test_filling_twice_writes_once(database_url: str) -> None:
    orders = sum(len(orders_of(SEED, index)) for index in range(1_000))
    status, told = shipped_program("database", "fill", "--seed", str(SEED), database_url=database_url)
    assert (status, told["filled"], told["users"], told["orders"]) == (0, False, 1_000, orders)


def test_the_queries_find_what_the_data_promises(database_url: str) -> None:
    user = user_of(SEED, 41)
    (found,) = asyncio.run(rows_of(database_url, USER_QUERY, user["token_sha256"]))
    orders = asyncio.run(rows_of(database_url, ORDERS_QUERY, found["id"]))
    assert render_orders(found, orders) == expected_body(SEED, 41)


def test_both_queries_go_by_an_index(database_url: str) -> None:
    for query, argument in ((USER_QUERY, b"x" * 32), (ORDERS_QUERY, 7)):
        plan = asyncio.run(rows_of(database_url, f"EXPLAIN {query}", argument))
        text = "\n".join(row[0] for row in plan)
        assert "Index Scan" in text
        assert "Seq Scan" not in text


def test_another_seed_replaces_the_data(cluster: Path) -> None:
    with filled_postgres(cluster, seed=1) as url:
        status, told = shipped_program("database", "fill", "--seed", "2", database_url=url)
        assert (status, told["filled"], told["checkpointed"], told["users"]) == (0, True, True, 1_000)
        assert told["seconds"] < 20
        (found,) = asyncio.run(rows_of(url, USER_QUERY, user_of(2, 0)["token_sha256"]))
        assert found["id"] == 1


def test_a_schema_of_somebody_elses_is_left_alone(cluster: Path) -> None:
    with filled_postgres(cluster) as url:
        foreign = (
            "DROP SCHEMA asgibench CASCADE; CREATE SCHEMA asgibench; CREATE TABLE asgibench.theirs (n int)"
        )
        asyncio.run(do(url, foreign))
        for words in (("fill", "--seed", "1"), ("drop",)):
            status, told = shipped_program("database", *words, database_url=url)
            assert status == 1
            assert "holds something else" in told["error"]
        assert asyncio.run(rows_of(url, "SELECT count(*) FROM asgibench.theirs"))[0][0] == 0


def test_a_role_that_may_make_no_schema_is_told_what_it_lacks(cluster: Path) -> None:
    with filled_postgres(cluster) as url:
        status, superuser = ask("wait", cluster, "--role", "postgres")
        assert status == 0
        asyncio.run(do(superuser["url"], "CREATE ROLE guest LOGIN PASSWORD 'guest'"))
        guest = f"postgresql://guest:guest@{url.partition('@')[2]}"
        assert shipped_program("database", "drop", database_url=url) == (0, {"dropped": True})
        status, told = shipped_program("database", "fill", "--seed", "1", database_url=guest)
        assert status == 1
        assert "permission denied" in told["error"]
        assert "GRANT CREATE ON DATABASE" in told["remedy"]
        asyncio.run(do(superuser["url"], "GRANT CREATE ON DATABASE asgibench TO guest"))
        status, told = shipped_program("database", "fill", "--seed", "1", database_url=guest)
        assert (status, told["filled"], told["checkpointed"]) == (0, True, False)
        assert shipped_program("database", "drop", database_url=guest) == (0, {"dropped": True})


def test_a_fill_that_was_interrupted_is_done_again(cluster: Path) -> None:
    with filled_postgres(cluster) as url:
        asyncio.run(do(url, "DELETE FROM asgibench.filled; DELETE FROM asgibench.orders"))
        status, told = shipped_program("database", "fill", "--seed", str(SEED), database_url=url)
        assert (status, told["filled"]) == (0, True)
        assert told["orders"] > 19_000


def settled_transactions(url: str) -> int:
    """What others have committed, once they have gone and so have been counted."""
    deadline = time.monotonic() + STOP_SECONDS
    own = 0
    while True:
        status, told = shipped_program("database", "counters", database_url=url)
        assert status == 0, told
        if told["numbackends"] == 1:
            committed: int = told["xact_commit"]
            return committed - own
        own += told["own_transactions"]
        assert time.monotonic() < deadline


def test_an_answer_is_three_transactions_and_a_connection_one(cluster: Path) -> None:
    with filled_postgres(cluster) as url:
        before = settled_transactions(url)
        asyncio.run(use_as_the_app_does(url, times=40, connections=4))
        assert settled_transactions(url) - before - OWN_TRANSACTIONS == 40 * 3 + 4


@pytest.mark.parametrize("name", ["uvicorn", "daphne", "hypercorn"])
def test_postgresql_counts_what_the_app_has_answered(name: str, database_url: str, tmp_path: Path) -> None:
    """Neither answers from a cache, nor asks more than it says."""
    pool_size = 10
    before = settled_transactions(database_url)
    with running_server(load_catalogue().server(name), tmp_path / "s", database_url) as server:
        for token in tokens(SEED)[:25]:
            for _ in range(2):
                assert server.ask("/api/orders", headers={"Authorization": f"Bearer {token}"}).status == 200
        answered = read_counts(server.counts)["orders"]
    transactions = settled_transactions(database_url) - before - OWN_TRANSACTIONS
    assert (answered, transactions) == (50, 3 * 50 + pool_size)


async def use_as_the_app_does(url: str, times: int, connections: int) -> None:
    async with asyncpg.create_pool(url, min_size=connections, max_size=connections) as pool:
        for index in range(times):
            async with pool.acquire() as connection:
                await connection.fetchrow(USER_QUERY, user_of(SEED, index)["token_sha256"])
                await connection.fetch(ORDERS_QUERY, index + 1)


@pytest.mark.parametrize("verb", [("fill", "--seed", "1"), ("counters",)])
def test_a_database_that_is_not_there_is_told(verb: tuple[str, ...]) -> None:
    nowhere = f"postgresql://asgibench:x@{LOOPBACK}:{free_port()}/asgibench"
    status, told = shipped_program("database", *verb, database_url=nowhere)
    assert status == 1
    assert told["remedy"].startswith("See that PostgreSQL runs")
