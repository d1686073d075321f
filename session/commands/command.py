"""A command: its name, what it takes and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.option import Parameter, parameters


@dataclass(frozen=True, slots=True)
class Example:
    words: str  # after ./invoke
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """``options`` is a frozen struct, made of a command's words; ``run`` takes one and returns the exit code.

    A field ``root`` of the options becomes the checkout, a field ``given`` the names of the fields that have
    a word in the command.
    """

    name: str  # as it is typed: hosts.check
    summary: str  # one short sentence, for the list of commands
    options: type[msgspec.Struct]
    run: Callable[[Any], int]
    examples: tuple[Example, ...]
    details: str = ""  # for the command's own help
    interrupted: str = ""  # the remedy after Ctrl-C

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return parameters(self.options)

    @property
    def positionals(self) -> tuple[Parameter, ...]:
        return tuple(one for one in self.parameters if one.option.positional)

    @property
    def named(self) -> tuple[Parameter, ...]:
        return tuple(one for one in self.parameters if not one.option.positional)


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    commands: tuple[Command, ...]


def all_commands(groups: Iterable[Group]) -> Iterator[Command]:
    for group in groups:
        yield from group.commands
