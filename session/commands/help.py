"""The texts of --help."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.option import Parameter, text_of
from session.commands.command import Command, Example, Group
from session.commands.values import KINDS, usual

LINES_AT_MOST = 100
INDENT = "  "
EXAMPLES = (
    Example("bench", "this machine, in about two minutes"),
    Example("lab.up --loadgens 2", "three hosts to try it on (Linux, root)"),
    Example("bench --hosts lab --profile review", "for a decision"),
    Example("compare before after", "two results"),
)
HINTS = (
    ("./invoke COMMAND --help", "what a command takes, with examples"),
    ("./invoke completion bash", "completion in your shell: bash, zsh or fish"),
    ("./invoke --version", "the version"),
)
LISTED = ("endpoints", "profiles", "releases")
"""The kinds of values that are few: help has them all."""


def columns() -> int:
    """How wide the texts may be: the terminal's width, and no more than can be read well."""
    return min(shutil.get_terminal_size().columns, LINES_AT_MOST)


def program_help(groups: Sequence[Group], title: str, width: int) -> str:
    """All commands in their groups, and how to go on."""
    first = max(len(one.name) for group in groups for one in group.commands)
    lines = [*_wrapped(title, width), "", f"{INDENT}./invoke COMMAND [options]"]
    for group in groups:
        lines += ["", group.title, *_rows([(one.name, one.summary) for one in group.commands], first, width)]
    lines += ["", "Examples", *_examples(EXAMPLES, width)]
    lines += ["", "More", *_rows(HINTS, max(len(left) for left, _ in HINTS), width)]
    return "\n".join(lines)


def command_help(command: Command, root: Path, width: int) -> str:
    """What a command does, what it takes, and examples."""
    words = " ".join(["./invoke", command.name, *(one.shown for one in command.positionals), "[options]"])
    lines = _wrapped(f"{command.summary}. {command.details}".strip(), width)
    lines += ["", f"{INDENT}{words}"]
    rows = [(_left(one), _meaning(one, root)) for one in command.parameters]
    rows.append(("--help, -h", "this text"))
    lines += ["", "Options", *_rows(rows, max(len(left) for left, _ in rows), width)]
    lines += ["", "Examples", *_examples(command.examples, width)]
    return "\n".join(lines)


def _left(one: Parameter) -> str:
    return one.word if one.option.positional or one.is_flag else f"{one.word} {one.shown}"


def _meaning(one: Parameter, root: Path) -> str:
    choices = one.option.values
    default = one.option.default
    if isinstance(choices, str):
        default = default or ", ".join(usual(choices, root) if one.kind is tuple else ())
        choices = KINDS[choices](root) if choices in LISTED else ()
    if not (one.is_required or one.is_flag or default):
        default = text_of(one.default)
    brackets = [f"one of {', '.join(choices)}" if choices and one.kind is not tuple else ", ".join(choices)]
    brackets.append(f"default: {default}" if default else "")
    brackets.append("required" if one.is_required and not one.option.positional else "")
    inside = "; ".join(filter(None, brackets))
    return f"{one.option.meaning} ({inside})" if inside else one.option.meaning


def _rows(rows: Iterable[tuple[str, str]], first: int, width: int) -> Iterator[str]:
    """Two columns, the left one ``first`` characters wide."""
    hanging = INDENT + " " * (first + 2)
    for left, right in rows:
        begun = f"{INDENT}{left:<{first}}  "
        for line in _wrapped(right, max(20, width - len(hanging))):
            yield f"{begun}{line}"
            begun = hanging


def _examples(examples: Sequence[Example], width: int) -> Iterator[str]:
    """Each command on a line that can be copied; its purpose beside it, or above it."""
    words = [f"./invoke {one.words}" for one in examples]
    first = max(map(len, words))
    is_beside = all(len(INDENT) + first + 2 + len(one.meaning) <= width for one in examples)
    for one, typed in zip(examples, words, strict=True):
        if is_beside:
            yield f"{INDENT}{typed:<{first}}  {one.meaning}".rstrip()
            continue
        if one.meaning:
            yield f"{INDENT}# {one.meaning}"
        yield f"{INDENT}{typed}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
