"""The words of the command line become a command and its options, or one line that says what is wrong."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bench.errors import UsageError
from bench.nearest import nearest
from bench.option import Parameter
from session.commands.command import Command

Words = Mapping[str, str | bool]
"""What was given for each field of a command's options, as it was typed; True for a flag."""


def find_command(name: str, commands: Iterable[Command]) -> Command:
    """Raises UsageError that names the nearest one."""
    known = {command.name: command for command in commands}
    if name in known:
        return known[name]
    if name.startswith("-"):
        raise UsageError(
            f"{name} is not a command, and options stand behind the command",
            remedy="Write ./invoke bench --hosts lab, for example; `./invoke help` lists the commands",
        )
    meant = nearest(name, [*known, *(one.rpartition(".")[2] for one in known)])
    whole = next((one for one in known if meant and one.rpartition(".")[2] == meant), meant)
    guess = f"Did you mean ./invoke {whole}? " if whole else ""
    raise UsageError(f"there is no command {name!r}", remedy=f"{guess}`./invoke help` lists the commands")


def read_words(command: Command, words: Sequence[str]) -> dict[str, str | bool]:
    """By field. Raises UsageError for an unknown option, a missing value, and a word too few or too many."""
    parser = _Parser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for one in command.named:
        action = "store_true" if one.is_flag else "append"
        parser.add_argument(f"--{one.name}", dest=one.field, action=action, default=None)
    try:
        found, left = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise _misused(command, error) from None
    plain = []
    for word in left:
        if word.startswith("-") and word != "-":
            raise _unknown_option(command, word)
        plain.append(word)
    if len(plain) > len(command.positionals):
        raise _too_many(command, plain, words)
    if len(plain) < len(command.positionals):
        missing = command.positionals[len(plain)]
        raise UsageError(
            f"{command.name} needs {missing.shown}, {missing.option.meaning.partition(':')[0]}",
            remedy=_for_example(command),
        )
    given: dict[str, str | bool] = {
        one.field: word for one, word in zip(command.positionals, plain, strict=True)
    }
    for one in command.named:
        value = getattr(found, one.field)
        if isinstance(value, list):
            if len(value) > 1:
                raise UsageError(
                    f"{one.word} is given {len(value)} times, and only one can count",
                    remedy=_once(one, value),
                )
            given[one.field] = value[0]
        elif value:
            given[one.field] = True
    return given


def options_of(command: Command, words: Words, root: Path) -> msgspec.Struct:
    """The command's options, of the right types. Raises UsageError."""
    values: dict[str, Any] = {}
    by_name = {one.name: one for one in command.parameters}
    for one in command.parameters:
        if one.field in words:
            values[one.field] = _value(one, words[one.field])
            for other in one.option.not_with:
                if by_name[other].field in words:
                    raise UsageError(
                        f"{one.word} does nothing with --{other}", remedy="Leave one of the two out"
                    )
        elif one.is_required:
            raise UsageError(f"{command.name} needs {one.word}", remedy=_for_example(command))
    for field in msgspec.structs.fields(command.options):
        if field.name == "root":
            values["root"] = root
        elif field.name == "given":
            values["given"] = frozenset(words)
    return command.options(**values)


def _value(one: Parameter, given: str | bool) -> object:
    if isinstance(given, bool):
        return given
    try:
        return _parsed(one, given.strip())
    except ValueError as error:
        if one.kind is tuple and given.strip(", "):
            # The names that are there, as they have to be written.
            joined = ",".join(given.replace(",", " ").split())
            raise UsageError(
                f"{one.word} {error}, not {given!r}", remedy=f"Write {one.word} {joined}"
            ) from None
        example = one.option.example or (one.option.values[0] if isinstance(one.option.values, tuple) else "")
        raise UsageError(
            f"{one.word} {error}" + (f", not {given!r}" if given.strip() else ""),
            remedy=f"Give {'' if one.option.positional else one.word + ' '}{example}, for example",
        ) from None


def _parsed(one: Parameter, text: str) -> object:
    """Raises ValueError with what the option takes."""
    if not text:
        raise ValueError("needs a value")
    if one.option.parse is not None:
        return one.option.parse(text)
    if isinstance(one.option.values, tuple) and one.option.values and text not in one.option.values:
        raise ValueError(f"is one of {', '.join(one.option.values)}")
    if one.kind is int:
        if not text.isdecimal():
            raise ValueError("is a whole number")
        return int(text)
    if one.kind is tuple:
        return _names(text)
    return Path(text).expanduser() if one.kind is Path else text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise ValueError("has an empty name between its commas")
    if any(len(name.split()) > 1 for name in names):
        raise ValueError("takes names separated by commas")
    return names


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, remedy="`./invoke help` lists the commands")


def _misused(command: Command, error: argparse.ArgumentError) -> UsageError:
    one = next(one for one in command.named if f"--{one.name}" == error.argument_name)
    if one.is_flag:
        return UsageError(f"{one.word} takes no value", remedy=f"Write {one.word} alone")
    example = one.option.example or one.shown
    return UsageError(f"{one.word} needs a value", remedy=f"Give {one.word} {example}, for example")


def _unknown_option(command: Command, word: str) -> UsageError:
    name = word.partition("=")[0]
    meant = nearest(name.lstrip("-"), [one.name for one in command.named])
    guess = f"Did you mean --{meant}? " if meant else ""
    return UsageError(
        f"{command.name} has no option {name}", remedy=f"{guess}`./invoke {command.name} --help` lists them"
    )


def _too_many(command: Command, plain: Sequence[str], words: Sequence[str]) -> UsageError:
    extra = plain[len(command.positionals)]
    before = list(words)[: list(words).index(extra)]
    opened = next((word for word in reversed(before) if word.startswith("--")), "")
    for one in command.named:
        if one.kind is tuple and one.word == opened:
            joined = ",".join([*before[before.index(opened) + 1 :], extra])
            return UsageError(
                f"{one.word} takes names separated by commas, and {extra!r} stands by itself",
                remedy=f"Write {one.word} {shlex.quote(joined)}",
            )
    if any(one.field == "hosts" for one in command.named) and not extra.startswith("-"):
        hint = f"Write --hosts {shlex.quote(extra)} if that is the inventory"
        return UsageError(f"{command.name} takes options only, and {extra!r} is none", remedy=hint)
    takes = " ".join(one.shown for one in command.positionals) or "options only"
    return UsageError(
        f"{command.name} takes {takes}, and {extra!r} is one word too many",
        remedy=f"`./invoke {command.name} --help` shows what it takes",
    )


def _once(one: Parameter, values: Sequence[str]) -> str:
    if one.kind is tuple:
        return f"Write {one.word} {shlex.quote(','.join(values))}"
    return f"Leave all but one out, such as {one.word} {shlex.quote(values[-1])}"


def _for_example(command: Command) -> str:
    return f"Write ./invoke {command.examples[0].words}, for example"
