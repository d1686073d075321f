"""A server's entry as what starts it: the argument vector and the configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import msgspec

from bench.errors import UsageError
from bench.spec import ServerSpec

APP = "testapp.app:app"
ACCESS_LOG_WORD = "{access_log}"
ADDRESS_PLACEHOLDERS = ("app", "host", "bracketed_host", "escaped_host", "port", "workers")
SETTING_PLACEHOLDERS = ("loop", "http_parser", "backlog", "keep_alive_seconds")


def command_of(
    spec: ServerSpec,
    *,
    host: str,
    port: int,
    workers: int,
    config_path: PurePosixPath | str,
    program_directory: PurePosixPath | str,
) -> tuple[str, ...]:
    """The argument vector that starts the server, on any host.

    ``host`` is an address without brackets; ``config_path`` is where ``config_text`` is written;
    ``program_directory`` has the programs of the server's environment. The server needs the folder that holds
    ``testapp`` as its working directory or in PYTHONPATH.
    Raises UsageError for more workers than the server runs.
    """
    if spec.max_workers is not None and workers > spec.max_workers:
        raise UsageError(
            f"{spec.name} runs {spec.max_workers} worker process(es) at most, not {workers}",
            remedy="Choose fewer workers",
        )
    values = _values(spec, host, port, workers, str(config_path))
    program, *arguments = _with_access_log(spec)
    path = PurePosixPath(program_directory) / program
    return (str(path), *(argument.format_map(values) for argument in arguments))


def config_text(spec: ServerSpec, *, host: str, port: int, workers: int) -> str:
    """The text to write to ``config_path`` before the start; empty where the server needs none."""
    return spec.config_file.format_map(_values(spec, host, port, workers, ""))


def _values(spec: ServerSpec, host: str, port: int, workers: int, config_path: str) -> dict[str, str | int]:
    settings: dict[str, str | int] = msgspec.structs.asdict(spec.settings)
    return settings | {
        "app": APP,
        "host": host,
        "bracketed_host": f"[{host}]" if ":" in host else host,
        "escaped_host": host.replace(":", r"\:"),
        "port": port,
        "workers": workers,
        "config_file": config_path,
    }


def _with_access_log(spec: ServerSpec) -> Iterator[str]:
    for word in spec.command:
        if word == ACCESS_LOG_WORD:
            yield from spec.access_log_on if spec.settings.access_log else spec.access_log_off
        else:
            yield word
