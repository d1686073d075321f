"""A connection to one host: over SSH through Fabric, or local, behind one interface.

Fabric brings ~/.ssh/config, agents, keys, passwords and jump hosts. Commands run on plain channels of its
transport: binary in and out, with a deadline. Host keys are checked against known_hosts from the first byte.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import fabric
import msgspec
import paramiko
from fabric.tunnels import Tunnel
from paramiko.ssh_exception import NoValidConnectionsError

from bench.environment.hosts import Host, Inventory
from bench.errors import (
    AsgibenchError,
    AuthenticationError,
    CommandFailed,
    ConnectionLost,
    DiskFull,
    HostUnreachable,
)
from remote.ssh.jumps import add_jumps, way_to
from remote.ssh.known_hosts import changed_key_error, known_hosts_files, load_known_hosts, reject_unknown_keys

CONNECT_TIMEOUT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 5
TIMEOUTS = {"timeout": CONNECT_TIMEOUT_SECONDS, "banner_timeout": CONNECT_TIMEOUT_SECONDS}
CHUNK_BYTES = 1 << 18


class Completed(msgspec.Struct, frozen=True):
    """How a command ended. A status below 0 is the signal that ended it."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Stream(Protocol):
    """A running command's stdin and stdout, line by line."""

    def send(self, data: bytes) -> None:
        """Write all of ``data``; raises ConnectionLost."""

    def lines(self) -> Generator[bytes, None, None]:
        """Every line of stdout, without its end, until the command or the connection ends."""

    def close(self) -> None: ...


class Runner(Protocol):
    """Runs commands on a host: a connection, or the guard over it."""

    host: Host

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] = {},
        timeout_seconds: float = 60,
        check: bool = True,
    ) -> Completed:
        """Run to the end. With ``check``, a status other than 0 raises CommandFailed (DiskFull if it was)."""


class Connection(Runner, Protocol):
    """All that can be done on a host without its guard."""

    def stream(self, argv: Sequence[str]) -> Stream:
        """Start a command and talk with it."""

    def reverse_tunnel(self, local_port: int) -> int:
        """Make the controller's loopback port reachable on the host's loopback; the port there."""

    def is_alive(self) -> bool: ...

    def close(self) -> None: ...


class HostKeys(msgspec.Struct, frozen=True):
    """The known_hosts files that count, and the inventory whose hosts `hosts.trust` would pin."""

    files: tuple[Path, ...]
    inventory: str


def host_keys_of(inventory: Inventory) -> HostKeys:
    return HostKeys(known_hosts_files(Path(inventory.path)), inventory.wanted)


def connect(host: Host, keys: HostKeys) -> Connection:
    """Raises HostUnreachable, HostKeyError or AuthenticationError, each with its remedy."""
    if host.is_local:
        return LocalConnection(host)
    return SshConnection(host, keys)


def check_completed(host: Host, argv: Sequence[str], completed: Completed) -> Completed:
    """The same ``completed`` if its status is 0; else raises what it amounts to."""
    if completed.exit_status == 0:
        return completed
    text = (completed.stderr or completed.stdout).decode(errors="replace").strip()
    last_line = text.splitlines()[-1] if text else "no output"
    if "No space left on device" in text:
        raise DiskFull(
            f"{host.name}: no space left on device ({last_line})",
            remedy=f"free room, or name another folder in asgibench_workdir for {host.name}",
            detail=text,
        )
    shown = shlex.join(argv)
    raise CommandFailed(
        f"{host.name}: `{shown[:160]}{'…' if len(shown) > 160 else ''}` ended with status "
        f"{completed.exit_status}: {last_line[:300]}",
        remedy="the output is shown with --debug",
        detail=text[-4000:],
    )


class LocalConnection:
    """The controller itself, through the same interface."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] = {},
        timeout_seconds: float = 60,
        check: bool = True,
    ) -> Completed:
        environment = {**os.environ, **env}
        try:
            if isinstance(stdin, Path):
                with stdin.open("rb") as source:
                    done = subprocess.run(
                        argv, stdin=source, capture_output=True, env=environment, timeout=timeout_seconds
                    )
            else:
                done = subprocess.run(
                    argv, input=stdin, capture_output=True, env=environment, timeout=timeout_seconds
                )
        except FileNotFoundError as error:
            completed = Completed(127, b"", f"{argv[0]}: not found ({error})".encode())
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(
                f"{self.host.name}: `{shlex.join(argv)[:160]}` took longer than {timeout_seconds:g} s",
                remedy="see what keeps the host busy",
            ) from error
        else:
            completed = Completed(done.returncode, done.stdout, done.stderr)
        return check_completed(self.host, argv, completed) if check else completed

    def stream(self, argv: Sequence[str]) -> Stream:
        return _LocalStream(argv)

    def reverse_tunnel(self, local_port: int) -> int:
        return local_port

    def is_alive(self) -> bool:
        return True

    def close(self) -> None:
        pass


class _LocalStream:
    def __init__(self, argv: Sequence[str]) -> None:
        # A session of its own: Ctrl-C at the terminal is ours to act on, in order.
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except OSError as error:
            raise ConnectionLost("the local guard has gone", remedy="run the command again") from error

    def lines(self) -> Generator[bytes, None, None]:
        assert self._process.stdout is not None
        pending = b""
        with self._process.stdout as stdout:
            while chunk := os.read(stdout.fileno(), CHUNK_BYTES):
                *whole, pending = (pending + chunk).split(b"\n")
                yield from whole

    def close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait(timeout=10)


class SshConnection:
    """One SSH connection, kept alive; every command is a channel of it."""

    def __init__(self, host: Host, keys: HostKeys) -> None:
        self.host = host
        self._fabric = _open(host, keys)
        transport = self._fabric.client.get_transport()
        assert transport is not None
        self._transport: paramiko.Transport = transport

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] = {},
        timeout_seconds: float = 60,
        check: bool = True,
    ) -> Completed:
        channel = self._channel(argv, env)
        deadline = time.monotonic() + timeout_seconds
        stderr: list[bytes] = []
        threads = [
            threading.Thread(target=_feed, args=(channel, stdin), daemon=True),
            threading.Thread(target=_drain, args=(channel.recv_stderr, stderr), daemon=True),
        ]
        for thread in threads:
            thread.start()
        stdout = self._read(channel, argv, deadline, timeout_seconds)
        threads[1].join(max(0.1, deadline - time.monotonic()))
        status = channel.recv_exit_status() if channel.status_event.wait(5) else -1
        channel.close()
        if status == -1 and not self.is_alive():
            raise self._lost()
        completed = Completed(status, stdout, b"".join(stderr))
        return check_completed(self.host, argv, completed) if check else completed

    def _read(self, channel: paramiko.Channel, argv: Sequence[str], deadline: float, limit: float) -> bytes:
        received: list[bytes] = []
        while True:
            channel.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                chunk = channel.recv(CHUNK_BYTES)
            except TimeoutError as error:
                channel.close()
                raise CommandFailed(
                    f"{self.host.name}: `{shlex.join(argv)[:160]}` took longer than {limit:g} s",
                    remedy="see what keeps the host busy",
                ) from error
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
                remedy="set AllowTcpForwarding yes in its sshd_config",
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
            remedy="see that the host is up, then run the command again with --resume",
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
                remedy="see that the host is up, then run the command again with --resume",
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


def unopened(host: Host, keys: HostKeys) -> Any:
    """Fabric's connection to the host, with ~/.ssh/config applied and jump hosts as its chain of gateways;
    every host key on the way will be checked when it is opened."""
    options: dict[str, Any] = {**TIMEOUTS}
    if host.ssh_key_file:
        options["key_filename"] = host.ssh_key_file
    if host.ssh_password:
        options["password"] = host.ssh_password
    if host.ssh_key_passphrase:
        options["passphrase"] = host.ssh_key_passphrase
    connection = fabric.Connection(
        host.ssh_host, user=host.ssh_user, port=host.ssh_port, gateway=False, connect_kwargs=options
    )
    add_jumps(connection, host, TIMEOUTS)
    for one in way_to(connection):
        load_known_hosts(one.client, keys.files)
        reject_unknown_keys(one.client, host, keys.inventory)
    return connection


def _open(host: Host, keys: HostKeys) -> Any:
    connection = unopened(host, keys)
    try:
        open_jumps(host, connection, keys)
        _open_one(host, connection, keys, is_jump=False)
    except BaseException:
        close_way(connection)
        raise
    return connection


def open_jumps(host: Host, connection: Any, keys: HostKeys) -> None:
    """Connect to every jump host on the way to ``connection``, which itself stays unopened.

    Raises what ``connect`` raises, naming the jump host.
    """
    for one in way_to(connection)[:-1]:
        _open_one(host, one, keys, is_jump=True)


def _open_one(host: Host, one: Any, keys: HostKeys, *, is_jump: bool) -> None:
    with _translated(host, one, keys.inventory, is_jump=is_jump), _agents_key(one):
        one.open()
        one.client.get_transport().set_keepalive(KEEP_ALIVE_SECONDS)


@contextlib.contextmanager
def _agents_key(connection: Any) -> Iterator[None]:
    """Let an agent that holds the key of the key file offer it first, as ssh does.

    Servers hang up after some six keys, and an agent may hold more.
    """
    wanted = {blob for file in _key_files(connection) if (blob := _public_blob(file)) is not None}
    agent = paramiko.Agent()
    try:
        held = [key for key in agent.get_keys() if key.asbytes() in wanted]
        if held:
            connection.connect_kwargs["pkey"] = held[0]
        yield
    finally:
        agent.close()


def _key_files(connection: Any) -> list[Path]:
    """Those named in the inventory and in ~/.ssh/config; where none is, ssh's own."""
    named = connection.connect_kwargs.get("key_filename") or connection.ssh_config.get("identityfile") or []
    files = [Path(one).expanduser() for one in ([named] if isinstance(named, str) else named)]
    return files or [Path("~/.ssh").expanduser() / f"id_{kind}" for kind in ("ed25519", "ecdsa", "rsa")]


def _public_blob(file: Path) -> bytes | None:
    """Of the public key beside a private one, where it is."""
    try:
        words = file.with_name(f"{file.name}.pub").read_text("utf-8", "replace").split()
        return base64.b64decode(words[1], validate=True)
    except (OSError, IndexError, ValueError):
        return None


def close_way(connection: Any) -> None:
    """Close it and every jump host on the way to it."""
    for one in reversed(way_to(connection)):
        one.close()


@contextlib.contextmanager
def _translated(host: Host, connection: Any, inventory: str, *, is_jump: bool) -> Iterator[None]:
    where = f"{'jump host ' if is_jump else ''}{connection.user}@{connection.host}:{connection.port}"
    try:
        yield
    except AsgibenchError:
        raise
    except paramiko.BadHostKeyException as error:
        raise changed_key_error(host, error, inventory) from error
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
        raise _refused(host, connection, error, where, is_jump=is_jump) from error
    except NoValidConnectionsError as error:
        reasons = {inner.errno for inner in error.errors.values() if isinstance(inner, OSError)}
        closed = errno.ECONNREFUSED in reasons
        raise HostUnreachable(
            f"{host.name}: {where}: {'nothing listens on that port' if closed else 'cannot connect'}",
            remedy="start sshd there, or correct ansible_host and ansible_port",
        ) from error
    except socket.gaierror as error:
        raise HostUnreachable(
            f"{host.name}: the name {connection.host} is unknown ({error.strerror})",
            remedy="correct ansible_host in the inventory",
        ) from error
    except paramiko.ChannelException as error:
        raise HostUnreachable(
            f"{host.name}: the jump host does not lead on to {where} ({error.text})",
            remedy="see that it reaches that port, and that its sshd_config has AllowTcpForwarding yes",
        ) from error
    except (TimeoutError, paramiko.SSHException, EOFError, OSError, ValueError) as error:
        transport = connection.client.get_transport()
        if transport is not None and transport.is_active() and transport.initial_kex_done:
            # A key file with the wrong passphrase, for one, is no AuthenticationException.
            raise _refused(host, connection, error, where, is_jump=is_jump) from error
        raise HostUnreachable(
            f"{host.name}: {where}: no SSH connection ({error or type(error).__name__})",
            remedy="see that the host is up and that a firewall lets the port through",
        ) from error


def _refused(
    host: Host, connection: Any, error: Exception, where: str, *, is_jump: bool
) -> AuthenticationError:
    login = f"{connection.user}@{connection.host}"
    locked = "" if is_jump else _locked_key(connection)
    takes_password = not is_jump and bool({"password", "keyboard-interactive"} & _methods(connection, error))
    if locked:
        remedy = f"`ssh-add {locked}` unlocks that key for as long as you are logged in"
    else:
        named = f"ansible_user and ansible_ssh_private_key_file of {host.name}"
        remedy = (
            f"check {'its User and IdentityFile in ~/.ssh/config' if is_jump else named}; "
            f"`ssh -p {connection.port} {login}` must work without a question"
        )
    if takes_password and not host.ssh_password:
        remedy += ", or answer at a terminal, or set ansible_password in a vaulted file"
    elif takes_password:
        remedy = (
            f"the password is not that of {login}, or its sshd refuses it for another reason: see its log"
        )
    refused = AuthenticationError(
        f"{host.name}: {where} refused the login "
        f"({f'the key {locked} has a passphrase' if locked and not host.ssh_key_passphrase else error})",
        remedy=remedy,
    )
    refused.key_file, refused.takes_password, refused.login = locked, takes_password, login
    return refused


def _methods(connection: Any, error: Exception) -> set[str]:
    """What the host would take; asked for where nothing was tried that it could have refused."""
    allowed = getattr(error, "allowed_types", None)
    transport = connection.client.get_transport()
    if allowed is None and transport is not None and transport.is_active():
        try:
            transport.auth_none(connection.user)
        except paramiko.BadAuthenticationType as refusal:
            allowed = refusal.allowed_types
        except (paramiko.SSHException, EOFError, OSError):
            allowed = None
    return set(allowed or ())


def _locked_key(connection: Any) -> str:
    """The first key file for the host that needs a passphrase; "" if none does."""
    for file in _key_files(connection):
        try:
            paramiko.PKey.from_path(file)
        except (paramiko.PasswordRequiredException, TypeError):
            return str(file)
        except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
            continue
    return ""
