"""Latency of many requests in a few figures. Its percentiles are defined here and nowhere else.

A percentile is a field of ``Latency`` that is annotated with its quantile. Everything else follows from
``PERCENTILES``: what is read from a histogram, medians over runs, tables, charts, the CSV and the schema. To
add one, add a field at the end; it is None in results that were measured before it was added.

A percentile needs requests beyond it: with fewer than ten it is the figure of one or two of them, or the
maximum under another name. It is None then, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from bench.results.waiting import LatencyBound, LatencySpread
from bench.wire.histogram import Histogram

NANOSECONDS = 1e9
REQUESTS_BEYOND = 10
"""Slower requests that a percentile needs: p50 from 20 requests, p90 from 100, p99 from 1,000 and so on."""


class Quantile(msgspec.Struct, frozen=True):
    """Marks a percentile among the fields of Latency."""

    fraction: float  # of all requests that were at most as slow, between 0 and 1
    title: str  # for readers


class Latency(msgspec.Struct, frozen=True):
    """Seconds, from the merged histogram of all load workers in the window (0.1 % resolution).

    A percentile is None where the requests are too few for it (see Percentile.least_count), or where the
    result was written before that percentile was measured.
    """

    p50: Annotated[float | None, Quantile(0.5, "p50")]
    p90: Annotated[float | None, Quantile(0.9, "p90")]
    p99: Annotated[float | None, Quantile(0.99, "p99")]
    p99_9: Annotated[float | None, Quantile(0.999, "p99.9")]
    max: float  # the slowest request
    mean: float
    p99_99: Annotated[float | None, Quantile(0.9999, "p99.99")] = None
    # The figures above that may have been more: requests that never got an answer stand there with how long
    # they had waited. () also in older results, which left such requests out.
    at_least: tuple[str, ...] = ()

    def percentiles(self) -> Iterator[tuple[Percentile, float | None]]:
        """Every percentile with its value in seconds, the lowest percentile first."""
        return ((percentile, percentile.of(self)) for percentile in PERCENTILES)


class Percentile(msgspec.Struct, frozen=True):
    """One of Latency's percentiles."""

    name: str  # of the field, as in run.json: p99_9
    fraction: float  # 0.999
    title: str  # p99.9

    @property
    def least_count(self) -> int:
        """How many requests it needs: 10,000 for p99.9."""
        return round(REQUESTS_BEYOND / (1 - self.fraction))

    def of(self, latency: Latency | None) -> float | None:
        """Its value in seconds; None where there is no latency, or it lacks this percentile."""
        return None if latency is None else getattr(latency, self.name)


def _percentiles() -> tuple[Percentile, ...]:
    marked = (
        Percentile(name, mark.fraction, mark.title)
        for name, hint in get_type_hints(Latency, include_extras=True).items()
        for mark in get_args(hint)
        if isinstance(mark, Quantile)
    )
    return tuple(sorted(marked, key=lambda percentile: percentile.fraction))


PERCENTILES = _percentiles()
"""All percentiles of Latency, the lowest first."""


def latency_of(pairs: Iterable[Sequence[int]], waited: Iterable[Sequence[int]] = ()) -> Latency | None:
    """The figures of a histogram's ``[[index, count], ...]`` in seconds; None when it is empty.

    ``waited`` are requests that never got an answer: bench/results/waiting.py says how they count.
    """
    spread = LatencySpread(pairs, waited)
    if spread.answered == 0:
        return None
    found: dict[str, LatencyBound | None] = {
        one.name: spread.quantile(one.fraction) if spread.count >= one.least_count else None
        for one in PERCENTILES
    }
    found |= {"max": spread.maximum, "mean": spread.mean}
    values: dict[str, Any] = {
        name: None if one is None else one.nanoseconds / NANOSECONDS for name, one in found.items()
    }
    at_least = tuple(name for name, one in found.items() if one is not None and one.at_least)
    return Latency(**values, at_least=at_least)


def quantile_seconds(histogram: Histogram, percentile: Percentile) -> float | None:
    """The percentile of all requests in the histogram; None where they are too few for it."""
    if histogram.count < percentile.least_count:
        return None
    return histogram.quantile(percentile.fraction) / NANOSECONDS


P50, P99 = (next(one for one in PERCENTILES if one.name == name) for name in ("p50", "p99"))


def borne_by(latency: Latency | None, count: int) -> Latency | None:
    """Without the percentiles that ``count`` requests are too few for: older results have them."""
    if latency is None:
        return None
    too_few: dict[str, Any] = {one.name: None for one in PERCENTILES if count < one.least_count}
    return msgspec.structs.replace(latency, **too_few) if too_few else latency


def median_latency(runs: Iterable[Latency | None]) -> Latency | None:
    """The median over runs of each figure, and the greatest maximum; None if no run has a latency."""
    latencies = [latency for latency in runs if latency is not None]
    if not latencies:
        return None
    values: dict[str, Any] = {}
    for percentile in PERCENTILES:
        known = [value for latency in latencies if (value := percentile.of(latency)) is not None]
        values[percentile.name] = median(known) if known else None
    values["max"] = max(latency.max for latency in latencies)
    values["mean"] = median(latency.mean for latency in latencies)
    at_least = tuple(name for name, value in values.items() if _may_be_more(name, value, latencies))
    return Latency(**values, at_least=at_least)


def _may_be_more(name: str, value: float | None, latencies: Iterable[Latency]) -> bool:
    """Of a figure over runs: it is if that of a run may be more which isn't above it already."""
    bounds = [getattr(latency, name) for latency in latencies if name in latency.at_least]
    return value is not None and any(bound is not None and bound <= value for bound in bounds)


def latency_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of Latency with its percentiles by pattern, so that it holds for later ones too."""
    names = {percentile.name for percentile in PERCENTILES}
    properties = {name: rule for name, rule in schema["properties"].items() if name not in names}
    properties["at_least"] = {**properties["at_least"], "default": []}  # as JSON has it
    percentile = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    return {
        **schema,
        "properties": properties,
        "patternProperties": {"^p[0-9]+(_[0-9]+)?$": percentile},
    }
