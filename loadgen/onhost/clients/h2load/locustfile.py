"""nghttp2's h2load as a client: it drives the connections, and Locust counts them as its users."""

from __future__ import annotations

from loadgen.onhost.worker.engine_worker import SimulatedConnection, drive_engine

__all__ = ["SimulatedConnection"]

drive_engine("loadgen.onhost.h2load")
