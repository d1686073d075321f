"""The one thing that is taken from ansible_ssh_common_args: the jump hosts."""

from __future__ import annotations

import getopt
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

NO_JUMP = "none"
_KNOWN = {"proxyjump": "ProxyJump", "proxycommand": "ProxyCommand"}
# How ssh shares and keeps its connections: ours is one, and kept alive. Ansible's defaults are among them.
WITHOUT_EFFECT = (
    "-C",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "serveraliveinterval",
    "serveralivecountmax",
    "tcpkeepalive",
)


def parse_ssh_arguments(text: str) -> tuple[str | None, tuple[str, ...]]:
    """(jump hosts as ``[user@]host[:port]``, separated by commas, or "none", or None; every other argument by
    its name). "none" overrules ~/.ssh/config. Those without effect here are left out.

    Raises ValueError when the quotes don't close.
    """
    jump: str | None = None
    others: list[str] = []
    for name, value in _options(shlex.split(text)):
        through = value if name == "ProxyJump" else jump_of_command(value) if name == "ProxyCommand" else None
        if through is not None:
            # As with ssh, the first one counts.
            jump = jump if jump is not None else _plain(through)
        elif (name if name.startswith("-") else name.lower()) not in WITHOUT_EFFECT:
            others.append(name)
    return jump, tuple(others)


def jump_of_command(command: str) -> str | None:
    """The jump host that a ProxyCommand ``ssh -W %h:%p [-q] [-p N] [-l USER] [USER@]HOST`` goes through, as
    ProxyJump would have it; "none" for "none"; None: the command does something else.

    Raises ValueError when the quotes don't close.
    """
    words = shlex.split(command)
    if [word.lower() for word in words] == [NO_JUMP]:
        return NO_JUMP
    if not words or PurePosixPath(words[0]).name != "ssh":
        return None
    try:
        options, places = getopt.gnu_getopt(words[1:], "W:p:l:qTCxan")
    except getopt.GetoptError:
        return None
    given = dict(options)
    if given.get("-W") != "%h:%p" or len(places) != 1:
        return None
    user, at, host = places[0].rpartition("@")
    login = user if at else given.get("-l", "")
    port = given.get("-p", "")
    address = f"[{host}]" if port and ":" in host else host
    return f"{f'{login}@' if login else ''}{address}{f':{port}' if port else ''}"


def _plain(value: str) -> str:
    hops = [hop.strip().removeprefix("ssh://").rstrip("/") for hop in value.split(",")]
    return NO_JUMP if value.lower() == NO_JUMP else ",".join(hops)


def split_jump(text: str) -> tuple[str | None, str, int | None]:
    """``[ssh://][user@]host[:port]`` in parts, IPv6 in brackets where a port follows.

    Raises ValueError without a host or with a port that is none.
    """
    user, at, place = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
    if place.startswith("["):
        address, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    elif place.count(":") > 1:
        address, port = place, ""
    else:
        address, _, port = place.partition(":")
    if not address or (at and not user) or (port and not port.isdigit()):
        raise ValueError(f"'{text}' is no jump host")
    return user or None, address, int(port) if port else None


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    remaining = iter(words)
    for word in remaining:
        letter, attached = word[:2], word[2:]
        if letter not in ("-J", "-o"):
            yield word, ""
            continue
        value = attached or next(remaining, "")
        if letter == "-J":
            yield "ProxyJump", value
            continue
        key, _, setting = value.replace("=", " ", 1).strip().partition(" ")
        yield _KNOWN.get(key.lower(), key or "-o"), setting.strip()
