"""Contests: servers that may be compared by one figure, in order, with a verdict on every two of them.

All pairs of all contests of a benchmark are judged together, because a report states them together. Every two
servers of a contest count, not neighbours alone: which are neighbours is known from the same figures, and a
leader is held against all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import combinations, pairwise

import msgspec

from bench.judge.rules.rates import is_server_behind
from bench.results.latency import P99
from bench.results.pairs import by_block, maximum_runs, ratio_over_blocks, valid_runs
from bench.results.ratio import METRICS, Metric
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from bench.served import USUALLY_SERVED, Served
from bench.verdicts.order import Figures, order
from bench.verdicts.pair import Pair, PairVerdict, Verdict, judge_pairs

THROUGHPUT = METRICS[0]
P99_SECONDS = METRICS[1]


class Field(msgspec.Struct, frozen=True):
    """The cells of one contest before it is judged: one for each server, alike in all else."""

    metric: Metric
    cells: tuple[CellSummary, ...]  # in the plan's order; at least one


class Lead(Enum):
    """What may be said of the first of a contest."""

    NONE = "no ranking"  # some cell can't be ranked, or the pairs contradict each other
    ALONE = "alone"
    AHEAD = "ahead"  # of all others
    LEVEL = "level"  # with all that it isn't ahead of
    UNRESOLVED = "not resolved"
    UNKNOWN = "no interval"
    APART = "no common block"  # with one that may be the first as well


class Contest(msgspec.Struct, frozen=True):
    """The cells that may be compared by ``metric``: of one endpoint, reached alike, one number of workers.

    They have one load level too. ``ranked`` has the best first. Neighbours are in the order of their own
    ratio, over the blocks that both have. ``pairs`` has the verdict on every two of them. ``unranked`` are
    valid, and their figures are no maximum; ``refused`` say nothing about their server.
    """

    metric: Metric
    ranked: tuple[CellSummary, ...]
    unranked: tuple[CellSummary, ...]
    refused: tuple[CellSummary, ...]
    pairs: tuple[PairVerdict, ...]

    @property
    def cells(self) -> tuple[CellSummary, ...]:
        return self.ranked + self.unranked + self.refused

    @property
    def valid(self) -> tuple[CellSummary, ...]:
        """Those whose figures may be shown."""
        return self.ranked + self.unranked

    @property
    def endpoint(self) -> str:
        return self.cells[0].endpoint

    @property
    def workers(self) -> int:
        return self.cells[0].workers

    @property
    def connections(self) -> int:
        return self.cells[0].connections

    @property
    def served(self) -> Served:
        """How the servers of all its cells were reached."""
        return self.cells[0].served

    @property
    def steps(self) -> tuple[PairVerdict, ...]:
        """Each ranked cell against the next."""
        return tuple(self.between(one, other) for one, other in pairwise(self.ranked))

    @property
    def rivals(self) -> tuple[CellSummary, ...]:
        """Those that may be the first as well: no server is surely ahead of them."""
        beaten = {pair.other.server for pair in self.pairs if pair.verdict is Verdict.AHEAD}
        return tuple(cell for cell in self.ranked[1:] if cell.server not in beaten)

    @property
    def contradictions(self) -> tuple[PairVerdict, ...]:
        """Pairs of which the one that stands behind is surely ahead: the blocks of each two say otherwise."""
        places = {cell.server: place for place, cell in enumerate(self.ranked)}
        return tuple(
            pair
            for pair in self.pairs
            if pair.verdict is Verdict.AHEAD and places[pair.better.server] > places[pair.other.server]
        )

    @property
    def lead(self) -> Lead:
        if self.refused or self.unranked or self.contradictions:
            return Lead.NONE
        if len(self.ranked) == 1:
            return Lead.ALONE
        found = {self.between(self.ranked[0], rival).verdict for rival in self.rivals}
        for verdict, lead in (
            (Verdict.APART, Lead.APART),
            (Verdict.UNRESOLVED, Lead.UNRESOLVED),
            (Verdict.UNKNOWN, Lead.UNKNOWN),
            (Verdict.LEVEL, Lead.LEVEL),
        ):
            if verdict in found:
                return lead
        return Lead.AHEAD

    def between(self, one: CellSummary, other: CellSummary) -> PairVerdict:
        """The verdict on two ranked cells."""
        both = {one.server, other.server}
        return next(pair for pair in self.pairs if {pair.better.server, pair.other.server} == both)


class AllContests(msgspec.Struct, frozen=True):
    """The contests of one benchmark, judged together as one report states them together."""

    # One for each endpoint (in the order given), way to reach it, number of workers and load level.
    by_throughput: tuple[Contest, ...]
    # By p99 at equal rates: one for each endpoint, number of workers and rate in requests/s.
    by_rate: tuple[Contest, ...]


def all_contests(summary: Summary, runs: Sequence[RunResult], endpoints: Sequence[str]) -> AllContests:
    fields = throughput_fields(summary, endpoints)
    judged = judge((*fields, *rate_fields(summary, endpoints)), runs)
    return AllContests(judged[: len(fields)], judged[len(fields) :])


def contests(summary: Summary, runs: Sequence[RunResult], endpoints: Sequence[str]) -> tuple[Contest, ...]:
    """``all_contests`` by throughput."""
    return all_contests(summary, runs, endpoints).by_throughput


def rate_contests(
    summary: Summary, runs: Sequence[RunResult], endpoints: Sequence[str]
) -> tuple[Contest, ...]:
    """``all_contests`` by p99."""
    return all_contests(summary, runs, endpoints).by_rate


def throughput_fields(summary: Summary, endpoints: Sequence[str]) -> tuple[Field, ...]:
    cells = summary.closed_loop_cells
    places = {name: place for place, name in enumerate(endpoints)}
    keys = dict.fromkeys(map(_key, cells))
    return tuple(
        Field(THROUGHPUT, tuple(cell for cell in cells if _key(cell) == key))
        for key in sorted(keys, key=lambda key: (places[key[0]], *key[1:]))
    )


def rate_fields(summary: Summary, endpoints: Sequence[str]) -> tuple[Field, ...]:
    """At each rate the servers that met it: the latency of an overload grows for as long as it lasts."""
    cells = [cell for cell in summary.cells if is_comparable_at_rate(cell)]
    places = {name: place for place, name in enumerate(endpoints)}
    keys = dict.fromkeys((*_key(cell), cell.rate_per_second or 0.0) for cell in cells)
    return tuple(
        Field(P99_SECONDS, tuple(cell for cell in cells if (*_key(cell), cell.rate_per_second) == key))
        for key in sorted(keys, key=lambda key: (places[key[0]], *key[1:]))
    )


def is_comparable_at_rate(cell: CellSummary) -> bool:
    """It met a rate that is the same for all servers, with enough requests for a p99."""
    is_stated = cell.rate_per_second is not None and cell.rate_share is None
    has_tail = P99.of(cell.latency_seconds) is not None
    return cell.valid and is_stated and has_tail and not is_server_behind(cell.reasons)


def judge(fields: Sequence[Field], runs: Sequence[RunResult]) -> tuple[Contest, ...]:
    """One contest for each field, in this order; the pairs of all of them are judged together."""
    unjudged = [_unjudged(field, runs) for field in fields]
    verdicts = iter(judge_pairs([pair for _, pairs in unjudged for pair in pairs]))
    return tuple(
        msgspec.structs.replace(contest, pairs=tuple(next(verdicts) for _ in pairs))
        for contest, pairs in unjudged
    )


def _unjudged(field: Field, runs: Sequence[RunResult]) -> tuple[Contest, list[Pair]]:
    is_maximum = field.metric is THROUGHPUT
    figures = {cell.server: _figures(field.metric, cell, runs) for cell in field.cells}
    unranked = [cell for cell in field.cells if is_maximum and cell.valid and not cell.is_ranked]
    kept = [cell for cell in field.cells if cell.valid and cell not in unranked and figures[cell.server]]
    ranked = [kept[place] for place in order([figures[cell.server] for cell in kept])]
    contest = Contest(
        metric=field.metric,
        ranked=tuple(ranked),
        unranked=tuple(unranked),
        refused=tuple(cell for cell in field.cells if cell not in kept and cell not in unranked),
        pairs=(),
    )
    return contest, [_pair(one, other, figures, field.metric) for one, other in combinations(ranked, 2)]


def _pair(one: CellSummary, other: CellSummary, figures: dict[str, Figures], metric: Metric) -> Pair:
    ratio = ratio_over_blocks(figures[one.server], figures[other.server], metric.resolution)
    if ratio.mean is not None and ratio.mean < 1:
        turned = ratio_over_blocks(figures[other.server], figures[one.server], metric.resolution)
        return Pair(other, one, turned)
    return Pair(one, other, ratio)


def _figures(metric: Metric, cell: CellSummary, runs: Sequence[RunResult]) -> Figures:
    """By block, so that more is better. Of throughput, runs that are no maximum are left out."""
    made = maximum_runs(cell, runs) if metric is THROUGHPUT else valid_runs(cell, runs)
    found = by_block(made, metric.of)
    return found if metric.more_is_better else {block: -value for block, value in found.items()}


def _key(cell: CellSummary) -> tuple[str, bool, Served, int, int]:
    """What the cells of a contest are alike in; plain HTTP/1.1 comes first."""
    return cell.endpoint, cell.served != USUALLY_SERVED, cell.served, cell.workers, cell.connections
