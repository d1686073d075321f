"""Run after run, as the load worker's orders say."""

from __future__ import annotations

import gc
import socket
from collections.abc import Mapping

from bench.wire.engine import (
    ConnectionsSet,
    EndRun,
    EngineFailed,
    EngineReady,
    RunOver,
    SetConnections,
    SetUpRun,
    SliceOver,
)
from bench.wire.slices import Slice
from loadgen.onhost.engine.channel import Channel, ChannelClosed
from loadgen.onhost.engine.exchange import LoadProtocol
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.engine.poll import Poller, Watched
from loadgen.onhost.engine.run import Run


class Engine:
    """Obeys until the channel closes."""

    def __init__(self, sock: socket.socket, poller: Poller, protocols: Mapping[str, LoadProtocol]) -> None:
        self._poller = poller
        self._protocols = protocols
        self._watched: dict[int, Watched] = {}
        self._channel = Channel(sock, poller, self._obey)
        self._watched[sock.fileno()] = self._channel
        self._run: Run | None = None

    def serve(self) -> None:
        """Returns when the channel is closed."""
        while True:
            try:
                if self._run is None:
                    for fd, mask in self._poller.poll(None):
                        self._watched[fd].on_event(mask)
                else:
                    self._drive(self._run)
            except EngineError as error:
                self._abandon()
                self._channel.send(EngineFailed(str(error)))
            except ChannelClosed:
                self._abandon()
                return

    def _drive(self, run: Run) -> None:
        run.serve()
        self._run = None
        self._channel.send(RunOver(run.totals()))
        gc.collect()

    def _obey(self, order: object) -> None:
        match order:
            case SetUpRun():
                self._abandon()
                protocol = self._protocols.get(order.spec.protocol)
                if protocol is None:
                    raise EngineError(f"this engine doesn't speak {order.spec.protocol}: use another client")
                self._run = Run(order, self._poller, self._watched, self._emit, protocol)
                self._channel.send(EngineReady())
            case SetConnections() if self._run is not None:
                self._run.set_connections(order.connections)
                self._channel.send(ConnectionsSet(order.connections))
            case EndRun() if self._run is not None:
                self._run.stop()

    def _emit(self, one: Slice) -> None:
        self._channel.send(SliceOver(one))
        gc.collect(0)

    def _abandon(self) -> None:
        if self._run is not None:
            self._run.abandon()
            self._run = None
