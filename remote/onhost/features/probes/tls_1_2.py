"""TLS 1.2: a client that speaks no other version."""

from __future__ import annotations

import ssl

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found
from remote.onhost.features.tls import probe_of_version


def probe(order: ProbeOrder) -> Found:
    return probe_of_version(order, ssl.TLSVersion.TLSv1_2, "TLSv1.2")


FEATURE = Feature("tls-1.2", "TLS 1.2", "RFC 5246", ("tls",), probe)
