"""Zero-copy send: the app hands over an open file, and the server sends it."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.files import probe_of_file
from remote.onhost.features.probe import Feature, Found

EXTENSION = "http.response.zerocopysend"


def probe(order: ProbeOrder) -> Found:
    return probe_of_file(order, EXTENSION, lambda path: {"type": EXTENSION, "file": path})


FEATURE = Feature(
    "zero-copy-send", "http.response.zerocopysend", "ASGI extension: Zero Copy Send", ("plain", "h2"), probe
)
