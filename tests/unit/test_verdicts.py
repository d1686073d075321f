"""Who is ahead: order, ratios over common blocks, Holm, and sentences that say no more than the figures."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise
from statistics import fmean, stdev

import pytest

from bench.results.estimate import t_quantile
from bench.results.significance import holm, two_sided_p
from bench.results.summarise import summarise
from bench.verdicts.contest import Contest, Lead, contests
from bench.verdicts.order import order
from bench.verdicts.pair import Verdict
from reports.tables.verdicts import verdict_table
from reports.words.sentences import answer, headline
from reports.words.verdicts import Labelled, label_of
from tests.helpers.results_example import Example
from tests.helpers.verdicts_example import Made, benchmark, shortbody


def labelled(made: Example) -> Labelled:
    found = contests(
        summarise(made.plan, made.runs), made.runs, [endpoint.name for endpoint in made.plan.endpoints]
    )
    return [(label_of(contest, found), contest) for contest in found]


def contest_of(made: Example) -> Contest:
    return labelled(made)[0][1]


def said(made: Example) -> list[str]:
    found = answer(contest_of(made), "shortbody")
    return [found.sentence, *found.others]


def order_of(made: Example) -> list[str]:
    return [cell.server for cell in contest_of(made).ranked]


# ------------------------------------------------------------------ ranked by other blocks than the ratio

SLOW_BLOCK_ALONE = shortbody(
    {"a": (900.0, 1000.0, 1010.0, 990.0, 1005.0), "b": (950.0, None, Made(1.0, is_valid=False), None, None)}
)
SLOW_BLOCKS_ALONE = shortbody(
    {
        "a": (900.0, 905.0, 1200.0, 1190.0, 1210.0),
        "b": (990.0, 995.0, None, None, Made(900.0, is_valid=False)),
    }
)
DISJOINT = shortbody({"a": (1000.0, 1010.0, None, None), "b": (None, None, 900.0, 905.0)})


def test_a_server_that_was_faster_in_the_one_block_that_both_have_is_not_served_minus_5_percent() -> None:
    """Seen: "a served -5 % more requests/s than its closest competitor, b"."""
    assert order_of(SLOW_BLOCK_ALONE) == ["b", "a"]
    assert said(SLOW_BLOCK_ALONE) == [
        "On shortbody, b served 6 % more requests/s than its closest competitor, a "
        "(only one block holds a valid run of both: no interval)."
    ]
    assert headline(labelled(SLOW_BLOCK_ALONE)) == (
        "b answered the most requests on shortbody (a single common block: a first look)"
    )


def test_a_server_that_was_surely_faster_in_the_common_blocks_is_first_although_its_median_is_lower() -> None:
    """Seen: "a or b: not resolved, ratio 0.95 (95 % interval 0.95 to 0.96)", with a ranked first."""
    contest = contest_of(SLOW_BLOCKS_ALONE)
    assert contest.steps[0].verdict is Verdict.AHEAD and contest.steps[0].better.server == "b"
    assert said(SLOW_BLOCKS_ALONE)[0].startswith(
        "On shortbody, b outperforms its closest competitor, a, by 10 %"
    )
    table = verdict_table(labelled(SLOW_BLOCKS_ALONE))
    assert [row.cells[0] for row in table.rows[1:]] == ["b", "a"]
    assert "in the order of their ratio over the blocks that both have" in table.note


def test_servers_that_share_no_block_are_not_ranked_against_each_other() -> None:
    contest = contest_of(DISJOINT)
    assert contest.lead is Lead.APART
    assert said(DISJOINT) == [
        "On shortbody, a and b have no block in common in which both count: not ranked."
    ]
    assert headline(labelled(DISJOINT)) == "a or b, not all valid in a common block, on shortbody"
    assert verdict_table(labelled(DISJOINT)).rows[1].cells[3] == (
        "not ranked against the next: no common block"
    )


def test_runs_in_which_nothing_was_at_its_limit_rank_nobody_and_the_headline_names_no_winner() -> None:
    idle = Made(1100.0, is_maximum=False)
    made = shortbody({"a": (1000.0, 1010.0, 990.0), "b": (idle, idle, 800.0), "c": (700.0, 702.0, 699.0)})
    contest = contest_of(made)
    assert [cell.server for cell in contest.unranked] == ["b"] and contest.lead is Lead.NONE
    assert headline(labelled(made)) == "No ranking on shortbody"
    first, *others = said(made)
    assert first == "No ranking on shortbody: with b, nothing was at its limit (2 of 3 runs)."
    assert others[0].startswith("Leaving out b: a serves 43 % more requests/s than c (95 % interval ")
    row = next(row for row in verdict_table(labelled(made)).rows if row.cells[0] == "b")
    assert row.cells[1] == "1,100" and row.cells[3] == "not ranked: nothing was at its limit (2 of 3 runs)"


def test_a_single_run_that_is_no_maximum_counts_in_no_ratio() -> None:
    made = shortbody({"a": (1000.0, 1010.0, 990.0), "b": (900.0, 911.0, Made(1200.0, is_maximum=False))})
    assert contest_of(made).steps[0].ratio.blocks == 2
    assert contest_of(made).steps[0].verdict is Verdict.AHEAD


def test_the_headline_names_nobody_who_is_surely_ahead_of_the_next_alone() -> None:
    """c may be faster than a, for all that is known: its runs are spread wide."""
    made = shortbody(
        {
            "a": (1000.0, 1001.0, 999.0, 1000.0, 1002.0),
            "b": (900.0, 901.0, 899.0, 900.0, 902.0),
            "c": (500.0, 1300.0, 700.0, 1200.0, 800.0),
        }
    )
    assert order_of(made) == ["a", "b", "c"]
    assert headline(labelled(made)) == "a or c, not resolved, on shortbody"
    first, second, third = said(made)
    assert first.startswith("On shortbody, a or c: not resolved, ratio 1.")
    assert second.startswith("a serves 11 % more requests/s than b")
    assert third.startswith("b or c: not resolved, ratio 1.")


# ------------------------------------------------------------------ order


def logs(*figures: float | None) -> dict[int, float]:
    return {block: math.log(figure) for block, figure in enumerate(figures) if figure is not None}


def test_the_order_is_free_of_what_the_blocks_were_like() -> None:
    """c is 10 % faster than both wherever they meet, although it was measured in the slow blocks alone."""
    fast, slow = 1000.0, 500.0
    a, b = logs(fast, fast, fast, slow, None), logs(fast * 0.9, fast * 0.9, None, None, slow * 0.9)
    c = logs(None, None, None, slow * 1.1, slow * 1.1)
    assert order([a, b, c]) == [2, 0, 1]


def test_no_server_stands_before_one_that_was_better_in_their_common_blocks() -> None:
    chance = random.Random(3)
    for _ in range(300):
        cells = [
            logs(*(chance.choice((None, chance.lognormvariate(0, 0.2))) for _ in range(4))) or logs(1.0)
            for _ in range(chance.randint(2, 5))
        ]
        placed = order(cells)
        assert sorted(placed) == list(range(len(cells)))
        for one, other in pairwise(placed):
            common = cells[one].keys() & cells[other].keys()
            assert not common or fmean(cells[one][block] - cells[other][block] for block in common) >= 0


def test_with_all_blocks_the_order_is_that_of_the_means() -> None:
    chance = random.Random(4)
    for _ in range(100):
        cells = [logs(*(chance.lognormvariate(0, 0.1) for _ in range(5))) for _ in range(4)]
        means = [fmean(cell.values()) for cell in cells]
        assert order(cells) == sorted(range(4), key=lambda index: -means[index])


def test_equal_servers_stay_as_they_are_given() -> None:
    assert order([logs(7.0, 9.0), logs(7.0, 9.0), logs(7.0, 9.0)]) == [0, 1, 2]


def test_pairs_that_contradict_each_other_rank_nobody() -> None:
    """a over b, b over c, c over a, each surely, in blocks of their own."""
    made = shortbody(
        {
            "a": (1000.0, 1001.0, None, None, 800.0, 801.0),
            "b": (900.0, 902.0, 1000.0, 1001.0, None, None),
            "c": (None, None, 900.0, 901.0, 1000.0, 1002.0),
        }
    )
    contest = contest_of(made)
    assert len(contest.contradictions) == 1 and contest.lead is Lead.NONE
    assert headline(labelled(made)) == "No ranking on shortbody"
    assert re.fullmatch(
        r"No ranking on shortbody: by all blocks together (\w) stands before (\w), "
        r"but in the blocks that both have \2 is ahead\.",
        said(made)[0],
    )


# ------------------------------------------------------------------ several comparisons


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_p_and_interval_agree() -> None:
    for degrees in (1, 2, 4, 9, 30):
        assert two_sided_p(t_quantile(0.975, degrees), degrees) == pytest.approx(0.05, abs=1e-9)
        assert two_sided_p(-t_quantile(0.995, degrees), degrees) == pytest.approx(0.01, abs=1e-9)
    assert two_sided_p(0.0, 4) == 1.0


def test_a_lead_that_stands_alone_may_not_stand_among_nine() -> None:
    pair = {"a": (1060.0, 1100.0, 1030.0, 1140.0, 1040.0), "b": (1000.0, 1010.0, 1020.0, 1030.0, 1000.0)}
    alone = contest_of(shortbody(pair))
    assert alone.steps[0].verdict is Verdict.AHEAD and alone.lead is Lead.AHEAD
    noise = random.Random(8)
    others = {
        (server, endpoint): tuple(noise.lognormvariate(7, 0.2) for _ in range(5))
        for endpoint in ("longbody", "orders")
        for server in ("a", "b", "c")
    }
    short = {(server, "shortbody"): blocks for server, blocks in pair.items()}
    third = {("c", "shortbody"): (400.0, 405.0, 398.0, 401.0, 402.0)}
    contest = contest_of(benchmark({**short, **third, **others}))
    step = contest.steps[0]
    assert (step.ratio.low, step.of) == (alone.steps[0].ratio.low, 9)
    assert step.verdict is Verdict.UNRESOLVED and step.may_be_chance
    assert re.fullmatch(
        r"On shortbody, a or b: not resolved among 9 comparisons, ratio 1\.0\d "
        r"\(95 % interval 1\.0\d to 1\.1\d; 5 blocks\), which may be chance; about \d+ more blocks? needed\.",
        answer(contest, "shortbody").sentence,
    )


def test_equal_servers_are_told_apart_in_at_most_1_benchmark_of_20() -> None:
    """Nine cells of one server, 5 blocks: some lead is claimed in some 14 of 100 without Holm."""
    chance, simulated, claimed = random.Random(11), 250, 0
    for _ in range(simulated):
        made = benchmark(
            {
                (server, endpoint): tuple(1000 * math.exp(chance.gauss(0, 0.05)) for _ in range(5))
                for endpoint in ("shortbody", "longbody", "orders")
                for server in ("a", "b", "c")
            }
        )
        pairs = [pair for _, contest in labelled(made) for pair in contest.pairs]
        claimed += any(pair.verdict is Verdict.AHEAD for pair in pairs)
    assert claimed <= 0.05 * simulated + 1.64 * math.sqrt(0.05 * 0.95 * simulated)


def wandering(chance: random.Random, follows: float) -> bool:
    """Whether two servers of 12 blocks are said to drift, each block's ratio following the last so much."""
    last, rates = 0.0, []
    for _ in range(12):
        last = follows * last + chance.gauss(0, 0.02)
        rates.append(1000 * math.exp(last))
    found = labelled(shortbody({"a": rates, "b": [1000.0] * 12, "c": [500 + chance.random() for _ in rates]}))
    return "wanders" in verdict_table(found).note


def test_a_ratio_that_follows_the_block_before_is_named_and_independent_blocks_are_not() -> None:
    chance = random.Random(13)
    assert sum(wandering(chance, 0.95) for _ in range(40)) >= 20
    assert sum(wandering(chance, 0.0) for _ in range(100)) <= 9


def test_the_ratio_is_the_geometric_mean_with_students_interval() -> None:
    ours, theirs = (1060.0, 1100.0, 1010.0), (1000.0, 1010.0, 1020.0)
    ratio = contest_of(shortbody({"a": ours, "b": theirs})).steps[0].ratio
    found = [math.log(one / other) for one, other in zip(ours, theirs, strict=True)]
    half = 4.302652730 * stdev(found) / math.sqrt(3)
    assert ratio.mean == pytest.approx(math.exp(fmean(found)))
    assert ratio.low == pytest.approx(math.exp(fmean(found) - half))
    assert ratio.high == pytest.approx(math.exp(fmean(found) + half))
