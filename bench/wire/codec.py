"""Messages between processes as dataclasses: to JSON and back. Standard library only, for both ends.

A message is a frozen dataclass. Its fields are numbers, texts, booleans, ``X | None``, ``tuple[X, ...]``,
``list[X]``, ``dict[str, X]``, literals, and other dataclasses. A line is one JSON object in UTF-8 with a line
feed at its end. Where one line may be of several kinds, one key (``do`` or ``event``) names the kind.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

Message = TypeVar("Message")


class WireError(ValueError):
    """A line that is no message of the kind that was expected."""


def to_plain(value: Any) -> Any:
    """The value as dicts, lists, texts and numbers. A field that is None stays: both ends see every key."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(inner) for inner in value]
    return value


def from_plain(kind: type[Message], plain: Any) -> Message:
    """A message of ``kind``. Raises WireError naming the field that is missing or of another type.

    Keys that the kind doesn't have are left out, so that a newer sender is understood.
    """
    return typing.cast(Message, _convert(kind, plain, kind.__name__))


def encode_line(message: object, **tag: str) -> bytes:
    """One line. ``tag`` is the key that names the kind, such as ``do="start"``."""
    return json.dumps({**tag, **to_plain(message)}, separators=(",", ":")).encode() + b"\n"


def decode_line(kind: type[Message], line: bytes | str) -> Message:
    """Raises WireError."""
    return from_plain(kind, _loads(line))


def decode_tagged(kinds: Mapping[str, type[Any]], key: str, line: bytes | str) -> Any:
    """The message of one of ``kinds``, which the line's ``key`` names. Raises WireError."""
    plain = _loads(line)
    name = plain.get(key) if isinstance(plain, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise WireError(f"{key} is {name!r}, not one of {', '.join(kinds)}")
    return from_plain(kinds[name], plain)


def _loads(line: bytes | str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise WireError(f"not JSON ({error}): {line[:80]!r}") from error


@functools.cache
def _fields(kind: type[Any]) -> tuple[tuple[str, Any, bool], ...]:
    """(name, type, whether it must be there) of each field."""
    hints = typing.get_type_hints(kind)
    return tuple(
        (
            field.name,
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    )


def _convert(kind: Any, plain: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _convert_fields(kind, plain, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_either(arguments, plain, where)
    if origin is typing.Literal:
        if plain not in arguments:
            raise WireError(f"{where} is {plain!r}, not one of {arguments}")
        return plain
    if origin in (tuple, list):
        return _convert_sequence(origin, arguments, plain, where)
    if origin is dict:
        if not isinstance(plain, dict):
            raise WireError(f"{where} is no object: {plain!r:.80}")
        return {key: _convert(arguments[1], inner, f"{where}[{key!r}]") for key, inner in plain.items()}
    if kind is Any or kind is object:
        return plain
    if kind is float and type(plain) is int:
        return float(plain)
    if type(plain) is not kind:
        raise WireError(f"{where} is {plain!r:.80}, not of type {getattr(kind, '__name__', kind)}")
    return plain


def _convert_fields(kind: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise WireError(f"{where} is no object: {plain!r:.80}")
    found = {}
    for name, field_kind, is_needed in _fields(kind):
        if name in plain:
            found[name] = _convert(field_kind, plain[name], f"{where}.{name}")
        elif is_needed:
            raise WireError(f"{where}.{name} is missing")
    return kind(**found)


def _convert_either(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    first: WireError | None = None
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _convert(kind, plain, where)
        except WireError as error:
            first = first or error
    raise first or WireError(f"{where} is {plain!r:.80}")


def _convert_sequence(origin: Any, arguments: tuple[Any, ...], plain: Any, where: str) -> Any:
    if not isinstance(plain, (list, tuple)):
        raise WireError(f"{where} is no list: {plain!r:.80}")
    if origin is list or arguments[1:] == (...,):
        return origin(_convert(arguments[0], inner, f"{where}[{n}]") for n, inner in enumerate(plain))
    if len(plain) != len(arguments):
        raise WireError(f"{where} has {len(plain)} parts, not {len(arguments)}")
    return tuple(
        _convert(one, inner, f"{where}[{n}]")
        for n, (one, inner) in enumerate(zip(arguments, plain, strict=True))
    )
