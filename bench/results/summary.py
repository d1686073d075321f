"""From runs to cells: medians over repeats with their intervals.

The interval is Student's t on the logarithms of the runs' figures, back on the figures' own scale. A ratio
scale suits throughput (noise is a share of the figure), a few runs are enough for it, and for a log-normal
figure it bounds the median itself. Order statistics, which assume less, reach 95 % from six runs on only.
Where the sample's median lies outside (skewed runs), the interval is widened to hold it, never narrowed.
It says how the figure would vary over repeats on these hosts, not over other hosts or days.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean, median, stdev
from typing import Any

import msgspec

from bench.errors import ResultError
from bench.plan.plan import Plan
from bench.results.latency import latency_schema, median_latency
from bench.results.result import (
    SUMMARY_VERSION,
    Bytes,
    Cell,
    CellSummary,
    Estimate,
    OpenLoop,
    Reason,
    RunResult,
    Summary,
)

CONFIDENCE = 0.95
DERIVED_WARNINGS = ("incomplete", "one_block", "invalid_runs")
"""The codes of the warnings that plan and runs alone give."""


def summarise(plan: Plan, runs: Sequence[RunResult], added: Sequence[Reason] = ()) -> Summary:
    """Every planned cell over its valid runs, in the plan's order of servers, then endpoints, then workers.

    A cell without a valid run is summed up over all its runs and has ``valid=False`` with the reasons.
    Latency is the median over runs of each percentile (not a percentile of all requests together); its
    maximum is the greatest of all. Memory: medians over runs, except the peak, which is the greatest.
    ``added`` are the warnings that the sessions had to give, of the hosts and of runs that failed.
    Raises ResultError for a run that the plan doesn't hold, and for a cell measured with two versions.
    """
    _check_runs(plan, runs)
    cells = tuple(_cell_summary(cell, runs) for cell in _planned_cells(plan))
    return Summary(
        version=SUMMARY_VERSION,
        name=plan.name,
        created_at=plan.created_at,
        environment=plan.environment,
        profile=plan.profile.name,
        seed=plan.seed,
        complete=len(runs) == len(plan.runs),
        runs_planned=len(plan.runs),
        runs_done=len(runs),
        cells=cells,
        skipped=plan.skipped,
        warnings=(*_warnings(plan, runs), *dict.fromkeys(added)),
    )


def added_warnings(summary: Summary) -> tuple[Reason, ...]:
    """The warnings of a summary that its sessions have added: plan and runs don't give them again."""
    return tuple(reason for reason in summary.warnings if reason.code not in DERIVED_WARNINGS)


def estimate(values: Sequence[float]) -> Estimate:
    """The median with its 95 % interval; no interval for fewer than two values or any that is not above 0."""
    count = len(values)
    if count == 0:
        return Estimate(None, None, None, 0)
    middle = median(values)
    if count == 1 or min(values) <= 0:
        return Estimate(middle, None, None, count)
    logarithms = [math.log(value) for value in values]
    centre = fmean(logarithms)
    half = half_width(stdev(logarithms), count)
    # exp(log(x)) may miss x by an ulp: equal runs have an interval of no width around the median.
    low = min(math.exp(centre - half), middle)
    high = max(math.exp(centre + half), middle)
    return Estimate(middle, low, high, count)


def half_width(deviation: float, count: int) -> float:
    """Half of the 95 % interval of a mean of ``count`` >= 2 values with this sample deviation."""
    return t_quantile(0.5 + CONFIDENCE / 2, count - 1) * deviation / math.sqrt(count)


def t_quantile(probability: float, degrees: int) -> float:
    """The inverse of Student's t distribution for whole degrees of freedom, by bisection to 1e-12.

    Raises ValueError unless 0.5 <= ``probability`` < 1 and ``degrees`` >= 1.
    """
    if not 0.5 <= probability < 1 or degrees < 1:
        raise ValueError(f"no t quantile for probability {probability}, {degrees} degrees of freedom")
    low, high = 0.0, 1.0
    while t_cumulative(high, degrees) < probability:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if t_cumulative(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_cumulative(value: float, degrees: int) -> float:
    """P(T <= value) for ``value`` >= 0: the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan2(value, math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    first = 1 + degrees % 2
    term = 1.0 if degrees % 2 == 0 else math.cos(angle)
    total = 0.0
    for k in range(first, degrees, 2):
        total += term
        term *= cosine_squared * k / (k + 1)
    inside = total * math.sin(angle)
    if degrees % 2 == 1:
        inside = (angle + inside) * 2 / math.pi
    return 0.5 + inside / 2


def summary_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of summary.json; reports/summary.schema.json is this, checked in."""
    schema = msgspec.json.schema(Summary)
    schema["$defs"]["Latency"] = latency_schema(schema["$defs"]["Latency"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"asgibench summary.json, version {SUMMARY_VERSION}",
        **schema,
    }


def _check_runs(plan: Plan, runs: Sequence[RunResult]) -> None:
    planned = {run.id: run.cell for run in plan.runs}
    versions: dict[Cell, RunResult] = {}
    for run in runs:
        if planned.get(run.run_id) != run.cell:
            raise ResultError(
                f"run {run.run_id} is no run of plan {plan.name}",
                remedy="Keep one folder to one plan: move the run's folder out of it",
            )
        first = versions.setdefault(run.cell, run)
        if first.server_version != run.server_version:
            raise ResultError(
                f"{run.cell.id} was measured with {first.server_version} ({first.run_id})"
                f" and {run.server_version} ({run.run_id})",
                remedy="Unlike runs aren't merged: measure again under another --name",
            )


def _planned_cells(plan: Plan) -> list[Cell]:
    servers = {server.name: index for index, server in enumerate(plan.servers)}
    endpoints = {endpoint.name: index for index, endpoint in enumerate(plan.endpoints)}
    cells = dict.fromkeys(run.cell for run in plan.runs)
    return sorted(
        cells,
        key=lambda cell: (
            servers[cell.server],
            endpoints[cell.endpoint],
            cell.workers,
            cell.connections,
            cell.rate_share or 0.0,
            cell.rate_per_second or 0.0,
            plan.profile.load_on.index(cell.load_on),
            plan.profile.clients.index(cell.client),
        ),
    )


def _cell_summary(cell: Cell, all_runs: Sequence[RunResult]) -> CellSummary:
    runs = [run for run in all_runs if run.cell == cell]
    valid = [run for run in runs if run.valid]
    used = valid or runs
    open_loop = _open_loop([run.open_loop for run in used if run.open_loop is not None])
    return CellSummary(
        server=cell.server,
        server_version=runs[0].server_version if runs else "",
        endpoint=cell.endpoint,
        workers=cell.workers,
        connections=cell.connections,
        environment=cell.environment,
        requests_per_second=estimate([run.requests_per_second for run in used]),
        latency_seconds=median_latency(run.latency_seconds for run in used),
        rss_bytes=_bytes([run.rss_bytes for run in used]) or Bytes(None, None, None),
        pss_bytes=_bytes([run.pss_bytes for run in used if run.pss_bytes is not None]),
        uss_bytes=_bytes([run.uss_bytes for run in used if run.uss_bytes is not None]),
        cpu_seconds_per_request=_median(
            [run.cpu_seconds_per_request for run in used if run.cpu_seconds_per_request is not None]
        ),
        failures=sum(sum(run.failures.values()) for run in used),
        limit=_commonest([run.limit.name for run in used]),
        valid=bool(valid),
        reasons=_cell_reasons(cell, runs, all_runs),
        rate_per_second=_rate(cell, open_loop),
        rate_share=cell.rate_share,
        open_loop=open_loop,
        client=cell.client,
        load_on=cell.load_on,
    )


def _rate(cell: Cell, open_loop: OpenLoop | None) -> float | None:
    if cell.rate_share is None or open_loop is None:
        return cell.rate_per_second
    return open_loop.offered_rate_per_second


def _open_loop(found: Sequence[OpenLoop]) -> OpenLoop | None:
    if not found:
        return None
    return OpenLoop(
        offered_rate_per_second=median(one.offered_rate_per_second for one in found),
        achieved_rate_per_second=median(one.achieved_rate_per_second for one in found),
        service_latency_seconds=median_latency(one.service_latency_seconds for one in found),
        send_lag_seconds=median_latency(one.send_lag_seconds for one in found),
        backlog_max=max(one.backlog_max for one in found),
        backlog_dropped=max(one.backlog_dropped for one in found),
    )


def _cell_reasons(cell: Cell, runs: Sequence[RunResult], all_runs: Sequence[RunResult]) -> tuple[Reason, ...]:
    if not runs and cell.rate_share is not None and _is_maximum_void(cell, all_runs):
        return (
            Reason(
                "rate_unknown",
                f"{cell.rate_share * 100:g} % of its maximum is unknown: no closed-loop run is valid",
                "See why its closed-loop runs are void, or state a rate in requests a second",
                invalidates=True,
            ),
        )
    if not runs:
        return (Reason("not_run", "it has not been run yet", "Go on with --resume", invalidates=True),)
    valid = [run for run in runs if run.valid]
    if not valid:
        return _merged(runs, len(runs))
    left_out = [run for run in runs if not run.valid]
    reasons = list(_merged(valid, len(runs)))
    for reason in _merged(left_out, len(runs)):
        if reason.invalidates:
            text = f"left out of the figures: {reason.text}"
            reasons.append(Reason(reason.code, text, reason.remedy, invalidates=False))
    return tuple(reasons)


def _is_maximum_void(cell: Cell, all_runs: Sequence[RunResult]) -> bool:
    closed = [run for run in all_runs if run.cell == cell.closed_loop]
    return bool(closed) and not any(run.valid for run in closed)


def _merged(runs: Sequence[RunResult], of: int) -> tuple[Reason, ...]:
    """One reason a code with the number of runs that gave it; those that void a run come first."""
    by_code: dict[str, list[Reason]] = {}
    for run in runs:
        for code in dict.fromkeys(reason.code for reason in run.reasons):
            same = [reason for reason in run.reasons if reason.code == code]
            # One that voids a run outweighs a remark of the same code.
            by_code.setdefault(code, []).append(max(same, key=lambda reason: reason.invalidates))
    merged = []
    for reasons in by_code.values():
        first = max(reasons, key=lambda reason: reason.invalidates)
        text = first.text if of == 1 else f"{first.text} ({len(reasons)} of {of} runs)"
        merged.append(msgspec.structs.replace(first, text=text))
    return tuple(sorted(merged, key=lambda reason: not reason.invalidates))


def _bytes(values: Sequence[Bytes]) -> Bytes | None:
    if not values:
        return None
    return Bytes(
        idle=_whole(_median, [value.idle for value in values]),
        median=_whole(_median, [value.median for value in values]),
        peak=_whole(max, [value.peak for value in values]),
        after=_whole(_median, [value.after for value in values]),
    )


def _whole(measure: Callable[[list[float]], float | None], values: Sequence[int | None]) -> int | None:
    known: list[float] = [value for value in values if value is not None]
    found = measure(known) if known else None
    return None if found is None else round(found)


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _commonest(names: Sequence[str]) -> str:
    return Counter(names).most_common(1)[0][0] if names else "none_found"


def _warnings(plan: Plan, runs: Sequence[RunResult]) -> tuple[Reason, ...]:
    warnings = []
    missing = len(plan.runs) - len(runs)
    if missing > 0:
        warnings.append(
            Reason(
                "incomplete", f"{missing} of {len(plan.runs)} planned runs are missing", "Go on with --resume"
            )
        )
    if plan.profile.blocks == 1:
        warnings.append(
            Reason("one_block", "one run each: no interval", "--profile review repeats every cell")
        )
    invalid = sum(not run.valid for run in runs)
    if invalid:
        warnings.append(
            Reason("invalid_runs", f"{invalid} of {len(runs)} runs say nothing about their server")
        )
    return tuple(warnings)
