"""Whether two benchmarks followed the same plan: every way in which they didn't.

Names, seeds, times, environments, locked packages and asgibench's version may differ: that is what a
comparison is for. So may the number of blocks, which only widens or narrows intervals. Whatever else differs,
the figures are of different things. A field that is added to a plan counts as such until it is named here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bench.catalogue.serving import for_serving
from bench.errors import UnlikePlans
from bench.plan.plan import Plan
from bench.results.cell import Cell
from bench.spec import Endpoint, ServerSpec

_FREE_IN_PLAN = frozenset(
    {
        *("version", "name", "environment", "inventory_path", "seed", "command", "created_at"),
        *("lock_sha256", "own_locks", "asgibench_version", "runs", "skipped"),
        *("profile", "servers", "endpoints", "locustfile"),  # looked into part by part
    }
)
_FREE_IN_PROFILE = frozenset(("name", "description", "blocks"))
_FREE_IN_SERVER = frozenset(
    {
        *("name", "title", "licence", "set_up", "environment_group", "requirements", "access_logger"),
        *("unhonoured_settings", "added_headers"),
        *("unsupported_endpoints", "max_workers"),  # they decide which cells there are: compared as such
    }
)
_FREE_IN_ENDPOINT = frozenset(("name", "description"))
_MOST_CELLS_NAMED = 6


class Difference(msgspec.Struct, frozen=True):
    """Something that isn't the same in two plans, in words for a reader."""

    what: str
    a: str  # in A
    b: str


def check_alike(a: Plan, b: Plan) -> None:
    """Raises UnlikePlans, naming every difference, unless both plans measure the same things."""
    found = plan_differences(a, b)
    if not found:
        return
    lines = [f"  {item.what}: {item.a} in {a.name} (A), {item.b} in {b.name} (B)" for item in found]
    names = ", ".join(item.what for item in found)
    raise UnlikePlans(
        f"{a.name} and {b.name} followed unlike plans, which no ratio can bridge: they differ in {names}",
        remedy="Measure both with the same servers, endpoints and profile; the command is in each report",
        detail="\n".join(lines),
    )


def plan_differences(a: Plan, b: Plan) -> tuple[Difference, ...]:
    """What keeps two plans from being compared, in the plan's order; empty where nothing does."""
    return (
        *_fields("profile: ", a.profile, b.profile, _FREE_IN_PROFILE),
        *_named("server", _as_started(a), _as_started(b)),
        *_named("endpoint", {one.name: one for one in a.endpoints}, {one.name: one for one in b.endpoints}),
        *_locustfiles(a, b),
        *_fields("", a, b, _FREE_IN_PLAN),
        *_cells(a, b),
    )


def without_environment(cell: Cell) -> Cell:
    """The cell on any hosts: by this the cells of two benchmarks are matched."""
    return msgspec.structs.replace(cell, environment="")


def _as_started(plan: Plan) -> dict[str, ServerSpec]:
    """By name, for plain HTTP/1.1: what an entry could serve besides is in older plans not written down."""
    return {one.name: for_serving(one) for one in plan.servers}


def _named(
    kind: str, a: Mapping[str, ServerSpec | Endpoint], b: Mapping[str, ServerSpec | Endpoint]
) -> Iterator[Difference]:
    if a.keys() != b.keys():
        yield Difference(f"{kind}s", _listed(a), _listed(b))
    for name in a:
        if name in b:
            free = _FREE_IN_SERVER if kind == "server" else _FREE_IN_ENDPOINT
            yield from _fields(f"{kind} {name}: ", a[name], b[name], free)


def _fields(prefix: str, a: msgspec.Struct, b: msgspec.Struct, free: frozenset[str]) -> Iterator[Difference]:
    ours, theirs = msgspec.structs.asdict(a), msgspec.structs.asdict(b)
    for name, own in ours.items():
        if name not in free and own != theirs[name]:
            yield Difference(f"{prefix}{name.replace('_', ' ')}", _shown(own), _shown(theirs[name]))


def _locustfiles(a: Plan, b: Plan) -> Iterator[Difference]:
    """The same content is the same load, whatever the file is called."""
    ours = "" if a.locustfile is None else a.locustfile.sha256
    theirs = "" if b.locustfile is None else b.locustfile.sha256
    if ours != theirs:
        yield Difference("locustfile", _locustfile_shown(a), _locustfile_shown(b))


def _locustfile_shown(plan: Plan) -> str:
    return "none (asgibench's own engine)" if plan.locustfile is None else plan.locustfile.title


def _cells(a: Plan, b: Plan) -> Iterator[Difference]:
    """Cells that only one of the plans has, though servers, endpoints and load levels are the same."""
    ours, theirs = _planned(a), _planned(b)
    servers = {one.name for one in a.servers} & {one.name for one in b.servers}
    endpoints = {one.name for one in a.endpoints} & {one.name for one in b.endpoints}
    if a.profile.server_workers != b.profile.server_workers or a.profile.rates != b.profile.rates:
        return
    if a.profile.connections != b.profile.connections:
        return
    only_a = [cell for cell in ours if cell not in theirs and cell.server in servers]
    only_b = [cell for cell in theirs if cell not in ours and cell.server in servers]
    only_a = [cell for cell in only_a if cell.endpoint in endpoints]
    only_b = [cell for cell in only_b if cell.endpoint in endpoints]
    if only_a or only_b:
        yield Difference("cells measured in one only", _cell_names(only_a), _cell_names(only_b))


def _planned(plan: Plan) -> dict[Cell, None]:
    return dict.fromkeys(without_environment(run.cell) for run in plan.runs)


def _cell_names(cells: list[Cell]) -> str:
    named = [cell.id for cell in cells[:_MOST_CELLS_NAMED]]
    rest = len(cells) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "") if named else "none"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "none"


def _shown(value: Any) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, tuple | list):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, msgspec.Struct):
        return _shown(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={own}" for key, own in value.items()) or "none"
    return str(value) or "none"
