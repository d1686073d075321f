"""Runs -> cells: medians, intervals, and what is refused."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ResultError
from bench.judge.reason import Limit, Reason
from bench.results.estimate import estimate, half_width, t_cumulative, t_quantile
from bench.results.summarise import summarise
from bench.results.summary import CellSummary, Summary, summary_schema
from tests.helpers.results_example import QUICK, RATED, example, failing, generator_at_its_limit, is_cell

SCHEMA = Path(__file__).parents[2] / "reports" / "summary.schema.json"
RATES = st.lists(st.floats(min_value=0.5, max_value=1e6), min_size=2, max_size=40)


def cell(summary: Summary, server: str, endpoint: str) -> CellSummary:
    return next(one for one in summary.cells if (one.server, one.endpoint) == (server, endpoint))


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.975, 3, 3.18245),
        (0.975, 4, 2.77645),
        (0.975, 5, 2.57058),
        (0.975, 9, 2.26216),
        (0.975, 10, 2.22814),
        (0.95, 10, 1.81246),
        (0.995, 30, 2.75000),
        (0.975, 120, 1.97993),
        (0.5, 7, 0.0),
    ],
)
def test_t_quantiles_are_those_of_the_printed_tables(
    probability: float, degrees: int, expected: float
) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(expected, abs=5e-5)


@given(st.floats(min_value=0.5, max_value=0.9999), st.integers(min_value=1, max_value=200))
def test_t_quantile_inverts_the_distribution(probability: float, degrees: int) -> None:
    assert t_cumulative(t_quantile(probability, degrees), degrees) == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize(("probability", "degrees"), [(0.4, 3), (1.0, 3), (0.975, 0)])
def test_t_quantile_refuses_what_it_can_not_give(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(probability, degrees)


@given(RATES)
def test_an_interval_holds_the_median(values: list[float]) -> None:
    found = estimate(values)
    assert found.median is not None and found.low is not None and found.high is not None
    assert found.low <= found.median <= found.high
    assert found.runs == len(values)


@given(RATES, st.floats(min_value=0.01, max_value=100))
def test_an_interval_scales_with_the_unit(values: list[float], factor: float) -> None:
    one, other = estimate(values), estimate([value * factor for value in values])
    assert one.low is not None and other.low is not None
    assert other.low == pytest.approx(one.low * factor, rel=1e-6)


def test_no_interval_below_two_runs_or_for_nothing_served() -> None:
    assert estimate([]) == estimate(())
    assert estimate([]).median is None
    assert (estimate([3.0]).median, estimate([3.0]).low, estimate([3.0]).high) == (3.0, None, None)
    assert estimate([0.0, 4.0]).low is None


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    """Of 4,000 benchmarks of five log-normal runs about 95 % hold the true median."""
    chance = random.Random(11)
    held = 0
    for _ in range(4_000):
        found = estimate([math.exp(chance.gauss(8, 0.03)) for _ in range(5)])
        assert found.low is not None and found.high is not None
        held += found.low <= math.exp(8) <= found.high
    assert 0.94 <= held / 4_000 <= 0.96


def test_half_width_by_hand() -> None:
    assert half_width(2.0, 5) == pytest.approx(2.77645 * 2 / math.sqrt(5), rel=1e-5)


def test_every_planned_cell_in_the_plans_order() -> None:
    made = example()
    summary = summarise(made.plan, made.runs)
    servers, endpoints = ("uvicorn", "daphne", "hypercorn"), ("shortbody", "longbody", "orders")
    assert [(one.server, one.endpoint) for one in summary.cells] == [
        (server, endpoint) for server in servers for endpoint in endpoints
    ]
    assert summary.complete
    assert summary.warnings == ()
    assert all(one.valid and one.requests_per_second.runs == 5 for one in summary.cells)


def test_the_order_of_the_runs_changes_nothing() -> None:
    made = example()
    assert summarise(made.plan, made.runs[::-1]) == summarise(made.plan, made.runs)


def test_latency_and_memory_over_runs() -> None:
    made = example()
    runs = [run for run in made.runs if is_cell("daphne", "orders")(run)]
    found = cell(summarise(made.plan, made.runs), "daphne", "orders")
    latencies = [run.latency_seconds for run in runs if run.latency_seconds is not None]
    assert found.latency_seconds is not None
    assert found.latency_seconds.p99 == sorted(latency.p99 or 0 for latency in latencies)[2]
    assert found.latency_seconds.max == max(latency.max for latency in latencies)
    assert found.rss_bytes.peak == max(run.rss_bytes.peak or 0 for run in runs)
    assert found.rss_bytes.median == sorted(run.rss_bytes.median or 0 for run in runs)[2]


def test_void_runs_are_left_out_and_told() -> None:
    made = example()
    reason = Reason("pids_changed", "a worker was replaced", "Look at its log", invalidates=True)
    first = next(run.run_id for run in made.runs if is_cell("uvicorn", "orders")(run))
    made = made.changed(
        lambda run: run.run_id == first,
        lambda run: msgspec.structs.replace(run, valid=False, requests_per_second=1.0, reasons=(reason,)),
    )
    summary = summarise(made.plan, made.runs)
    found = cell(summary, "uvicorn", "orders")
    assert found.valid
    assert found.requests_per_second.runs == 4
    assert found.requests_per_second.median is not None and found.requests_per_second.median > 3_000
    assert [one.text for one in found.reasons] == [
        "left out of the figures: a worker was replaced (1 of 5 runs)"
    ]
    assert not found.reasons[0].invalidates
    assert [one.code for one in summary.warnings] == ["invalid_runs"]


def test_a_cell_without_a_valid_run_is_refused_with_its_reasons() -> None:
    made = failing(generator_at_its_limit(example(), "uvicorn", "shortbody"), "daphne", "orders")
    summary = summarise(made.plan, made.runs)
    saturated, failed = cell(summary, "uvicorn", "shortbody"), cell(summary, "daphne", "orders")
    assert not saturated.valid
    assert saturated.limit == "load_generator"
    assert saturated.reasons[0].text == "the load generator used 97 % of its cores (5 of 5 runs)"
    assert not failed.valid
    assert failed.latency_seconds is None
    assert failed.requests_per_second.median == 0
    assert failed.failures > 100_000


def test_what_voids_a_run_comes_before_a_remark() -> None:
    made = example(QUICK)
    remark = Reason("noisy", "the seconds vary by 9 %")
    made = generator_at_its_limit(
        made.changed(
            is_cell("uvicorn", "orders"), lambda run: msgspec.structs.replace(run, reasons=(remark,))
        ),
        "uvicorn",
        "orders",
    )
    found = cell(summarise(made.plan, made.runs), "uvicorn", "orders")
    assert [one.code for one in found.reasons] == ["load_generator_saturated", "noisy"]
    assert found.reasons[0].text == "the load generator used 97 % of its cores"


def test_a_cell_not_run_yet_is_in_the_summary() -> None:
    made = example(QUICK)
    summary = summarise(made.plan, made.runs[:4])
    missing = [one for one in summary.cells if not one.valid]
    assert len(missing) == 5
    assert {one.reasons[0].code for one in missing} == {"not_run"}
    assert not summary.complete
    assert [one.code for one in summary.warnings] == ["incomplete", "one_block"]
    assert "--resume" in summary.warnings[0].remedy


def test_two_versions_in_one_cell_refuse_to_merge() -> None:
    made = example()
    last = [run.run_id for run in made.runs if is_cell("daphne", "orders")(run)][-1]
    made = made.changed(
        lambda run: run.run_id == last, lambda run: msgspec.structs.replace(run, server_version="4.0.0")
    )
    with pytest.raises(ResultError, match=r"measured with 4\.2\.3 .* and 4\.0\.0"):
        summarise(made.plan, made.runs)


def test_a_run_of_another_plan_is_refused() -> None:
    made = example(QUICK)
    stray = msgspec.structs.replace(made.runs[0], run_id="777-stray")
    with pytest.raises(ResultError, match="777-stray is no run of plan"):
        summarise(made.plan, (*made.runs, stray))


def test_the_limit_is_that_of_most_runs() -> None:
    made = example()
    first = next(run.run_id for run in made.runs if is_cell("uvicorn", "orders")(run))
    made = made.changed(
        lambda run: run.run_id == first,
        lambda run: msgspec.structs.replace(run, limit=Limit("database", "its core was full")),
    )
    assert cell(summarise(made.plan, made.runs), "uvicorn", "orders").limit == "none_found"


def test_the_schema_in_the_repository_is_current() -> None:
    kept = json.loads(SCHEMA.read_text())
    current = json.dumps(summary_schema(), indent=1) + "\n"
    assert kept == summary_schema(), f"write this to {SCHEMA.name}:\n{current}"


@pytest.mark.parametrize("profile_blocks", [1, 5])
def test_real_summaries_fit_the_schema(profile_blocks: int) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    base = example(QUICK) if profile_blocks == 1 else example()
    for made in (
        example(RATED),
        base,
        failing(generator_at_its_limit(base, "uvicorn", "orders"), "daphne", "orders"),
    ):
        for runs in (made.runs, made.runs[:2], ()):
            written = json.loads(msgspec.json.encode(summarise(made.plan, runs)))
            jsonschema.validate(written, schema, cls=jsonschema.Draft202012Validator)


def test_the_schema_refuses_a_cell_without_its_requests() -> None:
    made = example(QUICK)
    written = json.loads(msgspec.json.encode(summarise(made.plan, made.runs)))
    del written["cells"][0]["requests_per_second"]
    with pytest.raises(jsonschema.ValidationError, match="requests_per_second"):
        jsonschema.validate(written, json.loads(SCHEMA.read_text()))


def test_a_cell_whose_runs_are_no_maximum_ranks_nobody_and_says_why() -> None:
    made = example()
    no_maximum = Reason("NotSaturated", "nothing was at its limit", "Use more connections", unranks=True)

    def spoilt(blocks: int) -> CellSummary:
        changed = made.changed(
            lambda run: run.cell.id == "uvicorn-shortbody-w1-c50" and run.block <= blocks,
            lambda run: msgspec.structs.replace(run, reasons=(no_maximum,)),
        )
        return cell(summarise(changed.plan, changed.runs), "uvicorn", "shortbody")

    assert (spoilt(2).valid, spoilt(2).is_ranked, spoilt(2).unranked_because) == (True, True, None)
    found = spoilt(3)
    assert (found.valid, found.is_ranked) == (True, False)
    assert found.unranked_because is not None
    assert found.unranked_because.text == "nothing was at its limit (3 of 5 runs)"
