"""What was asked for becomes a plan, before any host is touched; and the plan in words, for --dry-run."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.catalogue import load_catalogue, load_profiles
from bench.errors import UsageError
from bench.hosts import Inventory
from bench.locustfile import UserLocustfile, read_locustfile
from bench.plan import PLAN_VERSION, Plan, plan_runs
from bench.rate import parse_rates
from bench.spec import ENDPOINTS, Arrivals, Endpoint, Profile

OVERHEAD_GUESS_SECONDS = 2.0

Value = TypeVar("Value")


class BenchRequest(msgspec.Struct, frozen=True):
    """What the user asked for. Empty ``servers`` or ``endpoints``: the catalogue's defaults.

    Empty ``rates`` or ``arrivals``: the profile's.
    """

    root: Path
    hosts: str = "local"
    servers: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    profile: str = "quick"
    name: str = ""
    seed: int | None = None
    port: int = 8000
    rates: tuple[str, ...] = ()
    arrivals: str = ""
    resume: bool = False
    catalogue: Path | None = None
    results: Path | None = None
    locustfile: Path | None = None

    @property
    def results_root(self) -> Path:
        return self.results or self.root / "results"


class Prepared(msgspec.Struct, frozen=True):
    """All that is known before any host is touched."""

    inventory: Inventory
    plan: Plan


def make_plan(request: BenchRequest, inventory: Inventory) -> Plan:
    """The seeded plan of what was asked for. Raises UsageError or CatalogueError."""
    if not 0 < request.port < 65_536:
        raise UsageError(f"there is no port {request.port}", remedy="choose one from 1 to 65535")
    if request.locustfile is not None and request.rates:
        raise UsageError("a user's locustfile sets its own pace", remedy="leave --rate out")
    catalogue = load_catalogue(request.catalogue)
    profile = _with_rates(_named(load_profiles(request.catalogue), request.profile, "profile"), request)
    servers = tuple(catalogue.server(name) for name in dict.fromkeys(request.servers or catalogue.defaults))
    locustfile = None if request.locustfile is None else read_locustfile(request.locustfile)
    if locustfile is not None and profile.clients != ("engine",):
        raise UsageError(
            f"profile {profile.name} brings clients of its own, {', '.join(profile.clients)}",
            remedy="leave --locustfile out, or choose another profile",
        )
    endpoints = _endpoints(request, locustfile)
    created = datetime.now(UTC)
    seed = request.seed if request.seed is not None else int(created.timestamp())
    runs, skipped = plan_runs(servers, endpoints, profile, inventory.name, seed)
    if not runs:
        raise UsageError(
            "nothing is left to measure: " + "; ".join(one.reason for one in skipped),
            remedy="choose other servers or endpoints",
        )
    return Plan(
        version=PLAN_VERSION,
        name=request.name or f"{created:%Y-%m-%d-%H%M%S}-{inventory.name}",
        environment=inventory.name,
        inventory_path=inventory.path,
        profile=profile,
        servers=servers,
        endpoints=endpoints,
        seed=seed,
        runs=runs,
        skipped=skipped,
        command=_command_again(request, seed),
        created_at=created.isoformat(timespec="seconds"),
        lock_sha256=hashlib.sha256((request.root / "uv.lock").read_bytes()).hexdigest(),
        asgibench_version=_version(request.root),
        locustfile=locustfile,
    )


def _with_rates(profile: Profile, request: BenchRequest) -> Profile:
    parse_rates(request.rates)
    known: dict[str, Arrivals] = {"constant": "constant", "poisson": "poisson"}
    arrivals = _named(known, request.arrivals or profile.arrivals, "kind of arrivals")
    return msgspec.structs.replace(profile, rates=request.rates or profile.rates, arrivals=arrivals)


def _endpoints(request: BenchRequest, locustfile: UserLocustfile | None) -> tuple[Endpoint, ...]:
    known = {endpoint.name: endpoint for endpoint in ENDPOINTS}
    if locustfile is None:
        return tuple(_named(known, name, "endpoint") for name in dict.fromkeys(request.endpoints or known))
    if request.endpoints:
        raise UsageError(
            "--endpoints says what our engine asks for, --locustfile brings requests of its own",
            remedy="leave one of the two out",
        )
    return (locustfile.endpoint,)


def _named(known: Mapping[str, Value], name: str, kind: str) -> Value:
    if name not in known:
        raise UsageError(f"there is no {kind} {name!r}", remedy=f"There are {', '.join(known)}")
    return known[name]


def _command_again(request: BenchRequest, seed: int) -> tuple[str, ...]:
    words = ["./invoke", "bench", "--hosts", request.hosts, "--profile", request.profile, "--seed", str(seed)]
    if request.servers:
        words += ["--servers", ",".join(request.servers)]
    if request.endpoints:
        words += ["--endpoints", ",".join(request.endpoints)]
    if request.rates:
        words += ["--rate", ",".join(request.rates)]
    if request.arrivals:
        words += ["--arrivals", request.arrivals]
    if request.catalogue is not None:
        words += ["--catalogue", str(request.catalogue)]
    if request.locustfile is not None:
        words += ["--locustfile", str(request.locustfile)]
    return tuple(words)


def _version(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def describe(prepared: Prepared) -> list[str]:
    """The plan in lines, for --dry-run: every run in order, and every server's command."""
    plan = prepared.plan
    per_run = plan.load_seconds / len(plan.runs) + OVERHEAD_GUESS_SECONDS
    minutes = per_run * len(plan.runs) / 60
    return [
        f"{plan.name}: {len(plan.runs)} runs, about {minutes:.1f} min, seed {plan.seed}",
        f"hosts: server {prepared.inventory.server.name}; load "
        f"{', '.join(host.name for host in prepared.inventory.loadgen)}",
        *(f"{run.position + 1:>4}  block {run.block}  {run.cell.id}" for run in plan.runs),
        *(f"skipped: {one.cell.id}: {one.reason}" for one in plan.skipped),
        "commands ({…} is filled in on the host):",
        *(f"  {spec.name}: {' '.join(spec.command)}" for spec in plan.servers),
    ]
