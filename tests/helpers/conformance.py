"""Orders for suites of conformance probes."""

from __future__ import annotations

import os

from bench.wire.proving import ProbeOrder


def order_to(port: int, *, certificate: str = "") -> ProbeOrder:
    """To probe what listens on this machine; over TLS where it has a certificate."""
    return ProbeOrder(
        launches=("plain",),
        pid=os.getpid(),
        address="127.0.0.1",
        port=port,
        socket="",
        tls=bool(certificate),
        certificate=certificate,
        nonce="",
        witness="",
        ready_seconds=20.0,
        available=("plain",),
    )
