"""No sentence contradicts a table, nor the figures: over random valid and void runs, blocks that are missing,
equal figures and extreme ratios.

Every sentence must be one of those known here, and what it says is computed again from the figures.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.results.estimate import t_quantile
from bench.results.summarise import summarise
from bench.verdicts.contest import contests
from bench.verdicts.pair import LEVEL_MARGIN
from reports.charts.ratios import ratio_figure
from reports.exporters.csv import cells_csv
from reports.tables.verdicts import verdict_table
from reports.terminal.cells import cell_rows
from reports.words.numbers import lead, times, times_beside_one
from reports.words.sentences import answer, headline
from reports.words.verdicts import Labelled, label_of
from tests.helpers.results_example import Example
from tests.helpers.verdicts_example import Blocks, Made, benchmark

Figures = Mapping[tuple[str, str], Blocks]

RATES = st.one_of(
    st.floats(950, 1050),
    st.just(1000.0),
    st.sampled_from((999.9, 1000.1, 500.0, 2000.0)),
    st.floats(1e-3, 1e7),
)
RUNS = st.one_of(
    st.builds(Made, RATES),
    st.builds(Made, RATES),
    st.builds(Made, RATES),
    st.builds(Made, RATES, st.just(False)),
    st.builds(Made, RATES, st.just(True), st.just(False)),
    st.none(),
)


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    """One to four servers on one or two endpoints, one to six blocks. Half of them are steady throughout."""
    servers = "abcd"[: draw(st.integers(1, 4))]
    endpoints = ("shortbody", "orders")[: draw(st.integers(1, 2))]
    blocks = draw(st.integers(1, 6))
    found = {}
    for endpoint in endpoints:
        for server in servers:
            one_run: st.SearchStrategy[Made | None] = RUNS
            if draw(st.booleans()):
                middle = draw(RATES)
                one_run = st.builds(Made, st.floats(0.98 * middle, 1.02 * middle))
            found[server, endpoint] = draw(st.lists(one_run, min_size=blocks, max_size=blocks))
    return found


# ------------------------------------------------------------------ what is so, from the figures alone


@dataclass(frozen=True)
class Ratio:
    mean: float
    low: float | None
    high: float | None
    blocks: int


@dataclass(frozen=True)
class Truth:
    """Of one endpoint: what its runs allow to say."""

    figures: Mapping[str, Blocks]

    def valid(self, server: str) -> dict[int, Made]:
        made = {block: run for block, run in enumerate(self.figures[server]) if isinstance(run, Made)}
        return {block: run for block, run in made.items() if run.is_valid}

    def counted(self, server: str) -> dict[int, float]:
        return {block: run.rate for block, run in self.valid(server).items() if run.is_maximum}

    def is_ranked(self, server: str) -> bool:
        return bool(self.valid(server)) and 2 * len(self.counted(server)) >= len(self.valid(server))

    def ratio(self, one: str, other: str) -> Ratio | None:
        ours, theirs = self.counted(one), self.counted(other)
        logs = [
            math.log(ours[block]) - math.log(theirs[block]) for block in sorted(ours.keys() & theirs.keys())
        ]
        if not logs:
            return None
        middle = fmean(logs)
        if len(logs) == 1:
            return Ratio(math.exp(middle), None, None, 1)
        half = t_quantile(0.975, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
        low, high = (math.exp(max(-700.0, min(700.0, bound))) for bound in (middle - half, middle + half))
        return Ratio(math.exp(middle), low, high, len(logs))

    def is_surely_ahead(self, one: str, other: str) -> bool:
        """By the pair's own interval: what is claimed over a page must hold for the pair at least."""
        found = self.ratio(one, other)
        return found is not None and found.low is not None and found.low > 1


# ------------------------------------------------------------------ every sentence there is

NAME, NUMBER = r"([abcd])", r"((?:\d[\d,]*(?:\.\d+)?)|under 0\.1)"
BLOCKS = r"(\d+) blocks?"
ON = r"On \w+, "
LEFT_OUT = r"(?:Leaving out [abcd, and]+: )?"
SINGLE = r"(?:one run each: no interval|only one block holds a valid run of both: no interval)"
RIVAL = r"(?:its closest competitor, )?"
OPEN = r"(?:; about \d+ more blocks? needed|; more blocks would hardly settle it)\."
CHANCE = r"( among \d+ comparisons)?"


def check_lead(truth: Truth, one: str, other: str, said: str, low: str, high: str, blocks: str) -> None:
    found = truth.ratio(one, other)
    assert found is not None and found.low is not None and found.high is not None
    assert truth.is_surely_ahead(one, other)
    assert found.blocks == int(blocks)
    is_factor = found.mean >= 2
    assert said == (times(found.mean) if is_factor else lead(found.mean))
    assert low == (times_beside_one(found.low) if is_factor else lead(found.low))
    assert high == (times(found.high) if is_factor else lead(found.high))


def check_single(truth: Truth, one: str, other: str, said: str | None) -> None:
    found = truth.ratio(one, other)
    assert found is not None and found.blocks == 1 and found.mean > 1 - 1e-9
    if said is None:
        assert abs(found.mean - 1) < 0.0051
    else:
        assert said == (times(found.mean) if found.mean >= 2 else lead(found.mean)) and found.mean > 1


def check_level(truth: Truth, one: str, other: str, said: str, low: str, high: str, blocks: str) -> None:
    found = truth.ratio(one, other)
    assert found is not None and found.low is not None and found.high is not None
    assert 1 / LEVEL_MARGIN - 1e-9 <= found.low <= found.mean <= found.high <= LEVEL_MARGIN + 1e-9
    assert (said, low, high) == tuple(map(times_beside_one, (found.mean, found.low, found.high)))
    assert found.blocks == int(blocks) and float(low) <= float(said) <= float(high)


def check_open(
    truth: Truth, one: str, other: str, among: str, said: str, low: str, high: str, blocks: str, chance: str
) -> None:
    found = truth.ratio(one, other)
    assert found is not None and found.low is not None and found.high is not None
    assert found.blocks == int(blocks) and found.mean >= 1 - 1e-9
    assert (said, low, high) == tuple(map(times_beside_one, (found.mean, found.low, found.high)))
    assert float(low) <= float(said) <= float(high)
    assert (found.low > 1) == bool(among) == bool(chance)
    assert float(low) <= 1 <= float(high) or among


def check_apart(truth: Truth, one: str, other: str) -> None:
    assert truth.ratio(one, other) is None


def check_alone(truth: Truth, one: str, *_: str) -> None:
    assert [server for server in truth.figures if truth.valid(server)] == [one]


def check_nothing(truth: Truth, *_: str) -> None:
    """What names no figure."""


def check_no_ranking(truth: Truth, reason: str) -> None:
    lacking = [server for server in truth.figures if not truth.is_ranked(server)]
    assert lacking or "by all blocks together" in reason


ABOUT = rf"\(95 % interval {NUMBER} to {NUMBER}; {BLOCKS}"
SENTENCES: tuple[tuple[str, Callable[..., None]], ...] = (
    (
        rf"{ON}{NAME} outperforms {RIVAL}{NAME}, by {NUMBER} % "
        rf"\(95 % interval {NUMBER} to {NUMBER} %; {BLOCKS}\)\.",
        check_lead,
    ),
    (
        rf"(?:{ON}|{LEFT_OUT}){NAME} serves {NUMBER} % more requests/s than {RIVAL}{NAME} "
        rf"\(95 % interval {NUMBER} to {NUMBER} %; {BLOCKS}\)\.",
        lambda truth, one, said, other, *rest: check_lead(truth, one, other, said, *rest),
    ),
    (
        rf"(?:{ON}|{LEFT_OUT}){NAME} serves {NUMBER} times as many requests/s as {RIVAL}{NAME} {ABOUT}\)\.",
        lambda truth, one, said, other, *rest: check_lead(truth, one, other, said, *rest),
    ),
    (
        rf"(?:{ON}|{LEFT_OUT}){NAME} served {NUMBER} (?:% more|times as many) requests/s (?:than|as) "
        rf"{RIVAL}{NAME} \({SINGLE}\)\.",
        lambda truth, one, said, other: check_single(truth, one, other, said),
    ),
    (
        rf"(?:{ON}|{LEFT_OUT}){NAME} served as many requests/s, to within half a percent, as {NAME} "
        rf"\({SINGLE}\)\.",
        lambda truth, one, other: check_single(truth, one, other, None),
    ),
    (rf"(?:{ON}|{LEFT_OUT}){NAME} and {NAME} are level: ratio {NUMBER} {ABOUT}\)\.", check_level),
    (
        rf"(?:{ON}|{LEFT_OUT}){NAME} or {NAME}: not resolved{CHANCE}, ratio {NUMBER} {ABOUT}\)"
        rf"(, which may be chance)?{OPEN}",
        check_open,
    ),
    (
        rf"(?:{ON}|{LEFT_OUT}){NAME} and {NAME} have no block in common in which both count: not ranked\.",
        check_apart,
    ),
    (rf"{ON}{NAME} serves {NUMBER} requests/s \(.*\); nothing to compare\.", check_alone),
    (rf"Leaving out [abcd, and]+: {NAME} serves {NUMBER} requests/s\.", check_nothing),
    (r"No ranking on \w+: (.*)\.", check_no_ranking),
    (r"Not held back by the server’s CPU alone: .*\.", check_nothing),
)


def check_sentence(truth: Truth, sentence: str) -> None:
    for pattern, check in SENTENCES:
        match = re.fullmatch(pattern, sentence)
        if match is not None:
            check(truth, *match.groups())
            return
    raise AssertionError(f"unknown sentence: {sentence}")


# ------------------------------------------------------------------ the property


def labelled(made: Example) -> Labelled:
    names = [endpoint.name for endpoint in made.plan.endpoints]
    found = contests(summarise(made.plan, made.runs), made.runs, names)
    return [(label_of(contest, found), contest) for contest in found]


def rows_by_endpoint(found: Labelled) -> dict[str, list[tuple[str, ...]]]:
    rows: dict[str, list[tuple[str, ...]]] = {}
    endpoint = ""
    for row in verdict_table(found).rows:
        if row.tone == "group":
            endpoint = row.cells[0]
        else:
            rows.setdefault(endpoint, []).append(row.cells)
    return rows


def outcomes(line: str, endpoints: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """(endpoint, what is said of it, the servers named) for each endpoint of the headline."""
    for part in line.split("; "):
        match = re.fullmatch(r"(.*?) ?on ((?:shortbody|orders)(?: and orders)?)(.*)", part)
        assert match is not None, part
        named = re.findall(r"\b[abcd]\b(?! single| first)", match[1])
        for endpoint in match[2].split(" and "):
            assert endpoint in endpoints
            yield endpoint, match[1] + match[3], named


def check_headline(truth: Truth, said: str, named: list[str], rows: list[tuple[str, ...]]) -> None:
    servers = list(truth.figures)
    if said.startswith("No ranking"):
        assert not named
        return
    assert all(truth.is_ranked(server) for server in servers)
    first, *others = named
    assert rows[0][0] == first
    unnamed = [server for server in servers if server not in named]
    for server in unnamed:
        assert not truth.is_surely_ahead(server, first)
    if "alone" in said:
        assert servers == [first]
    elif "is ahead" in said:
        assert not others and unnamed
        assert truth.is_surely_ahead(first, rows[1][0])
        assert all(any(truth.is_surely_ahead(one, server) for one in servers) for server in unnamed)
    elif "are level" in said:
        for other in others:
            found = truth.ratio(first, other)
            assert found is not None and found.low is not None and found.high is not None
            assert 0.95 < found.low <= found.high < 1.0501
    elif "answered the most" in said:
        for other in others or unnamed:
            found = truth.ratio(first, other)
            # One without a common block may only be left unnamed where another is surely ahead of it.
            assert found is not None or any(truth.is_surely_ahead(one, other) for one in servers)
            assert found is None or found.mean > 1 - 1e-9 or others
    else:
        assert "not resolved" in said or "not all valid in a common block" in said
        assert others


def check_rows(truth: Truth, rows: list[tuple[str, ...]]) -> None:
    ranked = [row[0] for row in rows if truth.is_ranked(row[0])]
    assert [row[0] for row in rows][: len(ranked)] == ranked
    for one, other in pairwise(ranked):
        found = truth.ratio(one, other)
        assert found is None or found.mean >= 1 - 1e-9
    for row in rows:
        if not truth.valid(row[0]):
            assert row[1] == row[2] == "–" and row[3].startswith("refused: ")
        elif not truth.is_ranked(row[0]):
            assert row[3].startswith("not ranked: ")
        assert not re.match(r"[-−]\d", row[3])
        bounds = re.search(r"\[(-?[\d,.]+), (-?[\d,.]+)\]", row[3])
        if bounds is not None:
            low, high = (float(text.replace(",", "")) for text in bounds.groups())
            assert low <= high
            if row[3].endswith("over the next"):
                assert low > 0


ONE_HAS_NO_BLOCK_IN_COMMON: Figures = {
    ("a", "shortbody"): [None, None, Made(1970.0), None, None],
    ("b", "shortbody"): [Made(931.0)] * 5,
    ("c", "shortbody"): [Made(1960.0)] * 5,
    ("d", "shortbody"): [Made(1000.0), Made(950.0), None, Made(1000.0), Made(1000.0)],
}


@settings(max_examples=400)
@given(figures())
@example(ONE_HAS_NO_BLOCK_IN_COMMON)
def test_no_sentence_contradicts_a_table_or_the_figures(given_figures: Figures) -> None:
    made = benchmark(given_figures)
    summary, found = summarise(made.plan, made.runs), labelled(made)
    rows = rows_by_endpoint(found)
    truths = {
        endpoint: Truth({server: blocks for (server, of), blocks in given_figures.items() if of == endpoint})
        for endpoint in rows
    }
    for label, contest in found:
        said = answer(contest, label)
        for sentence in (said.sentence, *said.others):
            assert not re.search(r"[-−]\d", sentence), sentence
            check_sentence(truths[label], sentence)
        check_rows(truths[label], rows[label])
    line = headline(found)
    said_of = list(outcomes(line, list(rows)))
    assert sorted(endpoint for endpoint, *_ in said_of) == sorted(rows)
    for endpoint, words, named in said_of:
        check_headline(truths[endpoint], words, named, rows[endpoint])
    shown = [(row.endpoint, row.server) for row in cell_rows(summary, made.runs)]
    ranked = {(label, cell.server) for label, contest in found for cell in contest.ranked}
    expected = [(label, cell.server) for label, contest in found for cell in contest.ranked]
    assert [one for one in shown if one in ranked] == expected
    by_cell = {(label, row[0]): row[3] for label, table in rows.items() for row in table}
    for row in cell_rows(summary, made.runs):
        if (row.endpoint, row.server) in ranked:
            assert row.verdict.startswith(by_cell[row.endpoint, row.server] or "valid")
    check_csv(cells_csv(summary, found), truths, {endpoint: named for endpoint, _, named in said_of}, rows)
    check_chart(found, truths)


def check_csv(
    text: str,
    truths: Mapping[str, Truth],
    named: Mapping[str, list[str]],
    rows: Mapping[str, list[tuple[str, ...]]],
) -> None:
    lines = list(csv.DictReader(io.StringIO(text)))
    for endpoint, truth in truths.items():
        own = {line["server"]: line for line in lines if line["endpoint"] == endpoint}
        assert own.keys() == truth.figures.keys()
        for server, line in own.items():
            assert line["valid"] == ("yes" if truth.valid(server) else "no")
        ranks = {int(line["rank"]): server for server, line in own.items() if line["rank"]}
        assert bool(ranks) == bool(named[endpoint])
        assert [ranks[place] for place in sorted(ranks)] == [row[0] for row in rows[endpoint]][: len(ranks)]


def check_chart(found: Labelled, truths: Mapping[str, Truth]) -> None:
    figure = ratio_figure(found)
    for table in () if figure is None else figure.tables:
        truth = truths[table.caption.removeprefix("Ratios on ")]
        for pair, ratio, verdict in (row.cells for row in table.rows):
            one, other = pair.split(" over ")
            known = truth.ratio(one, other)
            assert known is not None and known.low is not None and known.high is not None
            shown = tuple(map(times_beside_one, (known.mean, known.low, known.high)))
            assert ratio == f"{shown[0]}  ({shown[1]} to {shown[2]})"
            is_apart = known.low > 1 or known.high < 1
            assert is_apart if verdict == "ahead" or "among" in verdict else True
            assert not is_apart if verdict == "not resolved" else True
