"""The process between a load worker and h2load. Standard library and bench/wire only (psutil on macOS).

Contract: that of loadgen.onhost.engine, ``python -m loadgen.onhost.h2load --control-fd N [--parent PID]``. In
the environment ASGIBENCH_H2LOAD is h2load's path (without it, it is looked for on PATH), and
ASGIBENCH_H2LOAD_LIBRARIES the folder of libraries that came with it, where there is one.
"""

from __future__ import annotations

import gc
import os
import socket

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
from loadgen.onhost.engine.__main__ import parse_arguments
from loadgen.onhost.engine.channel import Channel, ChannelClosed
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.engine.poll import Poller, make_poller
from loadgen.onhost.h2load.run import H2loadRun

TICK_SECONDS = 0.02


class H2loadEngine:
    """Obeys until the channel closes."""

    def __init__(self, sock: socket.socket, poller: Poller, program: str) -> None:
        self._poller, self._program = poller, program
        self._channel = Channel(sock, poller, self._obey)
        self._run: H2loadRun | None = None

    def serve(self) -> None:
        """Returns when the channel is closed; h2load has ended then."""
        try:
            while True:
                try:
                    self._step()
                except EngineError as error:
                    self._end_run()
                    self._channel.send(EngineFailed(str(error)))
        except ChannelClosed:
            self._end_run()

    def _step(self) -> None:
        run = self._run
        wait = None if run is None else run.seconds_to_next_look(TICK_SECONDS)
        # The channel alone is watched: h2load's lines wake nobody.
        for _, mask in self._poller.poll(wait):
            self._channel.on_event(mask)
        run = self._run
        if run is None:
            return
        run.look()
        if run.is_over:
            totals = run.totals()
            self._end_run()
            self._channel.send(RunOver(totals))
            gc.collect()

    def _obey(self, order: object) -> None:
        match order:
            case SetUpRun():
                self._end_run()
                self._run = H2loadRun(
                    order,
                    self._program,
                    emit=lambda one: self._channel.send(SliceOver(one)),
                    held=lambda connections: self._channel.send(ConnectionsSet(connections)),
                )
                self._channel.send(EngineReady())
            case SetConnections() if self._run is not None:
                self._run.set_connections(order.connections)
            case EndRun() if self._run is not None:
                self._run.stop()

    def _end_run(self) -> None:
        if self._run is not None:
            self._run.close()
            self._run = None


def main(arguments: list[str] | None = None) -> None:
    control_fd = parse_arguments(arguments)
    program = os.environ.get("ASGIBENCH_H2LOAD", "h2load")
    H2loadEngine(socket.socket(fileno=control_fd), make_poller(), program).serve()


if __name__ == "__main__":
    main()
