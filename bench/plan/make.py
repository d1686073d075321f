"""What was asked for becomes a plan, before any host is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from bench.catalogue.own_lock import OwnLock, with_app, with_own_locks
from bench.catalogue.read import Catalogue, load_catalogue, load_profiles
from bench.catalogue.versions import for_version, read_lock
from bench.clients import USUAL_CLIENT
from bench.environment.hosts import Inventory
from bench.errors import UsageError
from bench.nearest import guess
from bench.plan.endpoints import KnownEndpoints
from bench.plan.load_clients import with_clients
from bench.plan.locustfile import UserLocustfile, read_locustfile
from bench.plan.plan import PLAN_VERSION, Plan, plan_runs
from bench.plan.rate import parse_rates
from bench.plan.request import VERSION_SETS, BenchRequest, command_again
from bench.plan.scaling import parse_balancers, parse_workers
from bench.plan.serving import as_served, with_serving
from bench.spec import Arrivals, Endpoint, Profile, ServerSpec
from bench.version import asgibench_version

LOCK_FILE = "uv.lock"
OVERHEAD_GUESS_SECONDS = 2.0

Value = TypeVar("Value")


class Prepared(msgspec.Struct, frozen=True):
    """All that is known before any host is touched."""

    inventory: Inventory
    plan: Plan
    own_locks: tuple[OwnLock, ...] = ()  # of the plan's servers with requirements of their own


def asked_servers(request: BenchRequest, known: KnownEndpoints) -> tuple[ServerSpec, ...]:
    """The entries that are asked for, the test app's packages among requirements of their own.

    Raises UsageError or CatalogueError.
    """
    return _with_app(request, _chosen(request, known))


def asked_environments(request: BenchRequest, known: KnownEndpoints) -> tuple[ServerSpec, ...]:
    """``asked_servers``, and each as it is set up for all that it is to serve. Raises as that."""
    profile = with_serving(_profile(request), request)
    endpoints = known.chosen(request.endpoints) if request.locustfile is None else ()
    return _with_app(request, as_served(_chosen(request, known), profile, endpoints))


def _chosen(request: BenchRequest, known: KnownEndpoints) -> tuple[ServerSpec, ...]:
    version_set = request.version_set or _profile(request).version_set
    return chosen_servers(load_catalogue(known.names, request.catalogue), request.servers, version_set)


def _with_app(request: BenchRequest, chosen: Sequence[ServerSpec]) -> tuple[ServerSpec, ...]:
    if not any(spec.requirements for spec in chosen):
        return tuple(chosen)
    # Reading it takes a third of a second.
    lock = read_lock(request.root / LOCK_FILE)
    return tuple(with_app(spec, lock) for spec in chosen)


def make_plan(
    request: BenchRequest,
    inventory: Inventory,
    known: KnownEndpoints,
    own_locks: Sequence[OwnLock] = (),
) -> Plan:
    """The seeded plan of what was asked for, of ``known`` endpoints.

    ``own_locks`` has the lock of each of ``asked_servers`` with requirements of its own. Raises UsageError or
    CatalogueError.
    """
    profile, specs, locustfile, endpoints = check_request(request, known)
    lock = with_own_locks(read_lock(request.root / LOCK_FILE), own_locks)
    servers = tuple(for_version(spec, lock.version_of(spec)) for spec in specs)
    created = datetime.now(UTC)
    seed = request.seed if request.seed is not None else int(created.timestamp())
    runs, skipped = plan_runs(servers, endpoints, profile, inventory.name, seed)
    if not runs:
        raise UsageError(
            "nothing is left to measure: " + "; ".join(one.reason for one in skipped),
            remedy="Choose other servers or endpoints",
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
        command=command_again(request, seed),
        created_at=created.isoformat(timespec="seconds"),
        lock_sha256=hashlib.sha256((request.root / LOCK_FILE).read_bytes()).hexdigest(),
        asgibench_version=asgibench_version(request.root),
        locustfile=locustfile,
        own_locks={one.group: one.sha256 for one in own_locks},
    )


def check_request(
    request: BenchRequest, known: KnownEndpoints
) -> tuple[Profile, tuple[ServerSpec, ...], UserLocustfile | None, tuple[Endpoint, ...]]:
    """What is asked for, found out without an inventory: so a slip is told before any program is run.

    Raises UsageError or CatalogueError.
    """
    if not 0 < request.port < 65_536:
        raise UsageError(f"there is no port {request.port}", remedy="Choose one from 1 to 65535")
    if request.locustfile is not None and request.rates:
        raise UsageError("a user's locustfile sets its own pace", remedy="Leave --rate out")
    profile = with_serving(_with_rates(_profile(request), request), request)
    profile = with_clients(profile, request)
    profile = _with_workers(profile, request)
    specs = asked_servers(request, known)
    locustfile = None if request.locustfile is None else read_locustfile(request.locustfile, known.names)
    if locustfile is not None and profile.clients != (USUAL_CLIENT,):
        raise UsageError(
            f"profile {profile.name} brings clients of its own, {', '.join(profile.clients)}",
            remedy="Leave --locustfile out, or choose another profile",
        )
    return profile, specs, locustfile, _endpoints(request, known, locustfile)


def chosen_servers(
    catalogue: Catalogue, names: Sequence[str], version_set: str = ""
) -> tuple[ServerSpec, ...]:
    """The entries meant by ``names`` (empty: the defaults) in ``version_set``: current, paper, both, or "".

    Without a set, each name is an entry's own. With ``both``, today's version and the paper's of each stand
    side by side. Raises UsageError for a name that the set has nothing for.
    """
    wanted = dict.fromkeys(names or catalogue.defaults)
    if not names and version_set in ("paper", "both"):
        wanted = dict.fromkeys(_name_in_sets(name, catalogue) for name in catalogue.defaults)
    if not version_set:
        return tuple(catalogue.server(name) for name in wanted)
    sets = _named(VERSION_SETS, version_set, "set of versions")
    found: dict[str, ServerSpec] = {}
    for name in wanted:
        spec = catalogue.server(name)
        members = {one.version_set: one for one in catalogue.servers if (one.family or one.name) == name}
        members = members or {spec.version_set: spec}
        for one in sets:
            if one not in members:
                raise UsageError(
                    f"{name} is not in the set {one}",
                    remedy=_sets_remedy(spec, catalogue),
                )
            found[members[one].name] = members[one]
    return tuple(found.values())


def _name_in_sets(name: str, catalogue: Catalogue) -> str:
    """Of a default server: the name by which --set finds its package's versions; its own if there is none."""
    families = {one.family: one.package for one in catalogue.servers if one.family}
    package = catalogue.server(name).package
    return name if name in families else next((one for one in families if families[one] == package), name)


def _sets_remedy(spec: ServerSpec, catalogue: Catalogue) -> str:
    if spec.family:
        return f"Name {spec.family}, which --set finds in either set, or leave --set out"
    members = [one for one in catalogue.servers if one.version_set == "paper"]
    paper = [one.family or one.name for one in sorted(members, key=lambda one: not one.family)]
    return f"The set paper has {', '.join(paper)}; name others without --set"


def _profile(request: BenchRequest) -> Profile:
    return _named(load_profiles(request.catalogue), request.profile, "profile")


def _with_rates(profile: Profile, request: BenchRequest) -> Profile:
    parse_rates(request.rates)
    known: dict[str, Arrivals] = {"constant": "constant", "poisson": "poisson"}
    arrivals = _named(known, request.arrivals or profile.arrivals, "kind of arrivals")
    rates = request.rates or profile.rates
    if request.arrivals and not rates:
        raise UsageError(
            "--arrivals is of the requests at a rate, and no rate is asked for",
            remedy="Add --rate, such as --rate 70%, or leave --arrivals out",
        )
    return msgspec.structs.replace(profile, rates=rates, arrivals=arrivals)


def _with_workers(profile: Profile, request: BenchRequest) -> Profile:
    """With the workers and balancers that are asked for. Raises UsageError."""
    return msgspec.structs.replace(
        profile,
        server_workers=parse_workers(request.workers) or profile.server_workers,
        balancers=parse_balancers(request.balancers) or profile.balancers,
    )


def _endpoints(
    request: BenchRequest, known: KnownEndpoints, locustfile: UserLocustfile | None
) -> tuple[Endpoint, ...]:
    if locustfile is None:
        return known.chosen(request.endpoints)
    if request.endpoints:
        raise UsageError(
            "--endpoints says what our engine asks for, and --locustfile brings requests of its own",
            remedy="Leave one of the two out",
        )
    return (locustfile.endpoint,)


def _named(known: Mapping[str, Value], name: str, kind: str) -> Value:
    if name not in known:
        raise UsageError(
            f"there is no {kind} {name!r}", remedy=f"{guess(name, known)}There are {', '.join(known)}"
        )
    return known[name]
