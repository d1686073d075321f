"""Latency's figures: one definition of its percentiles, from which all else follows."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from bench.results.latency import PERCENTILES, Latency, latency_of, latency_schema, median_latency
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.verdicts.contest import contests
from bench.wire.histogram import Histogram, index_of
from reports.tables.latency import latency_table
from tests.helpers.results_example import QUICK, example

MILLISECOND = 1_000_000


def test_the_percentiles_are_the_annotated_fields_from_the_lowest_up() -> None:
    assert [(one.name, one.title) for one in PERCENTILES[:4]] == [
        ("p50", "p50"),
        ("p90", "p90"),
        ("p99", "p99"),
        ("p99_9", "p99.9"),
    ]
    fractions = [one.fraction for one in PERCENTILES]
    assert fractions == sorted(fractions)
    fields = set(Latency.__struct_fields__)
    assert {one.name for one in PERCENTILES} == fields - {"max", "mean", "at_least"}
    for one in PERCENTILES:
        assert float(one.title.removeprefix("p")) == pytest.approx(one.fraction * 100)
        assert one.name == one.title.replace(".", "_")


def test_a_histogram_gives_each_percentile() -> None:
    histogram = Histogram.from_pairs((index_of(one * MILLISECOND), 100) for one in range(1, 1_001))
    found = latency_of(histogram.to_pairs())
    assert found is not None
    assert found.max == pytest.approx(1.0, rel=1e-3)
    assert found.mean == pytest.approx(0.5005, rel=1e-3)
    for percentile, value in found.percentiles():
        assert value == pytest.approx(percentile.fraction, rel=2e-3)
    assert latency_of(()) is None


@pytest.mark.parametrize(
    ("name", "least"), [("p50", 20), ("p90", 100), ("p99", 1_000), ("p99_9", 10_000), ("p99_99", 100_000)]
)
def test_a_percentile_needs_ten_requests_beyond_it(name: str, least: int) -> None:
    (percentile,) = [one for one in PERCENTILES if one.name == name]
    assert percentile.least_count == least
    for count in (least - 1, least):
        found = latency_of([[100, count - 1], [5_000, 1]])
        assert found is not None
        assert (percentile.of(found) is None) == (count < least)
        assert found.max > found.mean, "the maximum and the mean are always known"


def test_thirty_requests_have_no_p99_and_nobody_says_their_maximum_is_one() -> None:
    """Seen: "one request in 100 to daphne took longer than 8.53 ms", the maximum of 30 requests."""
    found = latency_of([[index_of(2 * MILLISECOND), 29], [index_of(8_530_000), 1]])
    assert found is not None and found.p50 is not None
    assert (found.p90, found.p99, found.p99_9, found.p99_99) == (None, None, None, None)
    assert found.max == pytest.approx(0.00853, rel=1e-3)


def test_older_results_lose_the_percentiles_that_their_requests_are_too_few_for(tmp_path: Path) -> None:
    """They were written before there was a least count, and are shown by the same rule as new ones."""
    few = example(QUICK).changed(
        lambda run: True, lambda run: msgspec.structs.replace(run, requests=600, failures={"reset": 300})
    )
    for run in few.save(tmp_path).read_runs():
        assert run.latency_seconds is not None
        assert (run.latency_seconds.p50, run.latency_seconds.p90) != (None, None)
        assert (run.latency_seconds.p99, run.latency_seconds.p99_9) == (None, None)


def test_over_runs_each_percentile_is_a_median_and_the_maximum_the_greatest() -> None:
    runs = [latency_of([[index, 20_000], [index * 2, 1]]) for index in (100, 300, 200)]
    found = median_latency([*runs, None])
    assert found is not None and runs[2] is not None and runs[1] is not None
    assert list(found.percentiles()) == list(runs[2].percentiles())
    assert (found.max, found.mean) == (runs[1].max, runs[2].mean)
    assert median_latency([None]) is None


def test_the_schema_knows_percentiles_by_their_pattern() -> None:
    defined = latency_schema(msgspec.json.schema(Latency)["$defs"]["Latency"])
    written = json.loads(msgspec.json.encode(latency_of([[100, 1]])))
    jsonschema.validate({**written, "p99_999": 0.1, "p75": None}, defined)
    for wrong in ({**written, "p75": "fast"}, {**written, "max": None}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, defined)


def test_a_percentile_that_older_results_lack_is_none_in_them_and_over_runs_with_them() -> None:
    (added,) = [one for one in PERCENTILES if one.name == "p99_99"]
    now = latency_of([[100, 100_000]])
    assert now is not None and added.of(now) == now.p50
    written = json.loads(msgspec.json.encode(now))
    del written["p99_99"]
    before = msgspec.convert(written, Latency)
    assert added.of(before) is None
    both = median_latency([before, now])
    assert both is not None and both.p99_99 == now.p99_99
    alone = median_latency([before])
    assert alone is not None and alone.p99_99 is None
    assert added.of(None) is None


def test_a_dash_stands_for_a_percentile_that_older_results_lack() -> None:
    def without(run: RunResult) -> RunResult:
        assert run.latency_seconds is not None
        return msgspec.structs.replace(
            run, latency_seconds=msgspec.structs.replace(run.latency_seconds, p99_99=None)
        )

    before = example(QUICK).changed(lambda run: True, without)
    names = [endpoint.name for endpoint in before.plan.endpoints]
    summary = summarise(before.plan, before.runs)
    labelled = [(one.endpoint, one) for one in contests(summary, before.runs, names)]
    table = latency_table(labelled)
    at = [column.title for column in table.columns].index("p99.99")
    assert {row.cells[at] for row in table.rows if row.tone != "group"} == {"–"}
