"""How fast memory grows, with its interval; and which memory servers are ranked by."""

from __future__ import annotations

import csv
import io
import random

import msgspec
import pytest

from bench.results.figures import Bytes
from bench.results.growth import Growth, growth_of, growth_over
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.samples.memory import growth_in
from bench.samples.read import parse_samples
from bench.samples.tree import tree_of
from reports.exporters.csv import cells_csv
from reports.results import Results
from reports.tables.memory import memory_table
from reports.words.memory import growth_text, memory_claims
from tests.helpers.results_example import example
from tests.helpers.samples_example import MONOTONIC, end, head, sample

MB = 1e6


def test_a_leak_of_two_megabytes_a_second_is_found_within_its_interval() -> None:
    noise = random.Random(1)
    points = [(t / 10, 50 * MB + 2 * MB * t / 10 + noise.gauss(0, 0.05 * MB)) for t in range(101)]
    found = growth_of(points)
    assert found is not None and found.low is not None and found.high is not None
    assert found.bytes_per_second == pytest.approx(2 * MB, rel=0.02)
    assert found.low <= 2 * MB <= found.high
    assert found.matters


def test_memory_that_stays_has_no_slope() -> None:
    assert growth_of([(t / 10, 50 * MB) for t in range(51)]) == Growth(0.0, 0.0, 0.0)


def test_one_step_is_no_growth() -> None:
    """An allocator that takes one more megabyte once."""
    found = growth_of([(t / 10, 50 * MB + (MB if t > 40 else 0)) for t in range(101)])
    assert found is not None and found.low is not None
    assert found.low < 0
    assert not found.matters


def test_memory_that_wanders_without_a_drift_is_hardly_ever_said_to_grow() -> None:
    """Its samples depend on each other: an interval of 101 independent ones would exclude 0 nearly always."""
    said = 0
    for seed in range(400):
        steps = random.Random(seed)
        size, points = 50 * MB, []
        for t in range(101):
            size += steps.gauss(0, 0.2 * MB)
            points.append((t / 10, size))
        found = growth_of(points)
        assert found is not None and found.low is not None and found.high is not None
        said += found.low > 0 or found.high < 0
    assert said / 400 < 0.07


def test_too_few_samples_have_no_interval() -> None:
    assert growth_of([(0.0, 1.0)]) is None
    found = growth_of([(0.0, MB), (1.0, 2 * MB)])
    assert found == Growth(MB, None, None)
    assert not found.matters


def test_over_runs_the_interval_is_that_of_the_runs() -> None:
    own = Growth(MB, 0.9 * MB, 1.1 * MB)
    assert growth_over([own]) == own
    assert growth_over([]) is None
    several = growth_over([Growth(one * MB, None, None) for one in (1.0, 1.2, 0.8)])
    assert several is not None and several.low is not None
    assert several.bytes_per_second == pytest.approx(MB)
    assert several.low == pytest.approx(MB - 4.3027 * 0.2 * MB / 3**0.5, rel=1e-3)
    unsure = growth_over([Growth(MB, None, None), Growth(-MB, None, None)])
    assert unsure is not None and not unsure.matters


def test_the_slope_is_of_the_window_alone() -> None:
    lines = head()
    for t in range(61):
        grown = max(0, t - 20) * 100 if t <= 40 else 2000
        lines += sample(t / 10, [1, 10_000 + grown, 0.0])
    tree = tree_of(parse_samples(lines + end(62)), "server")
    found = growth_in(tree, (MONOTONIC + 2, MONOTONIC + 4))
    assert found is not None
    assert found.bytes_per_second == pytest.approx(1_000 * 1024, rel=1e-6)
    before = growth_in(tree, (MONOTONIC, MONOTONIC + 2))
    assert before is not None and before.bytes_per_second == 0.0


# ---------------------------------------------------------------- the report


def results_with(*, has_pss: bool = True, growth: Growth | None = None) -> tuple[Results, list[str]]:
    """By RSS the last server of the plan is the smallest, by PSS the first. And the servers in that order."""
    made = example()
    names = [server.name for server in made.plan.servers]

    def run_of(run: RunResult) -> RunResult:
        place = names.index(run.cell.server)
        return msgspec.structs.replace(
            run,
            rss_bytes=Bytes(1, (len(names) - place) * 10_000_000, 90_000_000, 2),
            pss_bytes=Bytes(1, (place + 1) * 1_000_000, 9_000_000, 2) if has_pss else None,
            rss_growth=growth,
        )

    runs = [run_of(run) for run in made.runs]
    return Results(made.plan, made.environment, summarise(made.plan, runs), runs), names


def in_the_table(results: Results) -> list[str]:
    table = memory_table(results.contests, results.environment)
    first = [row.cells[0] for row in table.rows[1:]]
    return first[: len(results.contests[0][1].cells)]


def test_pss_ranks_where_there_is_one_and_rss_stands_beside_it() -> None:
    results, names = results_with()
    assert in_the_table(results) == names
    titles = [column.title for column in memory_table(results.contests, results.environment).columns]
    assert titles[1:6] == ["PSS idle", "PSS median", "PSS peak", "PSS after", "RSS median"]
    claim = next(memory_claims(results.contests))
    assert claim.endswith(f"in MB of PSS: {names[0]} 1.0, {names[1]} 2.0 and {names[2]} 3.0.")


def test_without_pss_rss_ranks() -> None:
    results, names = results_with(has_pss=False)
    assert in_the_table(results) == names[::-1]
    assert "in MB of RSS" in next(memory_claims(results.contests))


@pytest.mark.parametrize(
    ("growth", "is_said"),
    [
        (Growth(MB, 0.5 * MB, 1.5 * MB), True),
        (Growth(MB, -0.5 * MB, 2.5 * MB), False),  # it may be none
        (Growth(0.01 * MB, 0.009 * MB, 0.011 * MB), False),  # 0.6 MB per minute
        (Growth(-MB, -1.5 * MB, -0.5 * MB), False),
        (Growth(MB, None, None), False),
        (None, False),
    ],
)
def test_growth_that_is_sure_and_matters_is_said(growth: Growth | None, is_said: bool) -> None:
    results, _ = results_with(growth=growth)
    one_run = [msgspec.structs.replace(cell, rss_growth=growth) for cell in results.summary.cells]
    summary = msgspec.structs.replace(results.summary, cells=tuple(one_run))
    shown = Results(results.plan, results.environment, summary, results.runs)
    assert any("grows under load" in claim for claim in memory_claims(shown.contests)) is is_said


def test_growth_in_words_and_in_the_csv() -> None:
    assert growth_text(Growth(MB / 60, 0.0, 2 * MB / 60)) == "+1.0 [0.0, +2.0]"
    assert growth_text(Growth(-100.0, None, None)) == "0.0"
    assert growth_text(None) == "\u2013"
    results, _ = results_with(growth=Growth(MB, MB, MB))
    row = next(csv.DictReader(io.StringIO(cells_csv(results.summary))))
    assert float(row["rss_growth_bytes_per_second"]) == MB
    assert float(row["pss_idle_bytes"]) == 1
    assert float(row["pss_after_bytes"]) == 2
