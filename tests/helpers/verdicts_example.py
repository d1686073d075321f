"""Benchmarks of servers with these figures, for tests of who is ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.judge.reason import Reason
from bench.plan.plan import PlannedRun, plan_runs
from bench.results.run import RunResult
from tests.helpers.endpoints import ENDPOINTS, SHORTBODY
from tests.helpers.results_example import QUICK, SERVERS, Example, example, run_result

VOID = Reason("cpu_stolen", "the hypervisor took 31 % of the server's cores", "Measure again", True)
IDLE = Reason("not_saturated", "nothing was at its limit", "Add connections", False, unranks=True)


@dataclass(frozen=True)
class Made:
    """What a run came to: its requests/s, and whether it counts."""

    rate: float
    is_valid: bool = True
    is_maximum: bool = True


Blocks = Sequence[Made | float | None]
"""A server's runs by block, a bare figure being a valid run; None: it was not made."""


def benchmark(figures: Mapping[tuple[str, str], Blocks]) -> Example:
    """The runs of each server on each endpoint. All have equally many blocks."""
    names = list(dict.fromkeys(server for server, _ in figures))
    endpoints = [one for one in ENDPOINTS if one.name in {endpoint for _, endpoint in figures}]
    servers = tuple(msgspec.structs.replace(SERVERS[0], name=name) for name in names)
    profile = msgspec.structs.replace(QUICK, name="blocks", blocks=len(next(iter(figures.values()))))
    planned, skipped = plan_runs(servers, endpoints, profile, "lab", seed=7)
    base = example(QUICK)
    plan = msgspec.structs.replace(
        base.plan,
        profile=profile,
        servers=servers,
        endpoints=tuple(endpoints),
        runs=planned,
        skipped=skipped,
    )
    template = run_result(next(run for run in base.plan.runs if run.cell.endpoint == "shortbody"), QUICK, 0.0)
    found = (_run(template, one, figures[one.cell.server, one.cell.endpoint]) for one in planned)
    return Example(plan, base.environment, tuple(run for run in found if run is not None))


def shortbody(figures: Mapping[str, Blocks]) -> Example:
    return benchmark({(server, SHORTBODY.name): blocks for server, blocks in figures.items()})


def _run(template: RunResult, planned: PlannedRun, blocks: Blocks) -> RunResult | None:
    given = blocks[planned.block - 1]
    if given is None:
        return None
    made = given if isinstance(given, Made) else Made(given)
    reasons = (() if made.is_valid else (VOID,)) + (() if made.is_maximum else (IDLE,))
    return msgspec.structs.replace(
        template,
        run_id=planned.id,
        cell=planned.cell,
        block=planned.block,
        position=planned.position,
        requests_per_second=made.rate,
        valid=made.is_valid,
        reasons=reasons,
    )
