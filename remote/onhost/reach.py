"""A connection to the server that is looked at: TCP, TLS or a Unix socket. Shipped; standard library only."""

from __future__ import annotations

import socket
import ssl

from bench.wire.answers import ReadyOrder


def connect(order: ReadyOrder, patience_seconds: float) -> socket.socket:
    """With TLS the server must show the certificate that it was given. Raises OSError."""
    peer = _plain(order, patience_seconds)
    if not order.certificate:
        return peer
    try:
        # The default context of newer Pythons asks more of an authority than a certificate that is its own.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(order.certificate)
        context.set_alpn_protocols(["http/1.1"])
        return context.wrap_socket(peer, server_hostname=order.address)
    except BaseException:
        peer.close()
        raise


def _plain(order: ReadyOrder, patience_seconds: float) -> socket.socket:
    if not order.socket:
        return socket.create_connection((order.address, order.port), timeout=patience_seconds)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(patience_seconds)
        peer.connect(order.socket)
    except BaseException:
        peer.close()
        raise
    return peer
