"""Fills the benchmark's database and reads its counters. Shipped; runs where asyncpg is (host-tools).

``python -m testapp.database fill --seed N`` puts the data of ``testapp.data`` into the schema ``asgibench``.
Where the same data stands there already, nothing is written. Prints DataFilled (bench/wire/database.py). A
schema of that name that this program has not made is left alone, and that is an error.

``python -m testapp.database drop`` removes that schema, if this program made it. Prints SchemaDropped.

``python -m testapp.database counters`` prints CountersRead: PostgreSQL's own counts for the database.

When they are exact: a backend reports at most once a second when it falls idle, after 10 s of idleness at the
latest, and when it ends. So the difference between two readings is exact where the servers that used the
database are stopped before each of them (``numbackends`` 1, this program), or 10 s after the last query.
It includes what the earlier reading itself did: ``own_transactions`` of ``xact_commit``, and some 137 rows of
the ``tup_`` counts. A connection that is made is 1 transaction. An answer of ``/api/orders`` is 3: two
queries, and asyncpg's reset of the connection when it goes back to the pool; to an unknown token it is 2.

All take the database from ``--url`` or, so that a password is in no list of processes, from the environment
variable ASGIBENCH_DATABASE_URL. Failures print ProgramFailed and end with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from bench.wire.codec import encode_line
from bench.wire.database import CountersRead, DataFilled, ProgramFailed, SchemaDropped
from testapp import data
from testapp.data import USER_COUNT, orders_of, user_of

SCHEMA_FILE = Path(__file__).with_name("schema.sql")
CONNECT_TIMEOUT_SECONDS = 10
STATEMENT_TIMEOUT_SECONDS = 60
FILL_LOCK = 0x61736769  # any number, the same in all fills
USER_COLUMNS = ("id", "name", "email", "token_sha256")
ORDER_COLUMNS = ("id", "user_id", "placed_at", "status", "item", "quantity", "total_cents")
# What a reading of the counters takes itself: one transaction to connect and one for the query.
OWN_TRANSACTIONS = 2
# A backend that ends reports its counts before it leaves ``numbackends``, so that is read first.
COUNTERS_QUERY = """
    SELECT numbackends, xact_commit, xact_rollback, tup_returned, tup_fetched, blks_read, blks_hit,
           current_setting('server_version') AS server_version
    FROM pg_stat_database WHERE datname = current_database()
"""

Report = DataFilled | SchemaDropped | CountersRead
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


class ForeignSchema(Exception):
    """The database has a schema ``asgibench`` that is not ours."""


async def fill(connection: Connection, seed: int) -> DataFilled:
    """Put the data of ``seed`` in place. Raises ForeignSchema, and what asyncpg raises."""
    started = time.monotonic()
    fingerprint = fingerprint_of(seed)
    await connection.execute("SELECT pg_advisory_lock($1)", FILL_LOCK)
    stale = await _stored_fingerprint(connection) != fingerprint
    checkpointed = await _write(connection, seed, fingerprint) if stale else False
    return DataFilled(
        filled=stale,
        fingerprint=fingerprint,
        users=await connection.fetchval("SELECT count(*) FROM asgibench.users"),
        orders=await connection.fetchval("SELECT count(*) FROM asgibench.orders"),
        checkpointed=checkpointed,
        seconds=round(time.monotonic() - started, 3),
    )


async def drop(connection: Connection) -> SchemaDropped:
    """Remove our schema with all that is in it. Raises ForeignSchema where one of that name isn't ours."""
    await connection.execute("SELECT pg_advisory_lock($1)", FILL_LOCK)
    await _stored_fingerprint(connection)
    stood = await connection.fetchval("SELECT to_regnamespace('asgibench')") is not None
    await connection.execute("DROP SCHEMA IF EXISTS asgibench CASCADE")
    return SchemaDropped(dropped=stood)


async def counters(connection: Connection) -> CountersRead:
    """What PostgreSQL counted for this database; see the top of the file for when it is exact."""
    row = await connection.fetchrow(COUNTERS_QUERY)
    assert row is not None
    return CountersRead(**dict(row.items()), own_transactions=OWN_TRANSACTIONS)


def fingerprint_of(seed: int) -> str:
    """Of all that the tables are made from: the schema, how the data is made, and the seed."""
    recipe = hashlib.sha256(SCHEMA_FILE.read_bytes())
    recipe.update(Path(data.__file__).read_bytes())
    recipe.update(str(seed).encode())
    return recipe.hexdigest()


async def _stored_fingerprint(connection: Connection) -> str | None:
    """None: there is nothing, or a fill that was not finished."""
    if await connection.fetchval("SELECT to_regnamespace('asgibench')") is None:
        return None
    if await connection.fetchval("SELECT to_regclass('asgibench.filled')") is None:
        raise ForeignSchema("the database has a schema asgibench that holds something else")
    stored: str | None = await connection.fetchval("SELECT fingerprint FROM asgibench.filled")
    return stored


async def _write(connection: Connection, seed: int, fingerprint: str) -> bool:
    indexes = range(USER_COUNT)
    users = [_columns(user_of(seed, index), USER_COLUMNS) for index in indexes]
    orders = [_columns(order, ORDER_COLUMNS) for index in indexes for order in orders_of(seed, index)]
    async with connection.transaction():
        await connection.execute("DROP SCHEMA IF EXISTS asgibench CASCADE")
        await connection.execute(SCHEMA_FILE.read_text(encoding="utf-8"))
        await _copy(connection, "users", users, USER_COLUMNS)
        await _copy(connection, "orders", orders, ORDER_COLUMNS)
    # Sets the hint bits too, which else the first readers of each page would write in the first run.
    for table in ("users", "orders"):
        await connection.execute(f"VACUUM (FREEZE, ANALYZE) asgibench.{table}")
    checkpointed = await _checkpoint(connection)
    await connection.execute("INSERT INTO asgibench.filled VALUES ($1)", fingerprint)
    return checkpointed


async def _copy(
    connection: Connection, table: str, records: Sequence[Sequence[object]], columns: Sequence[str]
) -> None:
    await connection.copy_records_to_table(table, schema_name="asgibench", records=records, columns=columns)


async def _checkpoint(connection: Connection) -> bool:
    """Write what is dirty now instead of during the first runs, where the role may."""
    may: bool = await connection.fetchval(
        # Before PostgreSQL 15 there is no such role to be a member of.
        "SELECT rolsuper OR (to_regrole('pg_checkpoint') IS NOT NULL"
        " AND pg_has_role(oid, to_regrole('pg_checkpoint')::oid, 'MEMBER'))"
        " FROM pg_roles WHERE rolname = current_user"
    )
    if may:
        await connection.execute("CHECKPOINT")
    return may


def _columns(row: data.User | data.Order, columns: Sequence[str]) -> tuple[object, ...]:
    values: dict[str, object] = {**row}
    return tuple(values[column] for column in columns)


async def _with_connection(url: str, action: Callable[[Connection], Awaitable[Report]]) -> Report:
    connection = await asyncpg.connect(
        url, timeout=CONNECT_TIMEOUT_SECONDS, command_timeout=STATEMENT_TIMEOUT_SECONDS
    )
    try:
        return await action(connection)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; see the top of the file."""
    options = _parser().parse_args(arguments)
    actions: dict[str, Callable[[Connection], Awaitable[Report]]] = {
        "fill": lambda connection: fill(connection, options.seed),
        "counters": counters,
        "drop": drop,
    }
    try:
        report = asyncio.run(_with_connection(options.url, actions[options.action]))
    except ForeignSchema as error:
        return _failed(error, "Name another database, or drop that schema yourself")
    except asyncpg.InsufficientPrivilegeError as error:
        return _failed(error, "Let its role make schemas: GRANT CREATE ON DATABASE ... TO ...")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
        return _failed(error, "See that PostgreSQL runs, and that URL, role and password are right")
    print(encode_line(report).decode(), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testapp.database", description="The benchmark's database.")
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("fill", "counters", "drop"):
        options = actions.add_parser(action)
        from_environment = os.environ.get("ASGIBENCH_DATABASE_URL")
        options.add_argument("--url", default=from_environment, required=from_environment is None)
        if action == "fill":
            options.add_argument("--seed", type=int, required=True)
    return parser


def _failed(error: Exception, remedy: str) -> int:
    text = str(error) or type(error).__name__
    print(encode_line(ProgramFailed(text, remedy)).decode(), end="")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
