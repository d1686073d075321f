"""What the load workers saw: one-second slices as typed values, cut to the window and merged exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, median

import msgspec

from bench.plan.rate import OfferedRate
from bench.results.figures import LoadWorker, OpenLoop, Second
from bench.results.invariants import ReadSpool
from bench.results.latency import P50, P99, latency_of, quantile_seconds
from bench.results.window import Window, WorkerSecond
from bench.wire.histogram import Histogram
from bench.wire.slices import LocustTotals, Pairs, Slice, Totals
from bench.wire.worker import SpoolHead, SpoolTotals

_SLICES = msgspec.json.Decoder(Slice)


class StoppedRun(msgspec.Struct, frozen=True):
    """A run's data from every load worker."""

    run: str
    slices: dict[str, tuple[Slice, ...]]
    totals: dict[str, Totals]
    locust: LocustTotals


def cut_window(
    slices: Mapping[str, Sequence[Slice]],
    hosts: Mapping[str, str],
    *,
    warmup_seconds: int,
    window_seconds: int,
) -> Window:
    """Slices ``warmup .. warmup + window - 1`` of every worker, merged. ``hosts`` maps worker to host."""
    chosen = range(warmup_seconds, warmup_seconds + window_seconds)
    inside = {worker: [one for one in rows if one.k in chosen] for worker, rows in slices.items()}
    everything = [one for rows in inside.values() for one in rows]
    return Window(
        seconds=window_seconds,
        requests=sum(one.requests for one in everything),
        failures=_add_counts(one.failures for one in everything),
        bytes_received=sum(one.bytes_received for one in everything),
        histogram=_merge(one.histogram for one in everything),
        failure_histogram=_merge(one.failure_histogram for one in everything),
        workers=tuple(
            _worker(name, hosts[name], rows, window_seconds) for name, rows in sorted(inside.items())
        ),
        gaps=_gaps(inside, chosen),
        send_lag=_merge(one.send_lag for one in everything),
        service_histogram=_merge(one.service_histogram for one in everything),
        backlog_max=max(sum(one.backlog_max for one in everything if one.k == k) for k in chosen),
        backlog_dropped=sum(one.backlog_dropped for one in everything),
        waited=_merge(_waited(everything, chosen[-1])),
        waited_service=_merge(_waited_since_sent(everything, chosen[-1])),
        bodies_checked=sum(one.bodies_checked for one in everything),
        silence=tuple(_worker_second(worker, one) for worker, rows in sorted(inside.items()) for one in rows),
        measured_seconds=_measured_seconds(inside),
    )


def _waited(slices: Sequence[Slice], last: int) -> Iterator[Pairs]:
    """Of requests that failed by timeout, and of those in flight at the end of second ``last``."""
    yield from (one.unanswered for one in slices)
    yield from (one.in_flight for one in slices if one.k == last)


def _waited_since_sent(slices: Sequence[Slice], last: int) -> Iterator[Pairs]:
    yield from (one.unanswered_service for one in slices)
    yield from (one.in_flight_service for one in slices if one.k == last)


def _worker_second(worker: str, one: Slice) -> WorkerSecond:
    return WorkerSecond(
        worker=worker,
        second=one.k,
        quiet_seconds_max=one.quiet_seconds_max,
        quiet_seconds_at_end=one.quiet_seconds_at_end,
        stalls=one.stalls,
        in_flight=one.in_flight,
    )


def _measured_seconds(inside: Mapping[str, Sequence[Slice]]) -> float | None:
    """The mean over load workers; None where no slice came."""
    lengths = [sum(one.seconds for one in rows) for rows in inside.values() if rows]
    return mean(lengths) if lengths else None


def open_loop_of(window: Window, offered: OfferedRate, ended_after_seconds: int | None = None) -> OpenLoop:
    """What an open loop adds to its window's figures. ``ended_after_seconds``: see OpenLoop."""
    return OpenLoop(
        offered_rate_per_second=offered.per_second,
        achieved_rate_per_second=window.requests_per_second,
        service_latency_seconds=latency_of(window.service_histogram, window.waited_service),
        send_lag_seconds=latency_of(window.send_lag),
        backlog_max=window.backlog_max,
        backlog_dropped=window.backlog_dropped,
        own_maximum_per_second=offered.own_maximum_per_second,
        ended_after_seconds=ended_after_seconds,
    )


def per_second(
    slices: Mapping[str, Sequence[Slice]], *, warmup_seconds: int, window_seconds: int
) -> tuple[Second, ...]:
    """The run second by second over all workers, from the epoch to the window's end, without memory."""
    window = range(warmup_seconds, warmup_seconds + window_seconds)
    rows = []
    for second in range(warmup_seconds + window_seconds):
        everything = [one for found in slices.values() for one in found if one.k == second]
        answered = Histogram()
        for one in everything:
            answered.add_pairs(one.histogram)
        rows.append(
            Second(
                second=second,
                in_window=second in window,
                requests=sum(one.requests for one in everything),
                failures=sum(sum(one.failures.values()) for one in everything),
                p50_seconds=quantile_seconds(answered, P50),
                p99_seconds=quantile_seconds(answered, P99),
                server_rss_bytes=None,
                bytes_received=sum(one.bytes_received for one in everything),
            )
        )
    return tuple(rows)


def parse_spool(data: bytes) -> ReadSpool:
    """A worker's own file of a run. Raises msgspec.MsgspecError where it is damaged or has no totals."""
    first, *lines = data.rstrip().split(b"\n")
    last = lines.pop() if lines else b""
    return ReadSpool(
        head=msgspec.json.decode(first, type=SpoolHead),
        slices=tuple(_SLICES.decode(line) for line in lines),
        totals=msgspec.json.decode(last, type=SpoolTotals).totals,
    )


def _gaps(inside: Mapping[str, Sequence[Slice]], chosen: range) -> dict[str, tuple[int, ...]]:
    gaps = {worker: tuple(sorted(set(chosen) - {one.k for one in rows})) for worker, rows in inside.items()}
    return {worker: seconds for worker, seconds in gaps.items() if seconds}


def _worker(name: str, host: str, rows: Sequence[Slice], window_seconds: int) -> LoadWorker:
    seconds = sum(one.seconds for one in rows) or window_seconds
    return LoadWorker(
        name=name,
        host=host,
        requests=sum(one.answered for one in rows),
        engine_core_share=sum(one.engine_work_seconds for one in rows) / seconds,
        locust_core_share=sum(one.locust_cpu_seconds for one in rows) / seconds,
        loop_lag_seconds_max=max((one.loop_lag_seconds_max for one in rows), default=0.0),
        connects=sum(one.connects for one in rows),
        reconnects=sum(one.reconnects for one in rows),
        bytes_received=sum(one.bytes_received for one in rows),
        engine_core_share_median=median(one.engine_work_seconds for one in rows) if rows else 0.0,
        engine_busy_poll_share=sum(min(one.engine_busy_poll_seconds, one.engine_cpu_seconds) for one in rows)
        / seconds,
        locust_core_share_median=median(one.locust_cpu_seconds for one in rows) if rows else 0.0,
        core_wait_share_median=median(one.core_wait_seconds for one in rows) if rows else 0.0,
    )


def _merge(many: Iterable[Pairs]) -> Pairs:
    merged = Histogram()
    for pairs in many:
        merged.add_pairs(pairs)
    return merged.to_pairs()


def _add_counts(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    added: dict[str, int] = {}
    for counts in many:
        for kind, count in counts.items():
            added[kind] = added.get(kind, 0) + count
    return added
