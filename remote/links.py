"""The links between load hosts and server, measured: a bounded TCP transfer on the port that servers use."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from bench.environment.links import LINKS_VERSION, Link, Links
from bench.errors import AsgibenchError, LoadError
from bench.wire.links import LinkMeasured, Transfer
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.parallel import on_all, outcomes
from remote.provision.ship import ship, shipped_program, travelling_files

FULL_SECONDS = 1.0
BRIEF_SECONDS = 0.3
PROCESS_NAME = "link-probe"
PROGRAM = "remote.onhost.link_probe"
LOG = "links/link-probe.log"
TOKEN = "ASGIBENCH_LINK_TOKEN"
LISTEN_SECONDS = 10.0
LIFETIME_SECONDS = 60.0
LEAD_SECONDS = 0.7
POLL_SECONDS = 0.02
CLIENT_SECONDS = 30.0


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
    found: dict[str, LinkMeasured] = {}
    errors: dict[str, AsgibenchError] = {}
    together: Transfer | None = None
    if apart:
        files = travelling_files()
        places = on_all(lambda one: ship(one, one.facts, files).directory, [server, *apart], _name)
        probes = {one.host.name: LinkProbe(one, places[one.host.name], token) for one in [server, *apart]}
        with probes[server.host.name].listening(port):
            for one in apart:
                values, failed = outcomes(
                    lambda guarded: probes[guarded.host.name].measure(address, port, seconds, upload=upload),
                    [one],
                    _name,
                )
                found |= values
                errors |= failed
            reached = [probes[name] for name, one in found.items() if not one.problem]
            if len(reached) > 1:
                together = _together(reached, address, port, seconds)
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
            name: Link(
                boot_ids[name],
                one.download,
                one.upload,
                one.round_trip_seconds,
                interfaces.get(name),
                one.packets,
            )
            for name, one in found.items()
            if not one.problem
        },
        together=together,
        problems=problems,
    )
    return links, errors


class LinkProbe(msgspec.Struct, frozen=True):
    """link_probe.py on one host, where our files are in ``directory``."""

    guarded: GuardedHost
    directory: str
    token: str  # serves those that have it

    @contextlib.contextmanager
    def listening(self, port: int) -> Iterator[None]:
        """Serve on the port, where the measured server will listen. Raises LoadError."""
        server = self.guarded
        argv, env = self._program()
        server.remove(LOG)
        server.start(
            PROCESS_NAME,
            [
                *(*argv, "serve"),
                *("--address", server.host.bind or server.host.address, "--port", str(port)),
                *("--seconds", f"{LIFETIME_SECONDS:g}"),
            ],
            log=LOG,
            env=env,
        )
        try:
            self._await_listening()
            yield
        finally:
            with contextlib.suppress(GuardRefusal):
                server.stop(PROCESS_NAME, grace_seconds=1.0)

    def measure(
        self, address: str, port: int, seconds: float, *, upload: bool = False, at: float = 0.0
    ) -> LinkMeasured:
        """``at``: when to begin, by this host's monotonic clock; 0: at once."""
        argv, env = self._program()
        done = self.guarded.run(
            [
                *(*argv, "measure", "--address", address, "--port", str(port)),
                *("--seconds", f"{seconds:g}", "--at", f"{at:.6f}"),
                *(("--upload",) if upload else ()),
            ],
            env=env,
            timeout_seconds=CLIENT_SECONDS,
        )
        return msgspec.json.decode(done.stdout, type=LinkMeasured)

    def _program(self) -> tuple[list[str], dict[str, str]]:
        argv, env = shipped_program(self.guarded.facts.python_path, self.directory, PROGRAM)
        return argv, {**env, TOKEN: self.token}

    def _await_listening(self) -> None:
        server = self.guarded
        deadline = time.monotonic() + LISTEN_SECONDS
        while "listening" not in (log := server.tail(LOG)):
            if server.exit_status(PROCESS_NAME) is not None or time.monotonic() > deadline:
                raise LoadError(
                    f"{server.host.name}: the link probe could not listen there",
                    remedy="The end of its log follows",
                    detail=log or "(its log is empty)",
                )
            time.sleep(POLL_SECONDS)


def _together(probes: Sequence[LinkProbe], address: str, port: int, seconds: float) -> Transfer | None:
    """All at the same moment; None unless every one of them could."""
    clocks, unread = outcomes(lambda one: one.guarded.read_clocks().monotonic_offset, probes, _name_of_probe)
    if unread:
        return None
    at = time.monotonic() + LEAD_SECONDS
    values, errors = outcomes(
        lambda one: one.measure(address, port, seconds, at=at + clocks[_name_of_probe(one)]),
        probes,
        _name_of_probe,
    )
    measured = [one.download for one in values.values() if one.download is not None]
    if errors or len(measured) < len(probes):
        return None
    return Transfer(
        bytes_per_second=sum(one.bytes_per_second for one in measured),
        busiest_thread=max(one.busiest_thread for one in measured),
        seconds=min(one.seconds for one in measured),
    )


def _name(guarded: GuardedHost) -> str:
    return guarded.host.name


def _name_of_probe(probe: LinkProbe) -> str:
    return probe.guarded.host.name
