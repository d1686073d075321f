"""What the user asks of a benchmark: every option of it, once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from bench.clients import CLIENTS
from bench.option import Option, Parameter, parameters, text_of
from bench.served import HTTP_PROTOCOLS
from bench.spec import VersionSet

VERSION_SETS: dict[str, tuple[VersionSet, ...]] = {
    "current": ("current",),
    "paper": ("paper",),
    "both": ("current", "paper"),
}
ARRIVALS = ("constant", "poisson")
TLS_CHOICES: dict[str, tuple[bool, ...]] = {"off": (False,), "on": (True,), "both": (False, True)}

Hosts = Annotated[
    str,
    Option(
        "an inventory's name (inventory/NAME.yml or .ini) or its path; NAME:GROUP for a group of it",
        example="lab",
        values="inventories",
    ),
]
Servers = Annotated[
    tuple[str, ...],
    Option(
        "names separated by commas, of those that `./invoke servers` lists",
        example="uvicorn,daphne",
        values="servers",
    ),
]
Endpoints = Annotated[
    tuple[str, ...],
    Option("what is asked for, separated by commas", example="shortbody,orders", values="endpoints"),
]
Port = Annotated[int, Option("what the servers listen on", example="9000")]
Catalogue = Annotated[
    Path | None, Option("a TOML file with servers and profiles of your own", example="mine.toml")
]


def folder(text: str) -> Path:
    """Raises ValueError where it is something else."""
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError("is a folder")
    return path


def new_file(text: str) -> Path:
    """A file to write, found out before anything is measured for it. Raises ValueError."""
    path = Path(text).expanduser()
    if path.is_dir():
        raise ValueError("is a file to write")
    return path


JsonFile = Annotated[Path | None, Option("write all of it to this file", example="out.json", parse=new_file)]
Results = Annotated[
    Path | None,
    Option(
        "the folder for results", shown="FOLDER", example="elsewhere", parse=folder, default="results/ here"
    ),
]
Debug = Annotated[bool, Option("a traceback with each error")]


class BenchRequest(msgspec.Struct, frozen=True):
    """What the user asked for.

    Empty ``servers``: the catalogue's defaults. Empty ``endpoints``: the usual ones. Empty ``rates``,
    ``arrivals``, ``tls``, ``protocols`` or ``clients``: the profile's. Empty ``version_set``: the entries
    that ``servers`` name; else (current, paper, both) each of ``servers`` in that set. ``given`` names the
    fields that have a word in the command, so that a default that was asked for differs from one that was
    not.
    """

    root: Path
    given: frozenset[str] = frozenset()
    hosts: Hosts = "local"
    servers: Servers = ()
    version_set: Annotated[
        str,
        Option(
            "versions of the servers: today's, the paper's, or both side by side",
            default="the profile's",
            name="set",
            example="both",
            values=tuple(VERSION_SETS),
        ),
    ] = ""
    endpoints: Endpoints = ()
    profile: Annotated[
        str,
        Option("how long and how hard", example="review", values="profiles"),
    ] = "quick"
    name: Annotated[
        str,
        Option(
            "the folder below results/",
            example="first",
            values="results",
            default="date, time and inventory",
        ),
    ] = ""
    seed: Annotated[
        int | None,
        Option("for the order of the runs and the test data", example="7", default="the time"),
    ] = None
    port: Port = 8000
    rates: Annotated[
        tuple[str, ...],
        Option(
            "also at these rates: requests/s (500), or of each server's own maximum (70%)",
            name="rate",
            example="500,70%",
        ),
    ] = ()
    arrivals: Annotated[
        str,
        Option("of the requests at a rate", example="poisson", values=ARRIVALS, default="the profile's"),
    ] = ""
    tls: Annotated[
        str,
        Option(
            "with TLS, without it, or both side by side",
            default="the profile's",
            example="both",
            values=tuple(TLS_CHOICES),
        ),
    ] = ""
    protocols: Annotated[
        tuple[str, ...],
        Option(
            f"what is spoken to endpoints of HTTP, of {', '.join(HTTP_PROTOCOLS)}",
            example="http/1.1,h2",
            default="the profile's",
        ),
    ] = ()
    clients: Annotated[
        tuple[str, ...],
        Option(
            f"what makes the load, of {', '.join(CLIENTS)}",
            example="engine,h2load",
            default="the profile's, and what else a protocol takes",
        ),
    ] = ()
    workers: Annotated[
        tuple[str, ...],
        Option(
            "worker processes of each server, each number a measurement of its own",
            example="1,2",
            default="the profile's",
            shown="N,M",
        ),
    ] = ()
    balancers: Annotated[
        tuple[str, ...],
        Option(
            "what stands before the servers: behind haproxy each worker is a process on a Unix socket",
            name="balancer",
            example="none,haproxy",
            default="the profile's",
        ),
    ] = ()
    catalogue: Catalogue = None
    results: Results = None
    locustfile: Annotated[
        Path | None,
        Option(
            "a locustfile of your own, one file, in place of asgibench's engine and --endpoints",
            example="locustfile.py",
        ),
    ] = None
    resume: Annotated[bool, Option("go on with the benchmark --name", default="the latest")] = False

    @property
    def results_root(self) -> Path:
        return self.results or self.root / "results"


NOT_REPEATED = ("hosts", "profile", "seed", "name", "resume")
"""Fields without a word of their own in the command: three are always named, and --name would be taken."""
SETTLED = (
    *("servers", "version_set", "endpoints", "profile", "seed", "rates", "arrivals"),
    *("tls", "protocols", "clients", "workers", "balancers", "catalogue"),
)
"""Fields that a plan settles: with --resume they can only be what they were."""


def command_again(request: BenchRequest, seed: int) -> tuple[str, ...]:
    """The command that plans and measures the same again."""
    words = ["./invoke", "bench", "--hosts", request.hosts, "--profile", request.profile, "--seed", str(seed)]
    for one in parameters(BenchRequest):
        value = getattr(request, one.field)
        if one.field not in NOT_REPEATED and value != one.default:
            words += [f"--{one.name}", text_of(value)]
    return tuple(words)


def other_than_planned(request: BenchRequest, command: Sequence[str]) -> tuple[Parameter, str] | None:
    """The first option that asks for another benchmark than ``command`` planned, and what that has.

    Options that a plan settles, and only those that have a word. An empty text stands for the default.
    """
    planned = dict(itertools.pairwise(command))
    for one in parameters(BenchRequest):
        if one.field in SETTLED and one.field in request.given:
            kept = planned.get(f"--{one.name}", text_of(one.default))
            if kept != text_of(getattr(request, one.field)):
                return one, kept
    return None
