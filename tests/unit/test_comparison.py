"""Two benchmarks compared: ratios with their uncertainty, flips, unlike plans, the gate."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UnlikePlans
from bench.judge.reason import Reason
from bench.judge.rules.rates import ServerBehindRate
from bench.plan.locustfile import UserLocustfile
from bench.results.comparison import Comparison, compare
from bench.results.gate import gate, gate_error
from bench.results.likeness import plan_differences, without_environment
from bench.results.ratio import METRICS, Change, Ratio, ratio_of
from bench.results.run import RunResult
from bench.spec import Profile
from reports.comparison.changes import gate_sentences
from tests.helpers.comparison_example import measured, other, scaled
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import (
    QUICK,
    RATED,
    REVIEW,
    SERVERS,
    Example,
    example,
    failing,
    is_cell,
)

RATE, P99, RSS, CPU, PER_CORE = METRICS
FIGURES = st.lists(st.floats(1e-4, 1e9), min_size=0, max_size=7)


def ratio(found: Comparison, server: str, endpoint: str, metric: object = RATE) -> Ratio:
    cell = next(one for one in found.cells if (one.cell.server, one.cell.endpoint) == (server, endpoint))
    return next(one for one in cell.ratios if one.metric is metric)


# ------------------------------------------------------------------ ratios


@given(FIGURES, FIGURES)
def test_swapping_gives_reciprocals(a: list[float], b: list[float]) -> None:
    there, back = ratio_of(RATE, a, b), ratio_of(RATE, b, a)
    assert (there.median is None) == (back.median is None) == (not a or not b)
    assert (there.low is None) == (back.low is None) == (min(len(a), len(b)) < 2)
    if there.median is not None and back.median is not None:
        assert there.median * back.median == pytest.approx(1)
    if there.low is not None and there.high is not None:
        assert back.low is not None and back.high is not None
        assert there.low <= (there.median or 0) <= there.high
        assert math.log(there.low) == pytest.approx(-math.log(back.high), abs=1e-9)
        assert math.log(there.high) == pytest.approx(-math.log(back.low), abs=1e-9)


@given(st.lists(st.floats(1e-4, 1e9), min_size=1, max_size=7))
def test_a_figure_against_itself_is_1_and_never_a_difference(values: list[float]) -> None:
    for metric in METRICS:
        same = ratio_of(metric, values, values)
        assert same.median == 1
        assert same.change is (Change.WITHIN_NOISE if len(values) > 1 else Change.NO_INTERVAL)


@given(FIGURES, FIGURES, st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_unit_does_not_matter(a: list[float], b: list[float], unit: float, factor: float) -> None:
    plain = ratio_of(RSS, a, b)
    changed = ratio_of(RSS, [x * unit for x in a], [x * unit * factor for x in b])
    for mine, theirs in zip(
        (plain.low, plain.median, plain.high), (changed.low, changed.median, changed.high), strict=True
    ):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert theirs == pytest.approx(mine * factor, rel=1e-6)


def test_the_interval_is_welchs_on_the_logarithms() -> None:
    a, b = [math.exp(x) for x in (1.0, 1.2, 1.1)], [math.exp(x) for x in (2.0, 2.2, 2.1)]
    found = ratio_of(RATE, a, b)
    # Equal spreads: 4 degrees of freedom, t = 2.7764, standard error sqrt(2 * 0.01 / 3).
    half = 2.776445105 * math.sqrt(2 * 0.01 / 3)
    assert found.low == pytest.approx(math.exp(1 - half), rel=1e-6)
    assert found.high == pytest.approx(math.exp(1 + half), rel=1e-6)


def test_the_interval_holds_the_true_ratio_about_19_times_in_20() -> None:
    chance = random.Random(5)
    held = 0
    for _ in range(1_000):
        a = [math.exp(chance.gauss(0, 0.02)) for _ in range(5)]
        b = [math.exp(chance.gauss(0.3, 0.08)) for _ in range(5)]
        found = ratio_of(RATE, a, b)
        assert found.low is not None and found.high is not None
        held += found.low <= math.exp(0.3) <= found.high
    assert 935 <= held <= 985


def test_equal_figures_of_a_coarse_measure_are_no_difference_within_its_resolution() -> None:
    assert ratio_of(P99, [1.0, 1.0], [1.001, 1.001]).change is Change.WITHIN_NOISE
    assert ratio_of(P99, [1.0, 1.0], [1.01, 1.01]).change is Change.WORSE


# ------------------------------------------------------------------ cells


def test_a_benchmark_against_itself() -> None:
    one = measured(example())
    found = compare(one, one)
    assert len(found.valid_cells) == 9 and not found.flips and not found.swaps
    assert {item.median for cell in found.cells for item in cell.ratios} == {1.0}
    assert {item.change for cell in found.cells for item in cell.ratios} == {Change.WITHIN_NOISE}


def test_a_difference_is_told_from_noise_and_says_which_way_is_better() -> None:
    found = compare(measured(example()), measured(scaled(other(), 1.3, is_cell("uvicorn", "shortbody"))))
    faster = ratio(found, "uvicorn", "shortbody")
    assert faster.change is Change.BETTER and faster.runs_a == faster.runs_b == 5
    assert faster.low is not None and faster.high is not None and faster.low < 1.3 < faster.high
    assert ratio(found, "uvicorn", "shortbody", RSS).change is Change.WORSE
    assert ratio(found, "uvicorn", "shortbody", CPU).change is Change.BETTER
    assert ratio(found, "uvicorn", "shortbody", PER_CORE).change is Change.BETTER
    others = [cell for cell in found.cells if cell.cell.server != "uvicorn"]
    changed = [item for cell in others for item in cell.ratios if item.metric in (RATE, CPU)]
    assert {item.change for item in changed} == {Change.WITHIN_NOISE}


def test_one_run_each_has_a_ratio_and_no_interval_however_large_it_is() -> None:
    found = compare(measured(example(QUICK)), measured(scaled(other(profile=QUICK), 3)))
    every = [item for cell in found.cells for item in cell.ratios]
    assert len(every) == 45
    assert {item.change for item in every} == {Change.NO_INTERVAL}
    assert ratio(found, "uvicorn", "orders").median == pytest.approx(3, rel=0.1)


def test_per_core_goes_by_the_cores_that_were_used() -> None:
    def two_cores(run: RunResult) -> RunResult:
        assert run.server_cpu is not None
        cpu = msgspec.structs.replace(run.server_cpu, core_share=run.server_cpu.core_share * 2, cores=10)
        return msgspec.structs.replace(run, server_cpu=cpu)

    wider = scaled(other(), 2).changed(lambda _: True, two_cores)
    found = compare(measured(example()), measured(wider))
    assert ratio(found, "daphne", "shortbody").median == pytest.approx(2, rel=0.03)
    assert ratio(found, "daphne", "shortbody", PER_CORE).median == pytest.approx(1, rel=0.03)


def test_no_ratio_is_drawn_from_an_invalid_cell_on_either_side() -> None:
    for a, b in (
        (failing(example(), "daphne", "orders"), other()),
        (example(), failing(other(), "daphne", "orders")),
    ):
        found = compare(measured(a), measured(b))
        (invalid,) = found.invalid_cells
        assert invalid.cell.server == "daphne" and invalid.ratios == ()
        assert "HTTP 500" in str((invalid.a.reasons, invalid.b.reasons))


def test_an_unfinished_benchmark_compares_what_it_has() -> None:
    whole = other()
    part = replace(whole, runs=tuple(run for run in whole.runs if not is_cell("uvicorn", "orders")(run)))
    found = compare(measured(example()), measured(part))
    assert [cell.cell.id for cell in found.invalid_cells] == ["uvicorn-orders-w1-c50"]
    assert len(found.valid_cells) == 8


def test_a_figure_that_one_system_lacks_is_not_measured() -> None:
    bare = other().changed(lambda _: True, lambda run: msgspec.structs.replace(run, server_cpu=None))
    found = compare(measured(example()), measured(bare))
    assert ratio(found, "uvicorn", "orders", PER_CORE).change is Change.NOT_MEASURED


# ------------------------------------------------------------------ flips


def flipped(noise: float = 0.012, profile: Profile = REVIEW) -> Comparison:
    """hypercorn overtakes daphne on shortbody: 3,452 against 4,180 requests/s in A."""
    later = scaled(other(noise=noise, profile=profile), 1.6, is_cell("hypercorn", "shortbody"))
    return compare(measured(example(profile, noise=noise)), measured(later))


def test_a_flip_is_named_with_both_ratios_and_swapping_finds_the_same() -> None:
    found = flipped()
    (flip,) = found.flips
    assert (flip.contest.endpoint, flip.first, flip.second) == ("shortbody", "daphne", "hypercorn")
    assert flip.ratio_a.low is not None and flip.ratio_a.low > 1
    assert flip.ratio_b.high is not None and flip.ratio_b.high < 1
    (back,) = compare(found.b, found.a).flips
    assert (back.first, back.second) == ("hypercorn", "daphne")


def test_another_order_within_noise_is_no_flip() -> None:
    assert not flipped(noise=0.25).flips
    alone = flipped(profile=QUICK)
    assert not alone.flips
    assert {(swap.first, swap.second) for swap in alone.swaps} >= {("daphne", "hypercorn")}


# ------------------------------------------------------------------ plans


def test_seed_names_lock_blocks_and_environment_may_differ() -> None:
    more = msgspec.structs.replace(REVIEW, name="more", blocks=3, description="other words")
    assert plan_differences(example().plan, other(profile=more).plan) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("connections", 100),
        ("window_seconds", 30),
        ("warmup_seconds", 1),
        ("load_workers", 4),
        ("server_workers", (1, 2)),
        ("rates", ("500",)),
        ("after_rest_seconds", 9.0),
    ],
)
def test_another_profile_is_refused_by_name(field: str, value: object) -> None:
    profile = msgspec.structs.replace(REVIEW, **{field: value})
    with pytest.raises(UnlikePlans) as caught:
        compare(measured(example()), measured(other(profile=profile)))
    assert f"profile: {field.replace('_', ' ')}" in caught.value.message
    assert "in later (B)" in caught.value.detail


def test_every_difference_is_named_at_once() -> None:
    plan = other().plan
    uvicorn = msgspec.structs.replace(
        SERVERS[0], settings=msgspec.structs.replace(SERVERS[0].settings, loop="asyncio")
    )
    long = msgspec.structs.replace(ENDPOINTS[1], length_bytes=1_000)
    mine = UserLocustfile("/home/me/locustfile.py", "locustfile.py", "ab" * 32, {"Shopper": "HttpUser"})
    unlike = msgspec.structs.replace(
        plan,
        servers=(uvicorn, SERVERS[1]),
        endpoints=(ENDPOINTS[0], long),
        profile=msgspec.structs.replace(REVIEW, connections=10),
        locustfile=mine,
    )
    found = {item.what: (item.a, item.b) for item in plan_differences(example().plan, unlike)}
    assert found["servers"] == ("uvicorn, daphne, hypercorn", "uvicorn, daphne")
    assert found["endpoints"] == ("shortbody, longbody, orders", "shortbody, longbody")
    assert found["profile: connections"] == ("50", "10")
    assert "loop=asyncio" in found["server uvicorn: settings"][1]
    assert found["endpoint longbody: length bytes"] == ("430000", "1000")
    assert found["locustfile"][0].startswith("none") and "locustfile.py" in found["locustfile"][1]


def test_the_same_locustfile_elsewhere_is_the_same() -> None:
    here = UserLocustfile("/home/me/a.py", "a.py", "ab" * 32, {"Shopper": "HttpUser"})
    there = msgspec.structs.replace(here, path="/srv/a.py")
    one, two = (msgspec.structs.replace(example().plan, locustfile=file) for file in (here, there))
    assert plan_differences(one, two) == ()


def test_a_cell_that_only_one_plan_has_is_refused() -> None:
    plan = example().plan
    fewer = msgspec.structs.replace(plan, runs=tuple(run for run in plan.runs if run.cell.server != "daphne"))
    (difference,) = plan_differences(plan, fewer)
    assert difference.what == "cells measured in one only"
    assert "daphne-orders-w1-c50" in difference.a and difference.b == "none"


# ------------------------------------------------------------------ the gate


def test_the_gate_names_what_is_worse_beyond_uncertainty_and_margin() -> None:
    slower = scaled(other(), 0.8, is_cell("uvicorn", "orders"))
    found = gate(compare(measured(example()), measured(slower)), 0.05)
    assert [(cell.id, item.metric) for cell, item in found.worse] == [("uvicorn-orders-w1-c50", RATE)]
    assert not found.invalid
    assert not gate(compare(measured(example()), measured(slower)), 0.25).worse
    # The other way round it is memory: 0.9 of it before.
    back = gate(compare(measured(slower), measured(example())), 0.05)
    assert {item.metric for _, item in back.worse} == {RSS}


def test_a_difference_within_the_margin_or_within_noise_passes() -> None:
    assert not gate(compare(measured(example()), measured(scaled(other(), 0.97))), 0.05).worse
    noisy = gate(compare(measured(example(noise=0.2)), measured(scaled(other(noise=0.2), 0.9))), 0.05)
    assert noisy.unsettled
    assert not [item for _, item in noisy.worse if item.metric is RATE]


def spread(made: Example, chance: random.Random, noise: float, slower: float = 0.0) -> Example:
    """Throughput and p99 as noisy as this, memory a tenth of it; the throughput of all cells is slower."""

    def change(run: RunResult) -> RunResult:
        assert run.latency_seconds is not None
        rate, p99, rss = (math.exp(chance.gauss(0, share)) for share in (noise, noise, noise / 10))
        return msgspec.structs.replace(
            run,
            requests_per_second=1000 * (1 - slower) * rate,
            latency_seconds=msgspec.structs.replace(run.latency_seconds, p99=0.1 * p99),
            rss_bytes=msgspec.structs.replace(run.rss_bytes, median=round(6e7 * rss)),
        )

    return made.changed(lambda _: True, change)


def exit_codes(noise: float, slower: float, times: int = 100) -> list[int]:
    """Of a gate of 5 %, 5 blocks a side, nine cells."""
    chance, a, b = random.Random(62), example(), other()
    codes = []
    for _ in range(times):
        compared = compare(measured(spread(a, chance, noise)), measured(spread(b, chance, noise, slower)))
        error = gate_error(gate(compared, 0.05))
        codes.append(0 if error is None else error.exit_code)
    return codes


def test_a_true_slow_down_of_6_percent_passes_a_gate_of_5_percent_in_at_most_5_of_100_simulations() -> None:
    """Seen: exit 0 in 48 of 100, with 3 % noise and 5 blocks in nine cells."""
    assert exit_codes(0.03, 0.06).count(0) <= 5


def test_what_is_the_same_passes_where_the_noise_allows_it_and_else_is_undecided() -> None:
    assert exit_codes(0.01, 0.0, 40).count(0) >= 38
    assert set(exit_codes(0.03, 0.0, 40)) == {62}


def test_what_is_much_slower_fails_through_the_noise() -> None:
    assert exit_codes(0.03, 0.20, 20).count(61) >= 19


def test_an_interval_that_reaches_beyond_the_limit_is_undecided_and_says_how_many_more_blocks() -> None:
    chance = random.Random(5)
    found = gate(
        compare(measured(spread(example(), chance, 0.02)), measured(spread(other(), chance, 0.02))), 0.05
    )
    assert not found.worse and found.unsettled and gate_error(found) is not None
    assert all(not one.ratio.is_within(0.05) for one in found.unsettled)
    assert found.more_blocks is not None and 1 <= found.more_blocks <= 30


def test_throughput_of_servers_that_nothing_held_back_passes_no_gate() -> None:
    idle = Reason("not_saturated", "nothing was at its limit", unranks=True)
    where = is_cell("uvicorn", "orders")
    a, b = (
        one.changed(where, lambda run: msgspec.structs.replace(run, reasons=(idle,)))
        for one in (spread(example(), random.Random(1), 0.005), spread(other(), random.Random(2), 0.005))
    )
    found = gate(compare(measured(a), measured(b)), 0.05)
    assert [(one.cell.title, one.ratio.metric) for one in found.unsettled] == [("uvicorn orders", RATE)]
    assert "Not judged, for nothing was at its limit: uvicorn orders (requests/s)." in gate_sentences(found)
    error = gate_error(found)
    assert error is not None and error.exit_code == 62


def test_without_intervals_the_gate_decides_nothing() -> None:
    found = gate(compare(measured(example(QUICK)), measured(scaled(other(profile=QUICK), 0.5))), 0.05)
    assert not found.worse and len(found.unsettled) == 27


def at_share(run: RunResult) -> bool:
    return run.cell.rate_share is not None


def test_a_share_of_a_lower_maximum_is_no_slower_server() -> None:
    """Each side's share is one rate in all blocks, so the ratio would seem sure: it is of two maxima."""
    rated, later = example(RATED), other(profile=RATED)

    def lower(run: RunResult) -> RunResult:
        assert run.open_loop is not None
        offered = 0.9 * run.open_loop.offered_rate_per_second
        found = msgspec.structs.replace(
            run.open_loop, offered_rate_per_second=offered, achieved_rate_per_second=offered
        )
        return msgspec.structs.replace(run, requests_per_second=offered, open_loop=found)

    found = compare(measured(rated), measured(later.changed(at_share, lower)))
    met = [cell for cell in found.cells if cell.cell.rate_share is not None]
    assert len(met) == 9
    assert {cell.ratios[0].change for cell in met} == {Change.AS_OFFERED}
    assert all(cell.ratios[0].a is not None and cell.ratios[0].low is None for cell in met)
    judged = gate(found, 0.05)
    told = [*judged.worse, *((one.cell, one.ratio) for one in judged.unsettled)]
    assert not any(cell.rate_share is not None and ratio.metric is RATE for cell, ratio in told)


def test_a_rate_that_b_no_longer_meets_is_worse() -> None:
    at_500 = next(run.cell for run in example(RATED).runs if run.cell.rate_per_second == 500.0)

    def behind(run: RunResult) -> RunResult:
        missed = ServerBehindRate(500.0, 400.0, None, "using 1.00 of 1 cores").as_reason()
        return msgspec.structs.replace(run, requests_per_second=400.0 + run.block, reasons=(missed,))

    slower = other(profile=RATED).changed(
        lambda run: msgspec.structs.replace(run.cell, environment=at_500.environment) == at_500, behind
    )
    found = compare(measured(example(RATED)), measured(slower))
    (cell,) = [one for one in found.cells if one.cell == without_environment(at_500)]
    assert cell.ratios[0].change is Change.WORSE
    assert (cell.cell, cell.ratios[0]) in gate(found, 0.05).worse


def test_a_p99_that_requests_are_too_few_for_is_undecided() -> None:
    def few(run: RunResult) -> RunResult:
        assert run.latency_seconds is not None
        latency = msgspec.structs.replace(run.latency_seconds, p99=None, p99_9=None, p99_99=None)
        return msgspec.structs.replace(run, latency_seconds=latency)

    where = is_cell("uvicorn", "orders")
    found = compare(measured(example().changed(where, few)), measured(other().changed(where, few)))
    assert ratio(found, "uvicorn", "orders", P99).change is Change.NOT_MEASURED
    unsettled = [(one.cell.server, one.ratio.metric) for one in gate(found, 0.05).unsettled]
    assert ("uvicorn", P99) in unsettled


def test_rated_cells_are_compared_and_never_ranked() -> None:
    found = compare(
        measured(example(RATED)),
        measured(scaled(other(profile=RATED), 1.6, is_cell("hypercorn", "shortbody"))),
    )
    assert len([cell for cell in found.valid_cells if cell.cell.is_open_loop]) == 27
    assert all(not flip.contest.is_open_loop for flip in found.flips + found.swaps)
