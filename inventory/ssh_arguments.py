"""The one thing that is taken from ansible_ssh_common_args: the jump hosts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

NO_JUMP = "none"
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
        if name == "ProxyJump":
            # As with ssh, the first one counts.
            jump = jump if jump is not None else _plain(value)
        elif (name if name.startswith("-") else name.lower()) not in WITHOUT_EFFECT:
            others.append(name)
    return jump, tuple(others)


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
        yield ("ProxyJump" if key.lower() == "proxyjump" else key or "-o"), setting.strip()
