"""What a shell completes. It runs at each TAB, so it imports no more than it needs."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import AsgibenchError, UsageError
from bench.option import Parameter
from session.commands.command import Command, Group, all_commands
from session.commands.values import KINDS, profiles, results, servers

SCRIPTS = "session/commands/completion_scripts"
SHELLS = ("bash", "zsh", "fish")
FILES = "FILES"
"""The one candidate that stands for the shell's own completion of paths."""


def script_of(shell: str, root: Path) -> str:
    """What the shell has to read to complete `./invoke` of this checkout. Raises UsageError."""
    if shell not in SHELLS:
        raise UsageError(
            f"there is no completion for {shell!r}" if shell else "the shell is not named",
            remedy=f"There is one for {', '.join(SHELLS)}: ./invoke completion bash",
        )
    text = (root / SCRIPTS / f"invoke.{shell}").read_text(encoding="utf-8")
    return text.replace("@PROGRAM@", shlex.quote(str(root / "invoke")))


def candidates(words: Sequence[str], groups: Sequence[Group], root: Path) -> list[str]:
    """What the last of ``words`` (after ./invoke; it may be empty) can become."""
    *before, last = words or [""]
    commands = {command.name: command for command in all_commands(groups)}
    if not before or before == ["help"]:
        known = [*commands, *(["help", "--help", "--version"] if not before else [])]
        return _beginning(last, known)
    command = commands.get(before[0])
    return [] if command is None else _of_command(command, before[1:], last, root)


def _of_command(command: Command, before: Sequence[str], last: str, root: Path) -> list[str]:
    named = {one.word: one for one in command.named}
    opened = named.get(before[-1]) if before else None
    if opened is not None and not opened.is_flag:
        return _values(opened, last, _given(before), root)
    if last.startswith("--") and "=" in last:
        word, _, value = last.partition("=")
        found = named.get(word)
        if found is None or found.is_flag:
            return []
        return [
            one if one == FILES else f"{word}={one}" for one in _values(found, value, _given(before), root)
        ]
    if last.startswith("-"):
        return _beginning(last, [*(word for word in named if word not in before), "--help"])
    taken = sum(1 for _ in _plain(before, named))
    if taken < len(command.positionals):
        return _values(command.positionals[taken], last, _given(before), root)
    return _beginning(last, [word for word in named if word not in before])


def _plain(words: Sequence[str], named: dict[str, Parameter]) -> Iterator[str]:
    """The words that are neither options nor their values."""
    is_value = False
    for word in words:
        if not is_value and not word.startswith("-"):
            yield word
        is_value = not is_value and word in named and not named[word].is_flag


def _given(words: Sequence[str]) -> dict[str, Path]:
    """Options before, whose values decide what there is: --catalogue and --results."""
    pairs = [*itertools.pairwise(words), *(tuple(one.split("=", 1)) for one in words if "=" in one)]
    return {one[0]: Path(one[1]).expanduser() for one in pairs if one[0] in ("--catalogue", "--results")}


def _values(one: Parameter, last: str, given: dict[str, Path], root: Path) -> list[str]:
    if one.kind is Path:
        return [FILES]
    kind = one.option.values
    if isinstance(kind, tuple):
        return _beginning(last, kind)
    try:
        if kind in ("servers", "profiles"):
            known = (servers if kind == "servers" else profiles)(root, given.get("--catalogue"))
        elif kind == "results":
            known = results(root, given.get("--results"))
        else:
            known = KINDS[kind](root)
    except AsgibenchError:
        known = ()  # a catalogue that can't be read is told when the command runs, not at TAB
    if one.kind is not tuple:
        found = _beginning(last, known)
        return found or ([FILES] if kind in ("inventories", "results") else [])
    kept, comma, begun = last.rpartition(",")
    used = kept.split(",")
    return [f"{kept}{comma}{name}" for name in _beginning(begun, known) if name not in used]


def _beginning(text: str, known: Sequence[str]) -> list[str]:
    return [one for one in known if one.startswith(text)]
