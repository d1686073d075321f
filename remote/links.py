"""The links between load hosts and server, measured: a bounded TCP transfer on the port that servers use."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.environment.links import LINKS_VERSION, Link, Links, Transfer
from bench.errors import AsgibenchError, LoadError
from remote.guarded import GuardedHost, GuardRefusal
from remote.parallel import outcomes

FULL_SECONDS = 1.0
BRIEF_SECONDS = 0.3
PROCESS_NAME = "link-probe"
SCRIPT = "links/link_probe.py"
LOG = "links/link-probe.log"
TOKEN = "ASGIBENCH_LINK_TOKEN"
LISTEN_SECONDS = 10.0
LIFETIME_SECONDS = 60.0
LEAD_SECONDS = 0.7
POLL_SECONDS = 0.02
CLIENT_SECONDS = 30.0


class Probed(msgspec.Struct, frozen=True):
    """What link_probe.py prints on a load host."""

    problem: str
    download: Transfer | None
    upload: Transfer | None
    round_trip_seconds: float | None


def measure_links(
    environment: str,
    server: GuardedHost,
    loads: Sequence[GuardedHost],
    *,
    port: int,
    seconds: float,
    upload: bool,
    interfaces: dict[str, int | None],
) -> tuple[Links, dict[str, AsgibenchError]]:
    """Each load host alone, then all at once; the errors of load hosts that could not measure, by host.

    ``interfaces`` are the load hosts' nominal speeds in bits per second. A load on the server's own host is
    left out: it has no link. A host that can't reach the port is in ``Links.problems``. Raises LoadError
    where the probe can't listen on the server's host; nothing is left running.
    """
    address = server.host.address
    apart = [one for one in loads if one.host.name != server.host.name]
    token = secrets.token_hex(16)
    found: dict[str, Probed] = {}
    errors: dict[str, AsgibenchError] = {}
    together: Transfer | None = None
    if apart:
        _send([server, *apart])
        with _listening(server, port, token):
            for one in apart:
                values, failed = outcomes(
                    lambda guarded: _ask(guarded, address, port, token, seconds, upload=upload),
                    [one],
                    lambda guarded: guarded.host.name,
                )
                found |= values
                errors |= failed
            reached = [one for one in apart if one.host.name in found and not found[one.host.name].problem]
            if len(reached) > 1:
                together = _together(reached, address, port, token, seconds)
    problems = {name: one.problem for name, one in found.items() if one.problem}
    boot_ids = {one.host.name: one.facts.boot_id for one in apart}
    links = Links(
        version=LINKS_VERSION,
        environment=environment,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        server=server.host.name,
        server_boot_id=server.facts.boot_id,
        address=address,
        hosts={
            name: Link(boot_ids[name], one.download, one.upload, one.round_trip_seconds, interfaces.get(name))
            for name, one in found.items()
            if not one.problem
        },
        together=together,
        problems=problems,
    )
    return links, errors


def _send(hosts: Sequence[GuardedHost]) -> None:
    script = (Path(__file__).parent / "onhost/link_probe.py").read_bytes()
    for one in hosts:
        one.write(SCRIPT, script)


@contextlib.contextmanager
def _listening(server: GuardedHost, port: int, token: str) -> Iterator[None]:
    server.remove(LOG)
    server.start(
        PROCESS_NAME,
        [
            *(server.facts.python_path, "-I", f"{server.workdir}/{SCRIPT}", "serve"),
            *("--address", server.host.bind or server.host.address, "--port", str(port)),
            *("--seconds", f"{LIFETIME_SECONDS:g}"),
        ],
        log=LOG,
        env={TOKEN: token},
    )
    try:
        _await_listening(server)
        yield
    finally:
        with contextlib.suppress(GuardRefusal):
            server.stop(PROCESS_NAME, grace_seconds=1.0)


def _await_listening(server: GuardedHost) -> None:
    deadline = time.monotonic() + LISTEN_SECONDS
    while "listening" not in (log := server.tail(LOG)):
        if server.exit_status(PROCESS_NAME) is not None or time.monotonic() > deadline:
            raise LoadError(
                f"{server.host.name}: the link probe could not listen there",
                remedy="the end of its log follows",
                detail=log or "(its log is empty)",
            )
        time.sleep(POLL_SECONDS)


def _ask(
    guarded: GuardedHost,
    address: str,
    port: int,
    token: str,
    seconds: float,
    *,
    upload: bool = False,
    at: float = 0.0,
) -> Probed:
    done = guarded.run(
        [
            *(guarded.facts.python_path, "-I", f"{guarded.workdir}/{SCRIPT}", "measure"),
            *("--address", address, "--port", str(port), "--seconds", f"{seconds:g}", "--at", f"{at:.3f}"),
            *(("--upload",) if upload else ()),
        ],
        env={TOKEN: token},
        timeout_seconds=CLIENT_SECONDS,
    )
    return msgspec.json.decode(done.stdout, type=Probed)


def _together(
    loads: Sequence[GuardedHost], address: str, port: int, token: str, seconds: float
) -> Transfer | None:
    """All at the same moment; None unless every one of them could."""
    at = time.time() + LEAD_SECONDS
    values, errors = outcomes(
        lambda one: _ask(one, address, port, token, seconds, at=at + one.facts.clock_offset_seconds),
        loads,
        lambda one: one.host.name,
    )
    measured = [one.download for one in values.values() if one.download is not None]
    if errors or len(measured) < len(loads):
        return None
    return Transfer(
        bytes_per_second=sum(one.bytes_per_second for one in measured),
        busiest_thread=max(one.busiest_thread for one in measured),
        seconds=min(one.seconds for one in measured),
    )
