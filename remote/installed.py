"""What lies in the environments of a host, by its own metadata: one round trip, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence

from bench.environment.hosts import HostFacts
from bench.errors import CommandFailed
from bench.wire.codec import WireError, decode_line, encode_line
from bench.wire.installed import InstalledPackage, InstalledPackages, ReadInstalled
from remote import bootstrap
from remote.runner import Runner

READ_SECONDS = 60.0


def read_installed(
    connection: Runner, facts: HostFacts, directories: Sequence[str]
) -> dict[str, tuple[InstalledPackage, ...]]:
    """By directory of an environment. Raises CommandFailed and what the connection raises."""
    request = encode_line(ReadInstalled(tuple(directories)))
    done = connection.run(
        bootstrap.command(facts.python_path, bootstrap.INSTALLED),
        stdin=bootstrap.modules(bootstrap.INSTALLED) + request,
        timeout_seconds=READ_SECONDS,
    )
    try:
        return decode_line(InstalledPackages, done.stdout).environments
    except WireError as error:
        raise CommandFailed(
            f"{facts.host}: what is installed there can't be read ({error})",
            remedy=f"See that {facts.python_path} there is Python 3.11 or newer",
        ) from error
