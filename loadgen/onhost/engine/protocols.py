"""The protocols that the engine drives, by their names in LoadSpec."""

from __future__ import annotations

from collections.abc import Mapping

from loadgen.onhost.engine.exchange import LoadProtocol
from loadgen.onhost.engine.http1 import HTTP1
from loadgen.onhost.engine.websocket import WEBSOCKET

PROTOCOLS: Mapping[str, LoadProtocol] = {"http/1.1": HTTP1, "websocket": WEBSOCKET}
