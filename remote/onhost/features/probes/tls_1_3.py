"""TLS 1.3: a client that speaks no other version."""

from __future__ import annotations

import ssl

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found
from remote.onhost.features.tls import probe_of_version


def probe(order: ProbeOrder) -> Found:
    return probe_of_version(order, ssl.TLSVersion.TLSv1_3, "TLSv1.3")


FEATURE = Feature("tls-1.3", "TLS 1.3", "RFC 8446", ("tls",), probe)
