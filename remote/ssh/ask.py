"""Passwords and passphrases that only the user knows: asked at the terminal where there is one, each once."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from bench.environment.hosts import Host
from bench.errors import AsgibenchError, AuthenticationError
from remote.parallel import outcomes

Value = TypeVar("Value")
Ask = Callable[[str], str]
"""Shows a question and returns the answer, "" if there is none."""


def terminal() -> Ask | None:
    """Asks at the user's terminal, answers not echoed; None where there is no terminal."""
    if not sys.stdin.isatty():
        return None
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return None
    return _ask_at_terminal


def outcomes_asking(
    work: Callable[[Host], Value], hosts: Sequence[Host], ask: Ask | None
) -> tuple[dict[str, Value], dict[str, AsgibenchError]]:
    """Like ``outcomes``, and again for hosts that refused the login where an answer of the user's may help.

    Questions come one after the other, in the order of ``hosts``: a password once a host, a passphrase once
    a key file. ``work`` is then given the host with the answer in it.
    """
    known = {host.name: host for host in hosts}
    values, errors = outcomes(work, hosts, lambda host: host.name)
    passphrases: dict[str, str] = {}
    waiting = list(errors)
    while ask is not None and waiting:
        answered = [
            host for name in waiting if (host := _answered(known[name], errors[name], passphrases, ask))
        ]
        known.update({host.name: host for host in answered})
        more, failed = outcomes(work, answered, lambda host: host.name)
        values.update(more)
        errors = {name: failed.get(name, error) for name, error in errors.items() if name not in more}
        waiting = list(failed)
    return {name: values[name] for name in known if name in values}, errors


def _answered(host: Host, error: AsgibenchError, passphrases: dict[str, str], ask: Ask) -> Host | None:
    """``host`` with what the user says to ``error``; None where nothing can be asked, or was before."""
    if not isinstance(error, AuthenticationError):
        return None
    if error.key_file and host.ssh_key_passphrase is None:
        if error.key_file not in passphrases:
            passphrases[error.key_file] = ask(f"Passphrase of {error.key_file} (for {host.name}): ")
        return msgspec.structs.replace(host, ssh_key_passphrase=passphrases[error.key_file])
    if error.takes_password and host.ssh_password is None:
        return msgspec.structs.replace(host, ssh_password=ask(f"Password of {error.login} ({host.name}): "))
    return None


def _ask_at_terminal(question: str) -> str:
    try:
        return getpass.getpass(question)
    except EOFError:
        return ""
