"""Reads one host's variables, as `ansible-inventory` gives them, and says what is wrong with a value."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import InventoryError

MAX_CORES = 4096


class HostVariables(msgspec.Struct, frozen=True):
    """``values`` of ``host`` in ``file``; every reader raises InventoryError naming file, host and key."""

    file: Path
    host: str
    values: dict[str, Any]

    def error(self, key: str, message: str, remedy: str) -> InventoryError:
        return InventoryError(f"{self.file}: host {self.host}: {key}: {message}", remedy=remedy)

    def find(self, keys: Sequence[str]) -> tuple[str, Any]:
        """The first of ``keys`` that is set, with its value; (first key, None) if none is."""
        for key in keys:
            if key in self.values:
                return key, self._usable(key, self.values[key])
        return keys[0], None

    def text(self, *keys: str) -> str | None:
        key, value = self.find(keys)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self.error(key, f"{value!r} is not text", f'Put it in quotes: {key}: "..."')

    def port(self, *keys: str) -> int | None:
        key, value = self.find(keys)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
            raise self.error(key, f"{value!r} is not a port", "Give a number from 1 to 65535")
        return value

    def address(self, key: str) -> str | None:
        """An IP address, not a name."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return str(ipaddress.ip_address(text.strip("[]")))
        except ValueError as error:
            raise self.error(key, f"'{text}' is no IP address", "Write it like 10.0.0.10") from error

    def cores(self, key: str) -> tuple[int, ...] | None:
        """CPU numbers, sorted, from ``"0-3,5"``, a number, or a list of numbers."""
        _, value = self.find((key,))
        if value is None:
            return None
        try:
            return parse_cores(value)
        except ValueError as error:
            raise self.error(key, f"{value!r} names no cores ({error})", "Write it like 0-3,5") from error

    def _usable(self, key: str, value: Any) -> Any:
        if isinstance(value, dict) and "__ansible_vault" in value:
            raise self.error(
                key,
                f"encrypted inline, which {self.file.name} can't be read with",
                "Name the file with the vault's password in ANSIBLE_VAULT_PASSWORD_FILE, or encrypt the "
                "whole variables file (ansible-vault encrypt)",
            )
        if is_unfilled(value):
            raise self.error(
                key, f"{value!r} is a template, and ansible-inventory fills in none", "Write the value itself"
            )
        if value is None or value == "" or value == []:
            raise self.error(key, "has no value", "Give it one, or take the line out")
        return value


def parse_cores(value: object) -> tuple[int, ...]:
    """``"0-3,5"`` -> (0, 1, 2, 3, 5); a number and a list of numbers are taken too. Raises ValueError."""
    parts = value if isinstance(value, list) else str(value).split(",")
    cores: set[int] = set()
    for part in parts:
        first, dash, last = str(part).strip().partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end.isascii() and end.isdigit() for end in ends):
            raise ValueError(f"{part!r} is neither a core nor a range of cores")
        start, end = int(ends[0]), int(ends[1])
        if not start <= end < MAX_CORES:
            raise ValueError(f"{part!r} is no range of cores")
        cores.update(range(start, end + 1))
    return tuple(sorted(cores))


def is_unfilled(value: Any) -> bool:
    """Whether it is a template, or encrypted inline."""
    if isinstance(value, dict):
        return "__ansible_vault" in value
    return any(mark in text for text in _texts(value) for mark in ("{{", "{%"))


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(text for inner in value for text in _texts(inner)) if isinstance(value, list) else ()
