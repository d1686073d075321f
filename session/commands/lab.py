"""`./invoke lab.up`, `lab.down`, `lab.status`: SSH hosts on this Linux machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from bench.plan.request import Debug
from session.commands.command import Command, Example
from session.commands.shown import say


class UpOptions(msgspec.Struct, frozen=True):
    root: Path
    loadgens: Annotated[int, Option("how many load hosts", example="2")] = 2
    database: Annotated[bool, Option("PostgreSQL on a host of its own")] = False
    releases: Annotated[
        tuple[str, ...],
        Option(
            "what the hosts run, in turn, the server host first", example="bookworm,trixie", values="releases"
        ),
    ] = ("bookworm",)
    debug: Debug = False


def up(options: UpOptions) -> int:
    from inventory.lab import LabSpec
    from inventory.lab import up as lab_up

    spec = LabSpec(loadgens=options.loadgens, database=options.database, releases=options.releases)
    lab_up(spec, inventory_directory=options.root / "inventory", report=say)
    return 0


class LabOptions(msgspec.Struct, frozen=True):
    root: Path
    debug: Debug = False


def down(options: LabOptions) -> int:
    from inventory.lab import down as lab_down

    lab_down(inventory_directory=options.root / "inventory", report=say)
    return 0


def status(options: LabOptions) -> int:
    from inventory.lab import status as lab_status

    hosts = lab_status().hosts
    if not hosts:
        print("no lab is up")
    for host in hosts:
        state = "up" if host.is_reachable else "no answer on port 22"
        print(f"{host.name:<12} {host.address:<14} {', '.join(host.groups):<8} {state}")
    return 0


UP = Command(
    "lab.up",
    "Make SSH hosts on this Linux machine (as root)",
    UpOptions,
    up,
    (
        Example("lab.up", "a server and two load hosts"),
        Example("lab.up --loadgens 1 --database --releases bookworm,trixie"),
    ),
    details="Writes inventory/lab.yml, for --hosts lab.",
    interrupted="`./invoke lab.down` removes what was made, `./invoke lab.up` goes on",
)
DOWN = Command(
    "lab.down",
    "Remove the lab",
    LabOptions,
    down,
    (Example("lab.down"),),
    details="The cached base system stays.",
)
STATUS = Command(
    "lab.status", "Show which hosts of the lab are up", LabOptions, status, (Example("lab.status"),)
)
