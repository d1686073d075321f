"""Each server's settings: what was asked for, and what the running server was seen to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.results.proof import ProofVerdict, SettingProof
from bench.results.run import RunResult
from reports.tables.table import Table, TableRow, words
from reports.words.numbers import MISSING

# What a reader is shown first where runs differ.
_WORST_FIRST: tuple[ProofVerdict, ...] = (
    "contradicted",
    "not_observable",
    "declared",
    "not_asked",
    "proven",
)
# The settings by the names that readers know; others by their own.
_NAMES = {
    "loop": "event loop",
    "http_parser": "HTTP parser",
    "workers": "worker processes",
    "keep_alive": "connections stay open",
    "keep_alive_seconds": "seconds that an idle one stays open",
    "access_log": "access log",
    "backlog": "connections that may wait to be accepted",
    "tcp_nodelay": "TCP_NODELAY",
    "headers": "headers that the server adds",
    "protocol": "protocol",
}


def proof_table(runs: Mapping[str, Sequence[RunResult]]) -> Table | None:
    """``runs`` by the server to show. None where no run has been proven: the results are older than that.

    Of several runs of a server the worst counts for each setting.
    """
    worst = {name: _worst(of_server) for name, of_server in runs.items()}
    settings = list(dict.fromkeys(name for proof in worst.values() for name in proof))
    if not settings:
        return None
    rows = tuple(
        TableRow(
            (_NAMES.get(name, name), *(_cell(proof.get(name)) for proof in worst.values())),
            "refused" if any(_is_contradicted(proof.get(name)) for proof in worst.values()) else "",
        )
        for name in settings
    )
    return Table(
        "Proven on the running servers",
        words("Setting", *worst),
        rows,
        note="Seen before the load of every run, not taken from the command; where it differs from what was "
        "asked for, that is said. Anything contradicted voids its run.",
    )


def how_table(runs: Mapping[str, Sequence[RunResult]]) -> Table | None:
    """How each was seen, server by server. None as in ``proof_table``."""
    worst = {name: _worst(of_server) for name, of_server in runs.items()}
    settings = list(dict.fromkeys(name for proof in worst.values() for name in proof))
    if not settings:
        return None
    rows = tuple(
        TableRow(
            (_NAMES.get(name, name), *(proof[name].how if name in proof else "" for proof in worst.values()))
        )
        for name in settings
    )
    return Table("How it was seen", words("Setting", *worst), rows)


def _worst(runs: Sequence[RunResult]) -> dict[str, SettingProof]:
    found: dict[str, SettingProof] = {}
    for run in runs:
        for one in run.proof:
            known = found.get(one.setting)
            if known is None or _WORST_FIRST.index(one.verdict) < _WORST_FIRST.index(known.verdict):
                found[one.setting] = one
    return found


def _is_contradicted(one: SettingProof | None) -> bool:
    return one is not None and one.verdict == "contradicted"


def _cell(one: SettingProof | None) -> str:
    if one is None:
        return MISSING
    if one.verdict == "not_observable" and one.seen:
        return f"{one.seen}; nothing is known that {one.asked} would look like"
    if one.verdict == "not_observable":
        asked = f"asked for {one.asked}; " if one.asked else ""
        return f"{asked}not observable: {one.how}"
    if one.verdict == "contradicted":
        return f"contradicted: asked for {one.asked}, seen {one.seen}"
    if one.verdict == "declared" and one.asked:
        return f"{one.seen}, not {one.asked}, as its entry says"
    return one.seen
