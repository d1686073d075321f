"""A server's entry as what starts it: the argument vector and the configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import msgspec

from bench.catalogue.serving import for_serving, why_not
from bench.errors import UsageError
from bench.spec import USUAL_SERVING, ServerSpec, Serving, Transport

APP = "testapp.app:app"
ACCESS_LOG_WORD = "{access_log}"
ADDRESS_PLACEHOLDERS = ("app", "host", "bracketed_host", "escaped_host", "port", "workers")
SETTING_PLACEHOLDERS = ("loop", "http_parser", "backlog", "keep_alive_seconds")
TRANSPORT_PLACEHOLDERS: dict[Transport, tuple[str, ...]] = {
    "tcp": (),
    "tls": ("certificate", "key"),
    "unix": ("socket",),
}


class Place(msgspec.Struct, frozen=True):
    """Where a server listens, and the files on its host that it is given; "" where it needs none."""

    host: str  # an address without brackets
    port: int
    config_path: str = ""  # where ``config_text`` is written
    certificate: str = ""  # its path, and that of its key: with TLS
    key: str = ""
    socket: str = ""  # the path of its Unix socket


def command_of(
    spec: ServerSpec,
    *,
    host: str,
    port: int,
    workers: int,
    config_path: PurePosixPath | str,
    program_directory: PurePosixPath | str,
    serving: Serving = USUAL_SERVING,
    app: str = APP,
    certificate: str = "",
    key: str = "",
    socket: str = "",
) -> tuple[str, ...]:
    """The argument vector that starts the server, on any host.

    ``host`` is an address without brackets; ``config_path`` is where ``config_text`` is written;
    ``program_directory`` has the programs of the server's environment for ``serving`` (``group_for``). The
    server needs the folder that holds ``app`` as its working directory or in PYTHONPATH. ``certificate`` and
    ``key`` are the paths of files in PEM, needed with TLS; ``socket`` is that of a Unix socket.
    Raises UsageError for more workers than the server runs, and for what it can't serve.
    """
    if spec.max_workers is not None and workers > spec.max_workers:
        raise UsageError(
            f"{spec.name} runs {spec.max_workers} worker process(es) at most, not {workers}",
            remedy="Choose fewer workers",
        )
    place = Place(host, port, str(config_path), certificate, key, socket)
    served = _served(spec, serving)
    values = _values(served, place, workers, app)
    program, *arguments = _with_access_log(served)
    path = PurePosixPath(program_directory) / program
    return (str(path), *(argument.format_map(values) for argument in arguments))


def config_text(
    spec: ServerSpec,
    *,
    host: str,
    port: int,
    workers: int,
    serving: Serving = USUAL_SERVING,
    app: str = APP,
    certificate: str = "",
    key: str = "",
    socket: str = "",
) -> str:
    """The text to write to ``config_path`` before the start; empty where the server needs none.

    Raises UsageError for what the server can't serve.
    """
    served = _served(spec, serving)
    place = Place(host, port, "", certificate, key, socket)
    return served.config_file.format_map(_values(served, place, workers, app))


def _served(spec: ServerSpec, serving: Serving) -> ServerSpec:
    reason = why_not(spec, serving)
    if reason is not None:
        raise UsageError(
            f"{spec.name} can't serve {serving.title}: {reason}",
            remedy="Leave it out there; `./invoke servers` says what each can serve",
        )
    return for_serving(spec, serving)


def _values(spec: ServerSpec, place: Place, workers: int, app: str) -> dict[str, str | int]:
    settings: dict[str, str | int] = msgspec.structs.asdict(spec.settings)
    host = place.host
    return settings | {
        "app": app,
        "host": host,
        "bracketed_host": f"[{host}]" if ":" in host else host,
        "escaped_host": host.replace(":", r"\:"),
        "port": place.port,
        "workers": workers,
        "config_file": place.config_path,
        "certificate": place.certificate,
        "key": place.key,
        "socket": place.socket,
    }


def _with_access_log(spec: ServerSpec) -> Iterator[str]:
    for word in spec.command:
        if word == ACCESS_LOG_WORD:
            yield from spec.access_log_on if spec.settings.access_log else spec.access_log_off
        else:
            yield word
