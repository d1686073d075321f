"""`./invoke hosts.check`, `hosts.trust`, `hosts.clean`: the hosts of an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from bench.plan.request import BenchRequest, Catalogue, Debug, Hosts, JsonFile, Port, Results
from session.commands.answer import tell
from session.commands.command import Command, Example


class CheckOptions(msgspec.Struct, frozen=True):
    root: Path
    hosts: Hosts = "local"
    profile: Annotated[
        str, Option("the plan to check the hosts for", example="review", values="profiles")
    ] = "quick"
    port: Port = 8000
    catalogue: Catalogue = None
    results: Results = None
    json: JsonFile = None
    debug: Debug = False


def check(options: CheckOptions) -> int:
    from reports.terminal.findings import finding_lines
    from reports.terminal.screen import terminal_columns
    from session.prepare import check_environment

    request = BenchRequest(
        root=options.root,
        hosts=options.hosts,
        profile=options.profile,
        port=options.port,
        catalogue=options.catalogue,
        results=options.results,
    )
    checked, error = check_environment(request, options.json)
    print("\n".join(finding_lines(checked.findings, terminal_columns())), flush=True)
    return 0 if error is None else tell(error, debug=options.debug)


class TrustOptions(msgspec.Struct, frozen=True):
    root: Path
    hosts: Hosts
    yes: Annotated[bool, Option("pin without asking")] = False
    debug: Debug = False


def trust(options: TrustOptions) -> int:
    from remote.trust import trust_hosts

    trust_hosts(options.root, options.hosts, say=print, confirm=_agreed if options.yes else _confirm)
    return 0


def _agreed(question: str) -> bool:
    return True


def _confirm(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


class CleanOptions(msgspec.Struct, frozen=True):
    root: Path
    hosts: Hosts
    debug: Debug = False


def clean(options: CleanOptions) -> int:
    from remote.clean import clean_hosts

    clean_hosts(options.root, options.hosts, say=print)
    return 0


CHECK = Command(
    "hosts.check",
    "Check what hosts and links can carry, and what stops a plan",
    CheckOptions,
    check,
    (
        Example("hosts.check --hosts cloud", "the hosts of inventory/cloud.yml"),
        Example("hosts.check --hosts cloud --profile review --json check.json", "into a file, too"),
    ),
)
TRUST = Command(
    "hosts.trust",
    "Show each host's key, and pin it beside the inventory",
    TrustOptions,
    trust,
    (Example("hosts.trust --hosts cloud"), Example("hosts.trust --hosts cloud --yes", "without a question")),
)
CLEAN = Command(
    "hosts.clean",
    "Remove every trace of asgibench from the hosts, and look",
    CleanOptions,
    clean,
    (Example("hosts.clean --hosts cloud"), Example("hosts.clean --hosts local", "this machine")),
)
