"""What must hold in the figures of every run, whatever was measured: sums, and one thing counted twice alike.

A run that breaks one of these says nothing about its server. What breaks them is damage: seconds that came
twice or not at all, figures of another run among these, a file that is not what was sent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from bench.results.figures import Second
from bench.results.window import Window
from bench.wire.histogram import Histogram
from bench.wire.slices import Pairs, Slice, Totals
from bench.wire.worker import SpoolHead

# Fields of Slice and Totals that have the same name and are not sums: the greatest, and the last.
NOT_SUMS = frozenset({"backlog_max", "connections"})
# A second ends by the clock, to the nanosecond, and only a run's first and last are cut, which lie outside
# its window: this is what numbers are rounded by on their way.
SECOND_TOLERANCE_SECONDS = 0.001


class Contradiction(msgspec.Struct, frozen=True):
    """Two figures of one run that must be alike, and are not."""

    worker: str  # the load worker; "": all of them together
    what: str  # the figure that was found
    found: int
    expected: int  # at most, or exactly


class ReadSpool(msgspec.Struct, frozen=True):
    """A load worker's own file of a run, read back."""

    head: SpoolHead
    slices: tuple[Slice, ...]
    totals: Totals


def contradictions(
    run: str,
    slices: Mapping[str, Sequence[Slice]],
    totals: Mapping[str, Totals],
    spools: Mapping[str, ReadSpool],
) -> tuple[Contradiction, ...]:
    """Of each load worker: its seconds against its own totals, and both against its own file.

    ``run`` names the try as the spools do. A worker without a spool is held against itself alone.
    """
    found: list[Contradiction] = []
    for worker in sorted({*slices, *totals}):
        rows, total = slices.get(worker, ()), totals.get(worker)
        found += _of_seconds(worker, rows)
        if total is None:
            found.append(Contradiction(worker, "totals", 0, 1))
            continue
        found += _of_sums(worker, rows, total)
        if worker in spools:
            found += _of_spool(worker, run, rows, total, spools[worker])
    return tuple(found)


def window_contradictions(
    window: Window, seconds: Sequence[Second], answered: int
) -> tuple[Contradiction, ...]:
    """Of the window over all load workers. ``answered`` is the whole run's, failures included."""
    failed = sum(window.failures.values())
    in_window = [one for one in seconds if one.in_window]
    both = window.requests + failed
    by_workers = sum(one.requests for one in window.workers)
    pairs = (
        ("latencies of good requests in the window", _count(window.histogram), window.requests),
        ("latencies of failed requests in the window", _count(window.failure_histogram), failed),
        ("requests in the window, worker by worker,", by_workers, both),
        ("good requests in its seconds", sum(one.requests for one in in_window), window.requests),
        ("failed requests in its seconds", sum(one.failures for one in in_window), failed),
        ("seconds in the window", len(in_window), window.seconds),
    )
    found = [Contradiction("", what, has, should) for what, has, should in pairs if has != should]
    if both > answered:
        found.append(
            Contradiction("", "requests in the window, which the whole run has not,", both, answered)
        )
    return tuple(found)


def cut_seconds(slices: Mapping[str, Sequence[Slice]], window: range) -> tuple[Contradiction, ...]:
    """Seconds of ``window`` that were no whole seconds by their worker's own monotonic clock."""
    return tuple(
        Contradiction(worker, f"milliseconds in second {one.k}", round(one.seconds * 1e3), 1_000)
        for worker, rows in sorted(slices.items())
        for one in rows
        if one.k in window and abs(one.seconds - 1.0) > SECOND_TOLERANCE_SECONDS
    )


def _of_seconds(worker: str, rows: Sequence[Slice]) -> Iterator[Contradiction]:
    """Each second once, in order, and each with as many latencies as requests."""
    for before, after in pairwise(rows):
        if after.k != before.k + 1:
            yield Contradiction(worker, f"the second after second {before.k}", after.k, before.k + 1)
    for one in rows:
        good, failed = _count(one.histogram), _count(one.failure_histogram)
        if good != one.requests:
            yield Contradiction(worker, f"latencies of good requests in second {one.k}", good, one.requests)
        failures = sum(one.failures.values())
        if failed != failures:
            yield Contradiction(worker, f"latencies of failed requests in second {one.k}", failed, failures)


def _of_sums(worker: str, rows: Sequence[Slice], total: Totals) -> Iterator[Contradiction]:
    """Whatever is a count in both: the sum of the seconds' is the whole run's."""
    both = {field.name for field in dataclasses.fields(Slice)} & {
        field.name for field in dataclasses.fields(Totals)
    }
    for name in sorted(both - NOT_SUMS):
        whole = getattr(total, name)
        values = [getattr(one, name) for one in rows]
        title = name.replace("_", " ")
        if isinstance(whole, int):
            if sum(values) != whole:
                yield Contradiction(worker, f"{title} added up second by second", sum(values), whole)
        elif isinstance(whole, dict):
            for kind in sorted({*whole, *(kind for value in values for kind in value)}):
                added = sum(value.get(kind, 0) for value in values)
                if added != whole.get(kind, 0):
                    what = f"{title} ({kind}) added up second by second"
                    yield Contradiction(worker, what, added, whole.get(kind, 0))
        elif isinstance(whole, tuple):
            merged = Histogram()
            for value in values:
                merged.add_pairs(value)
            if merged.counts != Histogram.from_pairs(whole).counts:
                counts = (merged.count, _count(whole))
                yield Contradiction(worker, f"durations in the {title} added up second by second", *counts)
    if total.completed != total.answered:
        yield Contradiction(worker, "requests completed", total.completed, total.answered)
    if total.worker != worker:
        yield Contradiction(worker, f"totals that are those of load worker {total.worker}", 1, 0)


def _of_spool(
    worker: str, run: str, rows: Sequence[Slice], total: Totals, spool: ReadSpool
) -> Iterator[Contradiction]:
    """The worker's own file has what it sent, and of this run alone."""
    if (spool.head.run, spool.head.worker) != (run, worker):
        what = f"files that are those of run {spool.head.run} by {spool.head.worker}"
        yield Contradiction(worker, what, 1, 0)
    if len(spool.slices) != len(rows):
        yield Contradiction(worker, "seconds beside those in its own file", len(rows), len(spool.slices))
    unlike = [sent.k for sent, kept in zip(rows, spool.slices, strict=False) if sent != kept]
    if unlike:
        yield Contradiction(worker, "seconds unlike those in its own file", len(unlike), 0)
    if spool.totals != total:
        what = "requests in the totals beside those in its own file"
        yield Contradiction(worker, what, total.answered, spool.totals.answered)


def _count(pairs: Pairs) -> int:
    return Histogram.from_pairs(pairs).count
