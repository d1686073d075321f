"""Probes one running server: a ProbeOrder on stdin, a ConformanceReport on stdout."""

from __future__ import annotations

from remote.onhost.conformance.h2.run import run
from remote.onhost.conformance.program import main

if __name__ == "__main__":
    main(run)
