"""`./invoke completion`: a script for the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from session.commands.command import Command, Example
from session.commands.completion import SHELLS, script_of


class CompletionOptions(msgspec.Struct, frozen=True):
    root: Path
    shell: Annotated[str, Option("the shell that reads it", positional=True, values=SHELLS)]


def run(options: CompletionOptions) -> int:
    print(script_of(options.shell, options.root), end="")
    return 0


COMMAND = Command(
    "completion",
    "Print the completion script of a shell",
    CompletionOptions,
    run,
    (
        Example("completion bash", "in bash: source <(./invoke completion bash)"),
        Example("completion zsh", "in zsh, after compinit: source <(./invoke completion zsh)"),
        Example("completion fish", "in fish: ./invoke completion fish | source"),
    ),
    details="It completes commands, options, servers, profiles, results, inventories and endpoints.",
)
