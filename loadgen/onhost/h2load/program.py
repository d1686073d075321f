"""The command line of one h2load process, from the load that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.wire.load import LoadSpec
from loadgen.onhost.engine.load import EngineError, body_of, check_load

# Made from the connection and from the data.
_OWN_HEADERS = ("host", "content-length")
_APPLICATION_PROTOCOLS = {"http/1.1": ("http/1.1",), "h2": ("h2", "h2c")}


@dataclass(frozen=True, slots=True)
class Share:
    """What one load worker's h2load does of a load."""

    index: int  # this worker is number ``index``, from 0,
    workers: int  # of so many
    connections: int  # its own
    seconds: float  # from its start to its end


def check_load_for_h2load(load: LoadSpec) -> None:
    """Raises EngineError that names what h2load can't do of it."""
    check_load(load)
    if load.is_open:
        raise EngineError("h2load keeps no rate over its connections: measure at a rate with our engine")
    if not load.keep_alive:
        raise EngineError("h2load keeps its connections: leave keep_alive on, or use our engine")
    if load.protocol not in _APPLICATION_PROTOCOLS:
        raise EngineError(
            f"h2load doesn't speak {load.protocol}: ask for {' or '.join(_APPLICATION_PROTOCOLS)}"
        )
    if load.method == "POST" and not body_of(load):
        raise EngineError("h2load sends a POST with a body only: give it one")
    if load.method != "POST" and body_of(load):
        raise EngineError(f"h2load sends a body with POST only, not with {load.method}")


def body_bytes_of(load: LoadSpec, index: int, workers: int) -> int | None:
    """The length of every right answer's body to worker ``index`` of ``workers``; None: it isn't known."""
    lengths = load.expect.lengths
    if load.expect.length is not None or not lengths:
        return load.expect.length
    return lengths[_place(load, index, workers) if len(lengths) > 1 else 0]


def speaks(load: LoadSpec, found: str) -> bool:
    """Whether what a connection came to speak, in h2load's words, is what was asked for."""
    return found in _APPLICATION_PROTOCOLS[load.protocol]


def arguments_of(load: LoadSpec, share: Share, *, log: str, data: str | None) -> list[str]:
    """All but the program's own name. ``log`` and ``data`` are paths; ``data`` has the request's body."""
    name = load.server_name or load.host
    words = [
        "--threads=1",
        f"--clients={share.connections}",
        "--max-concurrent-streams=1",
        f"--duration={round(share.seconds * 1e3)}ms",
        f"--connection-inactivity-timeout={round(load.timeout_seconds * 1e3)}ms",
        f"--log-file={log}",
        *_protocol_words(load),
        *(f"--header={header}: {value}" for header, value in _headers(load, share)),
    ]
    if load.server_name:
        words += [f"--connect-to={_bracketed(load.host)}:{load.port}", f"--sni={load.server_name}"]
    if data is not None:
        words.append(f"--data={data}")
    elif load.method != "GET":
        words.append(f"--header=:method: {load.method}")
    scheme = "https" if load.tls else "http"
    return [*words, f"{scheme}://{_bracketed(name)}:{load.port}{load.path}"]


def _protocol_words(load: LoadSpec) -> tuple[str, ...]:
    if load.protocol == "http/1.1":
        return ("--h1",)
    # Newer ones call it --alpn-list, and take this name too.
    return ("--npn-list=h2",) if load.tls else ("--no-tls-proto=h2c",)


def _headers(load: LoadSpec, share: Share) -> Iterator[tuple[str, str]]:
    for name, value in load.headers.items():
        if name.lower() not in _OWN_HEADERS:
            yield name, value
    rotate = load.rotate
    if rotate is not None:
        yield rotate.header, f"{rotate.prefix}{rotate.values[_place(load, share.index, share.workers)]}"


def _place(load: LoadSpec, index: int, workers: int) -> int:
    """Which of the rotating values the worker sends."""
    return index * len(load.rotate.values) // workers if load.rotate else 0


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
