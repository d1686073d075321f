"""What a run's requests go to, looked up once: the address, the trust, the bytes."""

from __future__ import annotations

import resource
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from bench.wire.load import LoadSpec
from loadgen.onhost.engine.exchange import LoadProtocol
from loadgen.onhost.engine.load import EngineError, check_load

_FILES_WANTED = 65_536


@dataclass(frozen=True, slots=True)
class Target:
    """A checked load, and what all of its connections need."""

    load: LoadSpec
    protocol: LoadProtocol
    requests: tuple[bytes, ...]  # each distinct one, in the rotation's order
    family: socket.AddressFamily
    address: Any  # as ``connect`` takes it
    tls: ssl.SSLContext | None


def find_target(load: LoadSpec, protocol: LoadProtocol) -> Target:
    """Raises EngineError: a load that can't be, an unknown host, no such CA file."""
    check_load(load)
    requests = protocol.encode(load)
    family, address = _resolve(load.host, load.port)
    tls = _tls_context(load, protocol) if load.tls else None
    return Target(load, protocol, requests, family, address, tls)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EngineError(
            f"{host!r} can't be resolved: {error}. Set asgibench_address to one that can"
        ) from error
    return found[0][0], found[0][4]


def _tls_context(load: LoadSpec, protocol: LoadProtocol) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols([protocol.alpn])
    try:
        if load.tls_certificate:
            context.load_verify_locations(cadata=load.tls_certificate)
        elif load.tls_ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(load.tls_ca_file)
    except OSError as error:
        what = "certificate given" if load.tls_certificate else f"CA file {load.tls_ca_file}"
        raise EngineError(f"the {what} can't be used: {error}") from error
    return context


def allow_open_files(count: int) -> None:
    """Raise this process's limit where it must be. Raises EngineError where the system doesn't allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    wanted = max(count, _FILES_WANTED)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if wanted < count:
        raise EngineError(f"{count} open files are needed and {hard} allowed: raise the limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
