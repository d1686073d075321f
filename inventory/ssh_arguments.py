"""The one thing that is taken from ansible_ssh_common_args: a jump host."""

from __future__ import annotations

import shlex
from collections.abc import Iterator


def parse_ssh_arguments(text: str) -> tuple[str | None, tuple[str, ...]]:
    """(jump host as ``[user@]host[:port]`` or None, every other argument by its name).

    Raises ValueError when the quotes don't close.
    """
    jump: str | None = None
    others: list[str] = []
    for name, value in _options(shlex.split(text)):
        if name == "ProxyJump":
            jump = None if value.lower() == "none" else value.removeprefix("ssh://").rstrip("/")
        else:
            others.append(name)
    return jump, tuple(others)


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
