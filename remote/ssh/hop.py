"""One connection on the way to a host, made as OpenSSH would make it and not yet opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fabric
import msgspec
import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from bench.environment.hosts import Host, Inventory
from bench.errors import InventoryError
from remote.ssh.known_hosts import inventory_known_hosts, load_known_hosts, reject_unknown_keys
from remote.ssh.openssh import SshSettings, ssh_settings

CONNECT_TIMEOUT_SECONDS = 10.0
TIMEOUTS = {"timeout": CONNECT_TIMEOUT_SECONDS, "banner_timeout": CONNECT_TIMEOUT_SECONDS}


class HostKeys(msgspec.Struct, frozen=True):
    """The known_hosts files that count before ssh's own, and the inventory that `hosts.trust` would take.

    The first of the files is where keys are pinned.
    """

    files: tuple[Path, ...]
    inventory: str


def host_keys_of(inventory: Inventory) -> HostKeys:
    return HostKeys((inventory_known_hosts(Path(inventory.path)),), inventory.wanted)


class Hop(msgspec.Struct, frozen=True):
    """Fabric's connection, and the settings that it was made by."""

    settings: SshSettings
    connection: Any


def host_hop(host: Host, keys: HostKeys) -> Hop:
    """To the host itself, with the inventory's key, password and passphrase. Raises InventoryError."""
    options: dict[str, Any] = {}
    if host.ssh_password:
        options["password"] = host.ssh_password
    if host.ssh_key_passphrase:
        options["passphrase"] = host.ssh_key_passphrase
    named = (_key_file(host),) if host.ssh_key_file else ()
    settings = ssh_settings(host.ssh_host, host.ssh_user, host.ssh_port)
    return _hop(settings, host, keys, named, options)


def jump_hop(address: str, user: str | None, port: int | None, host: Host, keys: HostKeys) -> Hop:
    """To a jump host on the way to ``host``: user and keys are ssh's own. Raises InventoryError."""
    return _hop(ssh_settings(address, user, port), host, keys, (), {})


def _hop(
    settings: SshSettings, host: Host, keys: HostKeys, named: tuple[str, ...], options: dict[str, Any]
) -> Hop:
    # The settings are all that ssh knows: neither paramiko nor Fabric looks for more.
    options |= {**TIMEOUTS, "look_for_keys": False, "allow_agent": not settings.identities_only}
    files = list(dict.fromkeys((*named, *settings.identity_files)))
    if files:
        options["key_filename"] = files
    certified = next(_certified(settings, files), None)
    if certified is not None:
        options["pkey"] = certified
    connection = fabric.Connection(
        settings.host_name,
        user=settings.user,
        port=settings.port,
        gateway=settings.proxy_command or False,
        connect_kwargs=options,
        config=fabric.Config(ssh_config=paramiko.SSHConfig()),
    )
    known = (*keys.files, *map(Path, settings.known_hosts_files))
    load_known_hosts(connection.client, known, settings.host_key_alias)
    reject_unknown_keys(connection.client, host, keys.inventory)
    return Hop(settings, connection)


def _key_file(host: Host) -> str:
    """The inventory's key file. Raises InventoryError where it isn't there, which is no host's fault."""
    path = Path(str(host.ssh_key_file)).expanduser()
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise InventoryError(
            f"host {host.name}: its key file {path} can't be read on this machine ({error.strerror})",
            remedy="Correct ansible_ssh_private_key_file in the inventory, or bring the file",
        ) from error


def _certified(settings: SshSettings, key_files: list[str]) -> Iterator[paramiko.PKey]:
    """Keys with the certificates that stand in files of their own; paramiko finds KEY-cert.pub by itself."""
    for file in settings.certificate_files:
        certificate = _certificate(Path(file))
        for key_file in key_files:
            try:
                key = paramiko.PKey.from_path(key_file)
            except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
                continue  # locked or damaged: told where the login is refused
            if certificate is not None and _is_of(certificate, key):
                key.load_certificate(file)
                yield key


def _certificate(file: Path) -> SSHCertificate | None:
    try:
        found = load_ssh_public_identity(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, SSHCertificate) else None


def _is_of(certificate: SSHCertificate, key: paramiko.PKey) -> bool:
    try:
        plain = load_ssh_public_identity(f"{key.get_name()} {key.get_base64()}".encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return bool(certificate.public_key() == plain)
