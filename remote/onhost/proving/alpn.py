"""The protocol that server and client agreed on in the handshake of TLS."""

from __future__ import annotations

import ssl

from bench.wire.proving import Exhibit
from remote.onhost.proving.connection import RecordedConnection


def selected_alpn(wire: RecordedConnection) -> str:
    """ "" where none was."""
    assert isinstance(wire.peer, ssl.SSLSocket)
    return wire.peer.selected_alpn_protocol() or ""


def offered(wire: RecordedConnection) -> Exhibit:
    return Exhibit.of("ALPN", f"offered h2 and http/1.1, chosen {selected_alpn(wire) or 'none'}".encode())
