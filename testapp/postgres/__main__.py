"""The program; its contract is at the top of the package. Shipped; standard library only."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from bench.wire.codec import encode_line
from bench.wire.database import ClusterCommand, ClusterPrepared, ClusterReady, ProgramFailed
from testapp.postgres.account import PostgresError
from testapp.postgres.cluster import ROLE
from testapp.postgres.prepare import Access, prepare
from testapp.postgres.serve import command, wait_until_ready


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; see the top of the package."""
    options = _parser().parse_args(arguments)
    directory: Path = options.directory.resolve()
    report: ClusterPrepared | ClusterCommand | ClusterReady | ProgramFailed
    try:
        if options.verb == "prepare":
            report = prepare(
                directory, Access(options.bind, options.port, tuple(options.allow)), options.user
            )
        elif options.verb == "command":
            report = command(directory)
        else:
            report = wait_until_ready(directory, options.host, options.role, options.timeout)
    except PostgresError as error:
        report = ProgramFailed(str(error), error.remedy)
    except OSError as error:
        report = ProgramFailed(str(error), "See that the folder can be written by this user")
    print(encode_line(report).decode(), end="")
    return int(isinstance(report, ProgramFailed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testapp.postgres", description="PostgreSQL for the benchmark.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepared, commanded, waited = (verbs.add_parser(verb) for verb in ("prepare", "command", "wait"))
    for verb in (prepared, commanded, waited):
        verb.add_argument("--directory", type=Path, required=True)
    prepared.add_argument("--port", type=int, required=True)
    prepared.add_argument("--bind", type=_address, default="127.0.0.1")
    prepared.add_argument("--allow", type=_network, action="append", default=[], metavar="CIDR")
    prepared.add_argument("--user")
    waited.add_argument("--host", type=_address, default="127.0.0.1")
    waited.add_argument("--role", default=ROLE)
    waited.add_argument("--timeout", type=float, default=30.0)
    return parser


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


if __name__ == "__main__":
    raise SystemExit(main())
