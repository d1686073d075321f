"""From runs to cells: medians over repeats with their intervals (see bench/results/estimate.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from bench.errors import ResultError
from bench.judge.benchmark import benchmark_reasons, left_out, merged, not_run, unlike_rates, unranked_because
from bench.judge.reason import Reason
from bench.judge.rules.rates import is_server_behind
from bench.judge.speed import cell_speed_reasons
from bench.plan.plan import Plan
from bench.results.balancer import balancer_figures
from bench.results.cell import Cell
from bench.results.course import cell_speed
from bench.results.estimate import Estimate, estimate
from bench.results.figures import Bytes, OpenLoop
from bench.results.growth import growth_over
from bench.results.imbalance import median_imbalance
from bench.results.latency import Latency, median_latency
from bench.results.over_runs import latency_over_runs
from bench.results.run import RunResult
from bench.results.summary import SUMMARY_VERSION, CellSummary, Summary
from bench.served import USUAL_PROTOCOL


def summarise(
    plan: Plan,
    runs: Sequence[RunResult],
    added: Sequence[Reason] = (),
    all_requests: Mapping[Cell, Latency] = {},
) -> Summary:
    """Every planned cell over its valid runs, in the plan's order of servers, then endpoints, then workers.

    A cell without a valid run is summed up over all its runs and has ``valid=False`` with the reasons.
    Latency is the median over runs of each percentile; its maximum is the greatest of all. How it varies
    over runs, and the percentiles of ``all_requests`` together, stand beside it. Memory: medians over runs,
    except the peak, which is the greatest.
    ``added`` are the warnings that the sessions had to give, of the hosts and of runs that failed.
    Raises ResultError for a run that the plan doesn't hold, and for a cell measured with two versions.
    """
    _check_runs(plan, runs)
    cells = tuple(_cell_summary(cell, runs, all_requests.get(cell)) for cell in _planned_cells(plan))
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
        warnings=(*benchmark_reasons(plan, runs), *dict.fromkeys(added)),
    )


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
            cell.protocol != USUAL_PROTOCOL,
            cell.protocol,
            cell.tls,
            cell.workers,
            cell.connections,
            cell.rate_share or 0.0,
            cell.rate_per_second or 0.0,
            plan.profile.balancers.index(cell.balancer),
            plan.profile.load_on.index(cell.load_on),
            plan.profile.clients.index(cell.client),
        ),
    )


def _cell_summary(cell: Cell, all_runs: Sequence[RunResult], all_requests: Latency | None) -> CellSummary:
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
        requests_per_second=_throughput(used),
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
        latency_over_runs=latency_over_runs(used, all_requests),
        client=cell.client,
        load_on=cell.load_on,
        rss_growth=growth_over([run.rss_growth for run in used if run.rss_growth is not None]),
        speed=cell_speed(used),
        unranked_because=unranked_because(valid),
        tls=cell.tls,
        protocol=cell.protocol,
        balancer=cell.balancer,
        balancer_figures=balancer_figures([(run.balancer, run.requests) for run in used if run.balancer]),
        imbalance=median_imbalance(used),
    )


def _throughput(runs: Sequence[RunResult]) -> Estimate:
    """A rate that was stated and met has no interval: nobody's speed is in it."""
    found = estimate([run.requests_per_second for run in runs])
    offered = {run.open_loop.offered_rate_per_second for run in runs if run.open_loop is not None}
    if not offered or (len(offered) == 1 and any(is_server_behind(run.reasons) for run in runs)):
        return found
    return Estimate(found.median, None, None, found.runs)


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
        own_maximum_per_second=_median(
            [one.own_maximum_per_second for one in found if one.own_maximum_per_second is not None]
        ),
        ended_after_seconds=min(
            (one.ended_after_seconds for one in found if one.ended_after_seconds is not None), default=None
        ),
    )


def _cell_reasons(cell: Cell, runs: Sequence[RunResult], all_runs: Sequence[RunResult]) -> tuple[Reason, ...]:
    """Of its valid runs first, then why others are left out; without a valid run, of all its runs."""
    if not runs:
        return (not_run(cell, all_runs),)
    valid = [run for run in runs if run.valid]
    if not valid:
        return merged(runs, len(runs))
    void = merged([run for run in runs if not run.valid], len(runs))
    of_speed = cell_speed_reasons(cell_speed(valid))
    return (
        *merged(valid, len(runs)),
        *of_speed,
        *unlike_rates(valid),
        *(left_out(reason) for reason in void if reason.invalidates),
    )


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
