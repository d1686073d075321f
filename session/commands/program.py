# mypy: disable-error-code="misc"
# Invoke has no types: its classes are Any, and can be subclassed all the same.
"""asgibench's own program on Invoke, and the same commands as tasks for the plain `invoke`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke import Argument, Collection, Context, Program, Task
from invoke.exceptions import Exit

from bench.errors import AsgibenchError, UsageError
from bench.version import asgibench_version
from reports.terminal.screen import print_what_can_be_printed
from session.commands.answer import answer, tell
from session.commands.command import Command, Group, all_commands
from session.commands.completion import script_of
from session.commands.help import columns, command_help, program_help
from session.commands.reading import find_command, options_of, read_words

HELP_WORDS = ("--help", "-h", "help")


class CommandTask(Task[None]):
    """A command as a task of Invoke. Its arguments are the command's options, by their long names alone."""

    def __init__(self, command: Command, root: Path) -> None:
        def body(context: Context, **given: str | bool | None) -> None:
            words = {field: value for field, value in given.items() if value not in (None, False)}
            dry = bool(context.config.run.dry)
            sys.exit(run_command(command, words, root, dry=dry))

        body.__doc__ = command.summary
        super().__init__(body, name=command.name.rpartition(".")[2], positional=(), auto_shortflags=False)
        self.command = command

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        return [
            Argument(
                names=(one.name,),
                attr_name=None if one.field == one.name else one.field,
                kind=bool if one.is_flag else str,
                default=False if one.is_flag else None,
                help=one.option.meaning,
                positional=one.option.positional,
            )
            for one in sorted(self.command.parameters, key=lambda one: not one.option.positional)
        ]


def run_command(command: Command, words: Mapping[str, Any], root: Path, *, dry: bool = False) -> int:
    """The exit code. ``dry`` is Invoke's own --dry, which can't hold here."""

    def run() -> int:
        if dry:
            raise UsageError(
                "Invoke's --dry can't keep a command of asgibench from running",
                remedy="Leave it out; ./invoke bench --dry-run shows what a benchmark would do",
            )
        return command.run(options_of(command, words, root))

    return answer(run, interrupted=command.interrupted, debug=bool(words.get("debug")))


def collection_of(groups: Sequence[Group], root: Path) -> Collection:
    """The commands as Invoke's tasks: ``hosts.check`` is ``check`` in the collection ``hosts``."""
    top = Collection()
    families: dict[str, Collection] = {}
    for command in all_commands(groups):
        family = command.name.rpartition(".")[0]
        if family and family not in families:
            families[family] = Collection(family)
            top.add_collection(families[family])
        (families[family] if family else top).add_task(CommandTask(command, root))
    return top


class AsgibenchProgram(Program):
    """`./invoke`: one command a call, with no options but the command's own, --help and --version."""

    def __init__(self, groups: Sequence[Group], root: Path) -> None:
        version = asgibench_version(root)
        super().__init__(version, collection_of(groups, root), name="asgibench", binary="./invoke")
        self.groups = groups
        self.root = root

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002 (Invoke's own name)
        print_what_can_be_printed()
        try:
            super().run(argv, exit)
        except AsgibenchError as error:
            sys.exit(tell(error))

    def core_args(self) -> list[Argument]:
        return []

    def parse_core(self, argv: list[str] | None) -> None:
        self.normalize_argv(argv)
        self.core: list[Any] = []

    def parse_collection(self) -> None:
        self.collection = self.namespace

    def parse_tasks(self) -> None:
        """Settle which command is to run, with which words. Raises Exit after help, version or a script."""
        words = self.argv[1:]
        commands = list(all_commands(self.groups))
        if not words or words[0] in HELP_WORDS:
            self._help([word for word in words[1:] if word not in HELP_WORDS])
        if words[0] == "--version":
            if words[1:]:
                raise UsageError("--version stands alone", remedy="Leave the other words out")
            self.print_version()
            raise Exit
        if words[0].startswith("--print-completion-script"):
            shell = words[0].partition("=")[2] or "".join(words[1:2])
            print(script_of(shell, self.root), end="")
            raise Exit
        command = find_command(words[0], commands)
        if any(word in HELP_WORDS[:2] for word in words[1:]):
            self._help([command.name])
        self.tasks = [(command.name, read_words(command, words[1:]))]

    def _help(self, names: Sequence[str]) -> None:
        """Print the help of a command, or of all; raises Exit."""
        width = columns()
        if names:
            commands = list(all_commands(self.groups))
            print("\n\n".join(command_help(find_command(one, commands), self.root, width) for one in names))
        else:
            title = f"asgibench {self.version}: which ASGI server is fastest on your hosts, and how surely"
            print(program_help(self.groups, title, width))
        raise Exit

    def parse_cleanup(self) -> None:
        """Nothing is left to settle."""

    def update_config(self, merge: bool = True) -> None:
        """Invoke's own settings, from its files and variables, don't count here."""
