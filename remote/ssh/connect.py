"""A connection to one host: over SSH through Fabric, or local, behind one interface.

Fabric brings ~/.ssh/config, agents, keys, passwords and jump hosts. Commands run on plain channels of its
transport: binary in and out, with a deadline.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import paramiko
from fabric.tunnels import Tunnel

from bench.environment.hosts import Host
from bench.errors import ConnectionLost
from remote.local import LocalConnection
from remote.runner import Completed, HostCommand, HostConnection, Stream, too_slow
from remote.ssh.hop import CONNECT_TIMEOUT_SECONDS, HostKeys
from remote.ssh.opening import close_way, opened

CHUNK_BYTES = 1 << 18


def connect(host: Host, keys: HostKeys) -> HostConnection:
    """Raises HostUnreachable, HostKeyError or AuthenticationError, each with its remedy."""
    if host.is_local:
        return LocalConnection(host)
    return SshConnection(host, keys)


class SshConnection(HostConnection):
    """One SSH connection, kept alive; every command is a channel of it."""

    def __init__(self, host: Host, keys: HostKeys) -> None:
        self.host = host
        self._fabric = opened(host, keys)
        transport = self._fabric.client.get_transport()
        assert transport is not None
        self._transport: paramiko.Transport = transport

    def execute(self, command: HostCommand) -> Completed:
        channel = self._channel(command.argv, command.env)
        deadline = time.monotonic() + command.timeout_seconds
        stderr: list[bytes] = []
        threads = [
            threading.Thread(target=_feed, args=(channel, command.stdin), daemon=True),
            threading.Thread(target=_drain, args=(channel.recv_stderr, stderr), daemon=True),
        ]
        for thread in threads:
            thread.start()
        stdout = self._read(channel, command, deadline)
        threads[1].join(max(0.1, deadline - time.monotonic()))
        status = channel.recv_exit_status() if channel.status_event.wait(5) else -1
        channel.close()
        if status == -1 and not self.is_alive():
            raise self._lost()
        return Completed(status, stdout, b"".join(stderr))

    def _read(self, channel: paramiko.Channel, command: HostCommand, deadline: float) -> bytes:
        received: list[bytes] = []
        while True:
            channel.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                chunk = channel.recv(CHUNK_BYTES)
            except TimeoutError as error:
                channel.close()
                raise too_slow(self.host, command) from error
            if not chunk:
                return b"".join(received)
            received.append(chunk)

    def stream(self, argv: Sequence[str]) -> Stream:
        return _SshStream(self.host, self._channel(argv, {}))

    def reverse_tunnel(self, local_port: int) -> int:
        def handler(channel: paramiko.Channel, origin: Any, server: Any) -> None:
            try:
                peer = socket.create_connection(("127.0.0.1", local_port))
            except OSError:
                # The listener has gone. An error here would end the whole SSH connection.
                channel.close()
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Tunnel(channel=channel, sock=peer, finished=threading.Event()).start()

        try:
            return int(self._transport.request_port_forward("127.0.0.1", 0, handler))
        except paramiko.SSHException as error:
            raise ConnectionLost(
                f"{self.host.name}: its sshd refuses port forwarding ({error})",
                remedy="Set AllowTcpForwarding yes in its sshd_config",
            ) from error

    def is_alive(self) -> bool:
        return bool(self._transport.is_active())

    def close(self) -> None:
        close_way(self._fabric)

    def _channel(self, argv: Sequence[str], env: Mapping[str, str]) -> paramiko.Channel:
        words = ["env", *(f"{key}={value}" for key, value in env.items()), *argv] if env else list(argv)
        try:
            channel = self._transport.open_session(timeout=CONNECT_TIMEOUT_SECONDS)
            channel.exec_command(shlex.join(words))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(error) from error
        return channel

    def _lost(self, error: BaseException | None = None) -> ConnectionLost:
        return ConnectionLost(
            f"{self.host.name}: the SSH connection has gone{f' ({error})' if error else ''}",
            remedy="See that the host is up, then run the command again with --resume",
        )


class _SshStream:
    def __init__(self, host: Host, channel: paramiko.Channel) -> None:
        self._host = host
        self._channel = channel

    def send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (OSError, EOFError) as error:
            raise ConnectionLost(
                f"{self._host.name}: the SSH connection has gone ({error})",
                remedy="See that the host is up, then run the command again with --resume",
            ) from error

    def lines(self) -> Generator[bytes, None, None]:
        pending = b""
        while chunk := self._channel.recv(CHUNK_BYTES):
            *whole, pending = (pending + chunk).split(b"\n")
            yield from whole

    def close(self) -> None:
        self._channel.close()


def _feed(channel: paramiko.Channel, stdin: bytes | Path) -> None:
    # A command may end before it has read all: its status and stderr then say why.
    with contextlib.suppress(OSError, EOFError):
        if isinstance(stdin, Path):
            with stdin.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    channel.sendall(chunk)
        elif stdin:
            channel.sendall(stdin)
        channel.shutdown_write()


def _drain(receive: Any, into: list[bytes]) -> None:
    while chunk := receive(CHUNK_BYTES):
        into.append(chunk)
