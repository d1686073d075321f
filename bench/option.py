"""An option of a command: what its one definition says, beside the type and the default of its field.

A command's options are the fields of a frozen struct that are annotated with an Option, for example
``port: Annotated[int, Option("what the servers listen on", example="9000")] = 8000``. Help, parsing,
completion and the command to repeat a benchmark follow from that.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Option:
    """``name`` is empty where the option is called as its field is, with dashes for underscores."""

    meaning: str  # for help; begins with a small letter, ends without a full stop
    example: str = ""  # a value to give, for remedies
    name: str = ""
    shown: str = ""  # what stands for the value in help; empty: by the field's type
    values: str | tuple[str, ...] = ()  # the values to choose from, or which of session/commands/values.py
    parse: Callable[[str], object] | None = None  # raises ValueError saying what it takes; None: by the type
    default: str = ""  # in words, where the value says nothing; help has it in brackets
    positional: bool = False  # given without its name, in the order of the fields
    not_with: tuple[str, ...] = ()  # names of options beside which this one would do nothing


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option together with its field."""

    field: str
    name: str  # on the command line, without dashes
    kind: type  # str, int, bool, tuple (of texts) or Path; None as its default is left out
    default: Any  # msgspec.NODEFAULT: it must be given
    option: Option

    @property
    def is_flag(self) -> bool:
        return self.kind is bool

    @property
    def is_required(self) -> bool:
        return self.default is msgspec.NODEFAULT

    @property
    def word(self) -> str:
        """What a user types for it: ``--port``, ``NAME``."""
        return self.shown if self.option.positional else f"--{self.name}"

    @property
    def shown(self) -> str:
        """What stands for its value."""
        usual = {int: "N", tuple: "A,B", Path: "FILE"}.get(self.kind, "NAME")
        return self.option.shown or (self.field.upper() if self.option.positional else usual)


@functools.cache
def parameters(kind: type[msgspec.Struct]) -> tuple[Parameter, ...]:
    """The fields of ``kind`` that are options, in their order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = []
    for field in msgspec.structs.fields(kind):
        for option in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(option, Option):
                name = option.name or field.name.replace("_", "-")
                plain = _plain(hints[field.name].__origin__)
                found.append(Parameter(field.name, name, plain, field.default, option))
    return tuple(found)


def _plain(hint: Any) -> type:
    """``int`` of ``int | None``, ``tuple`` of ``tuple[str, ...]``."""
    if isinstance(hint, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    return typing.cast(type, typing.get_origin(hint) or hint)


def text_of(value: object) -> str:
    """An option's value as a word of the command line; nothing for None."""
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)
