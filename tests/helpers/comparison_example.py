"""Benchmarks to be compared with the example: scaled, or of another order and other hosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from bench.plan.plan import plan_runs
from bench.results.comparison import Measured
from bench.results.run import RunResult
from bench.spec import Profile
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import REVIEW, SERVERS, Example, example, run_result


def measured(made: Example) -> Measured:
    return Measured(made.plan.name, made.plan, made.environment, made.runs)


def scaled(made: Example, factor: float, where: Callable[[RunResult], bool] = lambda _: True) -> Example:
    """The same with ``factor`` times the requests a second and half of that change in memory."""

    def change(run: RunResult) -> RunResult:
        assert run.rss_bytes.median is not None and run.cpu_seconds_per_request is not None
        rss = msgspec.structs.replace(run.rss_bytes, median=round(run.rss_bytes.median * (1 + factor) / 2))
        return msgspec.structs.replace(
            run,
            requests_per_second=run.requests_per_second * factor,
            cpu_seconds_per_request=run.cpu_seconds_per_request / factor,
            rss_bytes=rss,
        )

    return made.changed(where, change)


def other(name: str = "later", seed: int = 11, profile: Profile = REVIEW, noise: float = 0.012) -> Example:
    """The same plan in another order on hosts of another name: other runs, the same servers."""
    base = example(profile, name=name, noise=noise)
    runs, skipped = plan_runs(SERVERS, ENDPOINTS, profile, "cloud", seed)
    plan = msgspec.structs.replace(
        base.plan, runs=runs, skipped=skipped, seed=seed, environment="cloud", lock_sha256="aa" * 32
    )
    made = tuple(run_result(planned, profile, noise) for planned in runs)
    return replace(base, plan=plan, runs=made)
