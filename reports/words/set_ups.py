"""Servers are compared like with like: as shipped, or at their best. What isn't alike is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bench.spec import ServerSpec, SetUp
from bench.verdicts.contest import Contest
from reports.words.numbers import listed
from reports.words.verdicts import Labelled

SET_UP_WORDS: dict[SetUp, str] = {
    "shipped": "as shipped",
    "best": "at its best",
    "both": "as shipped, which is its best",
    "": "neither as shipped nor at its best",
}
_KINDS: dict[SetUp, frozenset[str]] = {
    "shipped": frozenset({"shipped"}),
    "best": frozenset({"best"}),
    "both": frozenset({"shipped", "best"}),
    "": frozenset(),
}


def are_alike(servers: Sequence[ServerSpec]) -> bool:
    """All are as shipped, or all at their best. So are those of which nothing is said: older results."""
    if len(servers) < 2 or not any(spec.set_up for spec in servers):
        return True
    return bool(frozenset.intersection(*(_KINDS[spec.set_up] for spec in servers)))


def unlike_set_ups(servers: Sequence[ServerSpec]) -> str:
    """One sentence where they aren't alike, else ""."""
    if are_alike(servers):
        return ""
    parts = [f"{spec.name} is {SET_UP_WORDS[spec.set_up]}" for spec in servers]
    return f"Not set up alike: {listed(parts)}. A ratio is of the set-ups as much as of the servers."


def with_set_ups(contests: Labelled, servers: Sequence[ServerSpec]) -> Labelled:
    """The contests, each server named with its set-up where these aren't alike."""
    if are_alike(servers):
        return contests
    names = {spec.name: f"{spec.name} ({SET_UP_WORDS[spec.set_up]})" for spec in servers}
    return tuple((label, _renamed(contest, names)) for label, contest in contests)


def _renamed(contest: Contest, names: Mapping[str, str]) -> Contest:
    found = {
        cell.server: msgspec.structs.replace(cell, server=names.get(cell.server, cell.server))
        for cell in contest.cells
    }
    return msgspec.structs.replace(
        contest,
        ranked=tuple(found[cell.server] for cell in contest.ranked),
        unranked=tuple(found[cell.server] for cell in contest.unranked),
        refused=tuple(found[cell.server] for cell in contest.refused),
        pairs=tuple(
            msgspec.structs.replace(pair, better=found[pair.better.server], other=found[pair.other.server])
            for pair in contest.pairs
        ),
    )
