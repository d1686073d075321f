"""pathsend: the app names a file, and the server sends it."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.files import probe_of_file
from remote.onhost.features.probe import Feature, Found

EXTENSION = "http.response.pathsend"


def probe(order: ProbeOrder) -> Found:
    return probe_of_file(order, EXTENSION, lambda path: {"type": EXTENSION, "path": path})


FEATURE = Feature("pathsend", "http.response.pathsend", "ASGI extension: Path Send", ("plain", "h2"), probe)
