"""Probes one running server: a ProbeOrder on stdin, a ConformanceReport on stdout."""

from __future__ import annotations

from remote.onhost.conformance.program import main
from remote.onhost.conformance.websocket.run import run

if __name__ == "__main__":
    main(run)
