"""Messages between processes as dataclasses: to JSON and back. Standard library only, for both ends.

A message is a frozen dataclass. Its fields are numbers, texts, booleans, ``X | None``, ``tuple[X, ...]``,
``list[X]``, ``dict[str, X]``, literals, and other dataclasses. A line is one JSON object in UTF-8 with a line
feed at its end. Where one line may be of several kinds, one key (``do`` or ``event``) names the kind.

How a kind is read and written is worked out once and kept: a load worker's histograms, which have more than
a thousand pairs, pass here every second.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Message = TypeVar("Message")
Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]


class WireError(ValueError):
    """A line that is no message of the kind that was expected.

    ``where`` leads from the message to what is wrong in it, and is the beginning of the text.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"{where} {problem}" if where else problem)
        self.problem, self.where = problem, where

    def inside(self, outer: str) -> WireError:
        """The same, seen from one step further out."""
        return WireError(self.problem, outer + self.where)


def to_plain(value: Any) -> Any:
    """The value as what JSON has. A field that is None stays: both ends see every key.

    A tuple of nothing but numbers and texts stays the tuple that it is.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _written(write, getattr(value, name)) for name, write in _field_writers(type(value))}
    if isinstance(value, Mapping):
        return {key: to_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(inner) for inner in value]
    return value


def from_plain(kind: type[Message], plain: Any) -> Message:
    """A message of ``kind``. Raises WireError naming the field that is missing or of another type.

    Keys that the kind doesn't have are left out, so that a newer sender is understood.
    """
    try:
        return typing.cast(Message, _reader(typing.cast(Any, kind))(plain))
    except WireError as error:
        raise error.inside(kind.__name__) from None


def encode_line(message: object, **tag: str | int) -> bytes:
    """One line. ``tag`` names the kind, such as ``do="start"``, and what else stands beside the message."""
    return json.dumps({**tag, **to_plain(message)}, separators=(",", ":")).encode() + b"\n"


def encode_tagged(kinds: Mapping[str, type[Any]], key: str, message: object) -> bytes:
    """One line of a message of one of ``kinds``, whose name is put under ``key``. Raises KeyError."""
    names = {kind: name for name, kind in kinds.items()}
    return encode_line(message, **{key: names[type(message)]})


def decode_line(kind: type[Message], line: bytes | str) -> Message:
    """Raises WireError."""
    return from_plain(kind, plain_of(line))


def decode_tagged(kinds: Mapping[str, type[Any]], key: str, line: bytes | str) -> Any:
    """The message of one of ``kinds``, which the line's ``key`` names. Raises WireError."""
    plain = plain_of(line)
    name = plain.get(key) if isinstance(plain, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise WireError(f"{key} is {name!r}, not one of {', '.join(kinds)}")
    return from_plain(kinds[name], plain)


def plain_of(line: bytes | str) -> Any:
    """What the line says, before its kind is known. Raises WireError."""
    try:
        return json.loads(line)
    except ValueError as error:
        raise WireError(f"not JSON ({error}): {line[:80]!r}") from error


# ---------------------------------------------------------------- writing


def _written(write: Writer | None, value: Any) -> Any:
    return value if write is None or value is None else write(value)


@functools.cache
def _field_writers(kind: type[Any]) -> tuple[tuple[str, Writer | None], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, _writer(hints[field.name])) for field in dataclasses.fields(kind))


def _writer(kind: Any) -> Writer | None:
    """What makes a value of the kind plain; None where it is plain as it is."""
    return None if _is_plain(kind) else to_plain


def _is_plain(kind: Any) -> bool:
    if kind is Any or kind is object or dataclasses.is_dataclass(kind):
        return False
    if typing.get_origin(kind) is typing.Literal:
        return True
    return all(_is_plain(part) for part in typing.get_args(kind) if part is not ...)


# ---------------------------------------------------------------- reading


@functools.cache
def _reader(kind: Any) -> Reader:
    """What makes a value of the kind of a plain one, or raises WireError."""
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(typing.cast("type[Any]", kind))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _either_reader(arguments)
    if origin is typing.Literal:
        return _literal_reader(arguments)
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        return _sequence_reader(origin, _reader(arguments[0]))
    if origin is tuple:
        return _pair_reader(arguments) if arguments == (int, int) else _parts_reader(arguments)
    if origin is dict:
        return _dict_reader(_reader(arguments[1]))
    if kind is Any or kind is object:
        return lambda plain: plain
    return _float_reader if kind is float else _scalar_reader(kind)


def _float_reader(plain: Any) -> Any:
    if type(plain) is float:
        return plain
    if type(plain) is int:
        return float(plain)
    raise WireError(f"is {plain!r:.80}, not of type float")


def _scalar_reader(kind: type[Any]) -> Reader:
    def read(plain: Any) -> Any:
        if type(plain) is not kind:
            raise WireError(f"is {plain!r:.80}, not of type {kind.__name__}")
        return plain

    return read


def _literal_reader(allowed: tuple[Any, ...]) -> Reader:
    def read(plain: Any) -> Any:
        if plain not in allowed:
            raise WireError(f"is {plain!r}, not one of {allowed}")
        return plain

    return read


def _dataclass_reader(kind: type[Any]) -> Reader:
    hints = typing.get_type_hints(kind)
    fields = [
        (
            field.name,
            _reader(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    ]

    def read(plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise WireError(f"is no object: {plain!r:.80}")
        found = {}
        for name, read_field, is_needed in fields:
            if name in plain:
                try:
                    found[name] = read_field(plain[name])
                except WireError as error:
                    raise error.inside(f".{name}") from None
            elif is_needed:
                raise WireError("is missing", f".{name}")
        return kind(**found)

    return read


def _either_reader(kinds: tuple[Any, ...]) -> Reader:
    takes_none = type(None) in kinds
    readers = [_reader(kind) for kind in kinds if kind is not type(None)]

    def read(plain: Any) -> Any:
        if plain is None and takes_none:
            return None
        first: WireError | None = None
        for read_one in readers:
            try:
                return read_one(plain)
            except WireError as error:
                first = first or error
        raise first or WireError(f"is {plain!r:.80}")

    return read


def _sequence_reader(make: Callable[[list[Any]], Any], read_one: Reader) -> Reader:
    def read(plain: Any) -> Any:
        if not isinstance(plain, (list, tuple)):
            raise WireError(f"is no list: {plain!r:.80}")
        found: list[Any] = []
        try:
            for inner in plain:
                found.append(read_one(inner))  # noqa: PERF401  # its length says which was wrong
        except WireError as error:
            raise error.inside(f"[{len(found)}]") from None
        return make(found)

    return read


def _parts_reader(kinds: tuple[Any, ...]) -> Reader:
    readers = [_reader(kind) for kind in kinds]

    def read(plain: Any) -> Any:
        if not isinstance(plain, (list, tuple)):
            raise WireError(f"is no list: {plain!r:.80}")
        if len(plain) != len(readers):
            raise WireError(f"has {len(plain)} parts, not {len(readers)}")
        found: list[Any] = []
        try:
            for read_one, inner in zip(readers, plain, strict=True):
                found.append(read_one(inner))
        except WireError as error:
            raise error.inside(f"[{len(found)}]") from None
        return tuple(found)

    return read


def _pair_reader(kinds: tuple[Any, ...]) -> Reader:
    """Of two whole numbers, as histograms have them; what isn't that is left to say to the slower reader."""
    read_parts = _parts_reader(kinds)

    def read(plain: Any) -> Any:
        if type(plain) is list and len(plain) == 2 and type(plain[0]) is type(plain[1]) is int:
            return (plain[0], plain[1])
        return read_parts(plain)

    return read


def _dict_reader(read_one: Reader) -> Reader:
    def read(plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise WireError(f"is no object: {plain!r:.80}")
        found = {}
        for key, inner in plain.items():
            try:
                found[key] = read_one(inner)
            except WireError as error:
                raise error.inside(f"[{key!r}]") from None
        return found

    return read
