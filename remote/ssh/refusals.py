"""Why a host or a jump host could not be logged in to, as errors of ours with their remedies."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from bench.environment.hosts import Host
from bench.errors import AsgibenchError, AuthenticationError, HostUnreachable
from remote.ssh.known_hosts import changed_key_error


@contextlib.contextmanager
def translated(host: Host, connection: Any, inventory: str, *, is_jump: bool) -> Iterator[None]:
    """What opening ``connection`` ends with becomes an error of ours with its remedy.

    ``connection`` is Fabric's, to the host or to a jump host before it; ``inventory`` is named in remedies.
    Raises HostUnreachable, HostKeyError or AuthenticationError.
    """
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
            remedy="Start sshd there, or correct ansible_host and ansible_port",
        ) from error
    except socket.gaierror as error:
        raise HostUnreachable(
            f"{host.name}: the name {connection.host} is unknown ({error.strerror})",
            remedy="Correct ansible_host in the inventory",
        ) from error
    except paramiko.ChannelException as error:
        raise HostUnreachable(
            f"{host.name}: the jump host does not lead on to {where} ({error.text})",
            remedy="See that it reaches that port, and that its sshd_config has AllowTcpForwarding yes",
        ) from error
    except (TimeoutError, paramiko.SSHException, EOFError, OSError, ValueError) as error:
        transport = connection.client.get_transport()
        if transport is not None and transport.is_active() and transport.initial_kex_done:
            # A key file with the wrong passphrase, for one, is no AuthenticationException.
            raise _refused(host, connection, error, where, is_jump=is_jump) from error
        raise HostUnreachable(
            f"{host.name}: {where}: no SSH connection ({error or type(error).__name__})",
            remedy="See that the host is up and that a firewall lets the port through",
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
            f"Check {'its User and IdentityFile in ~/.ssh/config' if is_jump else named}; "
            f"`ssh -p {connection.port} {login}` must work without a question"
        )
    if takes_password and not host.ssh_password:
        remedy += ", or answer at a terminal, or set ansible_password in a vaulted file"
    elif takes_password:
        remedy = (
            f"The password is not that of {login}, or its sshd refuses it for another reason: see its log"
        )
    return AuthenticationError(
        f"{host.name}: {where} refused the login "
        f"({f'the key {locked} has a passphrase' if locked and not host.ssh_key_passphrase else error})",
        remedy=remedy,
        key_file=locked,
        takes_password=takes_password,
        login=login,
    )


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
    for file in key_files(connection):
        try:
            paramiko.PKey.from_path(file)
        except (paramiko.PasswordRequiredException, TypeError):
            return str(file)
        except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
            continue
    return ""


def key_files(connection: Any) -> list[Path]:
    """Those named in the inventory and by ssh's settings, as far as they are there."""
    return [Path(one) for one in connection.connect_kwargs.get("key_filename", ())]
