"""Host keys: read as OpenSSH reads them, checked on every connection, pinned by `./invoke hosts.trust`."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import fnmatch
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import paramiko

from bench.environment.hosts import Host
from bench.errors import HostKeyError, HostUnreachable

SSH_PORT = 22
# One handshake for each, because a server shows one key at a time.
KEY_ALGORITHMS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


class KnownKey(msgspec.Struct, frozen=True):
    """One line of a known_hosts file. ``marker`` is "", ``@revoked`` or ``@cert-authority``."""

    marker: str
    names: tuple[str, ...]
    key_type: str
    blob: bytes

    def matches(self, name: str) -> bool:
        """Whether the line is about ``name`` (as ``lookup_name`` gives it): plain, hashed or by pattern."""
        if any(_matches_one(pattern[1:], name) for pattern in self.names if pattern.startswith("!")):
            return False
        return any(_matches_one(pattern, name) for pattern in self.names if not pattern.startswith("!"))


class KnownHosts(paramiko.HostKeys):  # type: ignore[misc]
    """What paramiko asks for a host's keys: its own class knows neither patterns nor revoked keys.

    Of several keys of one type for one name the first one counts, so that the inventory's own file, which is
    read first, wins over an old line elsewhere.
    """

    def __init__(self, lines: Sequence[KnownKey], alias: str = "") -> None:
        super().__init__()
        self._lines = tuple(lines)
        self.alias = alias.lower()

    def lookup(self, hostname: str) -> _Keys | None:
        """The host's keys by type, or None if it has none."""
        matching = [line for line in self._lines if line.matches(self._name(hostname))]
        revoked = {line.blob for line in matching if line.marker == "@revoked"}
        keys: dict[str, paramiko.PKey] = {}
        for line in matching:
            if not line.marker and line.blob not in revoked and line.key_type not in keys:
                key = _key(line)
                if key is not None:
                    keys[line.key_type] = key
        return _Keys(keys) if keys else None

    def is_revoked(self, hostname: str, key: paramiko.PKey) -> bool:
        return any(
            line.marker == "@revoked" and line.blob == key.asbytes() and line.matches(self._name(hostname))
            for line in self._lines
        )

    def _name(self, hostname: str) -> str:
        return self.alias or hostname.lower()


class _Keys(dict[str, Any]):
    """paramiko takes ``keys()[0]`` as the type to ask the server for."""

    def keys(self) -> list[str]:  # type: ignore[override]
        return list(self)


class RejectWithRemedy(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Raises HostKeyError for a key that no file knows; ``inventory`` is named in the remedy."""

    def __init__(self, host: Host, inventory: str) -> None:
        self._host = host
        self._inventory = inventory

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        known = _known_hosts_of(client)
        client.close()
        if known is not None and known.is_revoked(hostname, key):
            raise HostKeyError(
                f"{self._host.name}: the host key of {hostname} ({_shown(key)}) is marked as revoked",
                remedy="Give the host a new key, then pin it",
            )
        raise HostKeyError(
            f"{self._host.name}: the host key of {hostname} is unknown: {_shown(key)}",
            remedy=f"Do you expect it? Then {_trust(self._inventory)}",
        )


def inventory_known_hosts(inventory: Path) -> Path:
    """The file beside the inventory: what it says counts first, and ``hosts.trust`` writes to it."""
    return inventory.parent / "known_hosts"


def load_known_hosts(client: Any, files: Sequence[Path], alias: str = "") -> None:
    """Make the paramiko ``client`` check keys against ``files``; those that don't exist hold no keys.

    With an ``alias`` (ssh's HostKeyAlias) the host is looked up by that, without its port.
    Raises HostKeyError for a file that can't be read.
    """
    # paramiko has no public way to bring a HostKeys of one's own; the tests go through a real connection.
    client._system_host_keys = read_known_hosts(files, alias)


def alias_of(client: Any) -> str:
    """By what known_hosts calls the host of a client that ``load_known_hosts`` was given; empty: its name."""
    known = _known_hosts_of(client)
    return "" if known is None else known.alias


def reject_unknown_keys(client: Any, host: Host, inventory: str) -> None:
    """Make the paramiko ``client`` raise HostKeyError for an unknown key; ``inventory`` is for its remedy."""
    client.set_missing_host_key_policy(RejectWithRemedy(host, inventory))


def changed_key_error(host: Host, error: paramiko.BadHostKeyException, inventory: str) -> HostKeyError:
    """What paramiko's exception means, with the old and the new fingerprint."""
    old, new = error.expected_key, error.key
    what = "has changed" if old.get_name() == new.get_name() else "is of another type than the known one"
    return HostKeyError(
        f"{host.name}: the host key of {error.hostname} {what}: "
        f"known is {_shown(old)}, it shows {_shown(new)}",
        remedy=f"Somebody may be in between, or it was reinstalled: if you know that, {_trust(inventory)}",
    )


def read_known_hosts(files: Sequence[Path], alias: str = "") -> KnownHosts:
    """Raises HostKeyError for a file that is there and can't be read. As with ssh, damaged lines count for
    nothing."""
    lines: list[KnownKey] = []
    for file in files:
        lines += [line for text in _read_lines(file) if (line := parse_line(text)) is not None]
    return KnownHosts(lines, alias)


def parse_line(text: str) -> KnownKey | None:
    """One line of a known_hosts file; None for a comment, a blank line, or one that is damaged."""
    words = text.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return None
    names, key_type, encoded = words[:3]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return KnownKey(marker, tuple(names.lower().split(",") if "|" not in names else [names]), key_type, blob)


def lookup_name(address: str, port: int | None) -> str:
    """The name under which known_hosts keeps a host: ``[address]:port`` where the port isn't 22."""
    plain = address.lower()
    return plain if port in (None, SSH_PORT) else f"[{plain}]:{port}"


def fingerprint(key: paramiko.PKey) -> str:
    """``SHA256:...``, as OpenSSH prints it."""
    return str(key.fingerprint)


def scan_host_key(
    address: str,
    port: int,
    timeout_seconds: float,
    *,
    open_socket: Callable[[], Any] | None = None,
) -> list[paramiko.PKey]:
    """The host's keys, at most one each of Ed25519, ECDSA and RSA; nothing is sent that logs in.

    ``open_socket`` connects to the host in another way, such as through a jump host; it is called once a key.
    Raises HostUnreachable.
    """
    opened = open_socket or (lambda: socket.create_connection((address, port), timeout_seconds))
    try:
        shown = [_show_key(opened(), algorithms, timeout_seconds) for algorithms in KEY_ALGORITHMS]
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise HostUnreachable(
            f"{address} port {port}: no SSH handshake ({error or type(error).__name__})",
            remedy="See that sshd listens there, and that a firewall lets the port through",
        ) from error
    keys = [key for key in shown if key is not None]
    if not keys:
        raise HostUnreachable(
            f"{address} port {port}: it has no Ed25519, ECDSA or RSA host key",
            remedy="Make one there: ssh-keygen -A",
        )
    return keys


def pin(file: Path, host: str, port: int | None, keys: Sequence[paramiko.PKey]) -> None:
    """Write ``keys`` to ``file`` as all that is known of the host; every other line stays as it is.

    Atomic, and safe against another ``pin`` at the same time. Raises ValueError without keys, and OSError.
    """
    if not keys:
        raise ValueError("without keys there is nothing to pin")
    name = lookup_name(host, port)
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file.parent):
        kept = [line for text in _read_lines(file) if (line := _without(text, name)) is not None]
        pinned = [f"{name} {key.get_name()} {key.get_base64()}" for key in keys]
        _replace(file, "\n".join([*kept, *pinned]) + "\n")


def _show_key(sock: Any, algorithms: Sequence[str], timeout_seconds: float) -> paramiko.PKey | None:
    transport = paramiko.Transport(sock)
    transport.banner_timeout = timeout_seconds
    # That a server lacks a type is an answer here; paramiko would print it with a traceback.
    logging.getLogger("asgibench.scan").setLevel(logging.CRITICAL)
    transport.set_log_channel("asgibench.scan")
    transport.get_security_options().key_types = algorithms
    try:
        transport.start_client(timeout=timeout_seconds)
        return transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        if "host key" not in str(error):
            raise
        return None
    finally:
        transport.close()
        sock.close()


def _known_hosts_of(client: Any) -> KnownHosts | None:
    known = client._system_host_keys
    return known if isinstance(known, KnownHosts) else None


def _key(line: KnownKey) -> paramiko.PKey | None:
    try:
        return paramiko.PKey.from_type_string(line.key_type, line.blob)
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError):
        return None  # a type that paramiko can't use, or damaged: as if unknown, which rejects


def _matches_one(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            return bool(paramiko.HostKeys.hash_host(name, pattern) == pattern)
        except (binascii.Error, AssertionError, IndexError):
            return False
    if "*" in pattern or "?" in pattern:
        # Here [ is the bracket of [host]:port, not a set of characters.
        return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
    return pattern == name


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostKeyError(
            f"{file}: the known host keys can't be read ({error.strerror})",
            remedy=f"Make it readable: chmod u+r {file}",
        ) from error


def _without(text: str, name: str) -> str | None:
    """The line without the host ``name``; None if it was about no other. Patterns and markers stay."""
    line = parse_line(text)
    if line is None or line.marker:
        return text
    others = [one for one in line.names if one.startswith("|1|") or one != name]
    others = [one for one in others if not (one.startswith("|1|") and _matches_one(one, name))]
    if len(others) == len(line.names):
        return text
    return f"{','.join(others)} {' '.join(text.split()[1:])}" if others else None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(file: Path, text: str) -> None:
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    descriptor, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        Path(partial).chmod(mode)
        Path(partial).replace(file)
    finally:
        Path(partial).unlink(missing_ok=True)


def _shown(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {fingerprint(key)}"


def _trust(inventory: str) -> str:
    return f"compare the fingerprint, and pin it with ./invoke hosts.trust --hosts {inventory}"
