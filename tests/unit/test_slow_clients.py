"""What was measured of slow clients, judged: each verdict at its line, from both sides."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from bench.errors import UsageError
from bench.proofs.kept import PROOFS_VERSION, Proofs
from bench.proofs.slow_clients import (
    KEPT_BYTES,
    SLOW_CLIENTS,
    TITLES,
    SlowFinding,
    judged,
    memory_per_connection,
    ratio_of_pairs,
    slow_json,
    unproven,
)
from bench.proofs.slow_request import SlowRequest
from bench.wire.codec import decode_line, encode_line
from bench.wire.slow_clients import (
    HalfClose,
    HeldConnections,
    Meanwhile,
    SlicePair,
    SlowOrder,
    SlowReport,
    StoppedFlow,
    TreeMemory,
)
from remote.onhost.slow_clients.probes import idle
from reports.tables.slow_clients import cost_table, ends_table
from reports.terminal.slow_clients import reason_lines, table_rows
from reports.words.slow_clients import ahead_text, closed_text, memory_text, ratio_text

MB = 1_000_000
SERVED = Meanwhile(20, 20, 0.004)
STARVED = Meanwhile(20, 3, 4.0)
HELD = HeldConnections(
    asked=200,
    opened=200,
    limit="",
    before=TreeMemory(40 * MB, 30 * MB),
    after=TreeMemory(43 * MB, 32 * MB),
    meanwhile=SERVED,
    watched_seconds=80.0,
    closed=0,
    first_closed_seconds=None,
    last_closed_seconds=None,
    answered_status=0,
)
FLOW = StoppedFlow(
    connections=1,
    ahead_bytes=4 * MB,
    reached_cap=False,
    still_growing=False,
    seconds=2.1,
    before=TreeMemory(40 * MB, 30 * MB),
    after=TreeMemory(41 * MB, 31 * MB),
    peak_rss_bytes=41 * MB,
    meanwhile=SERVED,
)


def held(probe: str = "slowloris", **changed: Any) -> SlowFinding:
    return judged(SlowReport(probe, held=dataclasses.replace(HELD, **changed)))


def flow(probe: str = "endless-answer", **changed: Any) -> SlowFinding:
    return judged(SlowReport(probe, flow=dataclasses.replace(FLOW, **changed)))


@pytest.mark.parametrize("probe", ["silent", "slowloris", "stopped-writer"])
def test_a_server_closes_what_waits_or_keeps_it(probe: str) -> None:
    kept = held(probe, closed=199, first_closed_seconds=60.0, last_closed_seconds=61.0)
    assert kept.verdict == "keeps" and kept.reason == "1 of 200 are still open after 80 s"
    closed = held(probe, closed=200, first_closed_seconds=60.0, last_closed_seconds=61.2, answered_status=408)
    assert closed.verdict == "closes"
    assert closed.reason == "all 200 are closed with status 408, 60 to 61 s after they were opened"


def test_new_connections_that_are_not_answered_count_before_all_else() -> None:
    assert held(meanwhile=STARVED).verdict == "starves"
    assert held("idle", meanwhile=STARVED).verdict == "starves"
    assert flow(meanwhile=STARVED).verdict == "starves"
    assert "17 of 20 new connections were not answered" in held("idle", meanwhile=STARVED).reason


def test_fewer_connections_than_asked_are_told_with_the_reason() -> None:
    found = held("idle", asked=10_000, opened=900, limit="the server may open 1,024 files")
    assert found.verdict == "serves"
    assert "900 idle connections (10,000 were asked for: the server may open 1,024 files)" in found.reason
    nothing = held("idle", opened=0, limit="connection refused")
    assert nothing.verdict == "untested" and "connection refused" in nothing.reason


def test_watching_that_was_stopped_says_why() -> None:
    assert "the server has ended" in held(stopped_early="the server has ended").reason


def test_memory_is_of_each_connection_by_pss_or_else_by_rss() -> None:
    assert memory_per_connection(held()) == 10_000
    without_pss = held(before=TreeMemory(40 * MB, None), after=TreeMemory(43 * MB, None))
    assert memory_per_connection(without_pss) == 15_000
    assert memory_per_connection(held(opened=0, limit="refused")) is None
    assert memory_per_connection(flow(connections=1)) is None
    assert memory_per_connection(flow("stopped-reader", connections=100)) == 10_000


def test_an_end_that_stops_is_bounded_and_one_that_is_stopped_is_not() -> None:
    assert flow().verdict == "bounded"
    assert flow(ahead_bytes=256 * MB, reached_cap=True).verdict == "unbounded"
    assert flow(still_growing=True).verdict == "unbounded"
    assert flow(ahead_bytes=KEPT_BYTES).verdict == "bounded"
    assert flow(ahead_bytes=KEPT_BYTES + 1).verdict == "unbounded"
    assert flow("endless-upload", ahead_bytes=256 * MB, reached_cap=True).verdict == "unbounded"
    grown = flow(peak_rss_bytes=290 * MB, ahead_bytes=256 * MB, reached_cap=True)
    assert grown.reason == ("send() ran 256.0 MB ahead, and memory grew by 250.0 MB, until it was stopped")


def test_what_is_sent_for_nobody_is_bounded_as_long_as_it_is_not_kept() -> None:
    dropped = flow("vanished-reader", ahead_bytes=256 * MB, reached_cap=True, still_growing=True)
    assert dropped.verdict == "bounded" and "nothing stops the app" in dropped.reason
    kept = flow(
        "vanished-reader", ahead_bytes=256 * MB, reached_cap=True, peak_rss_bytes=40 * MB + KEPT_BYTES + 1
    )
    assert kept.verdict == "unbounded"
    assert flow("vanished-reader", still_growing=True).verdict == "unbounded"
    assert flow("vanished-reader").verdict == "bounded"


def test_readers_that_stop_are_held_against_their_answer() -> None:
    readers = {"connections": 100, "ahead_bytes": 43 * MB}
    assert flow("stopped-reader", **readers).verdict == "bounded"
    twice = TreeMemory(200 * MB, 30 * MB + 100 * 860_001)
    assert flow("stopped-reader", **readers, after=twice).verdict == "unbounded"
    at_line = TreeMemory(200 * MB, 30 * MB + 100 * 860_000)
    assert flow("stopped-reader", **readers, after=at_line).verdict == "bounded"


def half_closed(*answered: bool) -> SlowFinding:
    cases = (
        "behind the request",
        "behind the request, whose answer takes a while",
        "in the midst of the body",
    )
    return judged(
        SlowReport(
            "half-closed",
            half_closed=tuple(
                HalfClose(case, 200 if whole else 0, whole, 0.5, not whole)
                for case, whole in zip(cases, answered, strict=True)
            ),
        )
    )


def test_a_half_closed_client_is_answered_or_dropped() -> None:
    assert half_closed(True, True, False).verdict == "answers"
    dropped = half_closed(True, False, True)
    assert dropped.verdict == "drops"
    assert "whose answer takes a while: closed after 0.5 s" in dropped.reason


def test_the_ratio_of_throughput_has_an_interval_that_holds_it() -> None:
    pairs = (SlicePair(1000.0, 900.0), SlicePair(1100.0, 935.0), SlicePair(1000.0, 950.0))
    ratio = ratio_of_pairs(pairs)
    assert ratio is not None and ratio.mean is not None and ratio.low is not None and ratio.high is not None
    assert ratio.mean == pytest.approx((0.9 * 0.85 * 0.95) ** (1 / 3))
    assert ratio.low < ratio.mean < ratio.high and ratio.high > 1
    assert ratio_of_pairs(()) is None
    assert ratio_text(ratio) == "0.90 (0.78 to 1.03)"
    assert ratio_text(ratio_of_pairs(pairs[:1])) == "0.90"


def test_a_probe_that_failed_is_untested_with_its_reason() -> None:
    assert judged(SlowReport("idle", "the server did not become ready: refused")).verdict == "untested"
    assert unproven("idle", "took longer than 300 s").reason == "took longer than 300 s"


def test_what_is_measured_travels_and_is_kept_whole() -> None:
    report = SlowReport("idle", held=HELD, pairs=(SlicePair(1.0, 2.0),))
    assert decode_line(SlowReport, encode_line(report)) == report
    finding = judged(report)
    assert msgspec.json.decode(msgspec.json.encode(finding), type=SlowFinding) == finding
    required = [one.name for one in msgspec.structs.fields(SlowFinding) if one.required]
    assert required == ["verdict", "reason", "measured"]


def every_probe() -> dict[str, SlowFinding]:
    found = {probe: held(probe) for probe in ("idle", "silent", "slowloris", "stopped-writer")}
    found |= {
        probe: flow(probe)
        for probe in ("stopped-reader", "endless-answer", "vanished-reader", "endless-upload")
    }
    return found | {"half-closed": half_closed(True, True, True)}


def test_tables_and_terminal_have_every_probe_and_none_is_needed() -> None:
    found = every_probe()
    assert set(found) == set(TITLES)
    for several in (found, {"silent": found["silent"]}):
        proofs = Proofs(SLOW_CLIENTS, PROOFS_VERSION, "", (), "lab", {}, {"uvicorn": several})
        for table in (cost_table(proofs), ends_table(proofs)):
            assert {len(row.cells) for row in table.rows} == {len(table.columns)}
        assert len(table_rows(proofs)[0]) == 9
        assert "uvicorn: silent: keeps: 200 of 200 are still open after 80 s" in reason_lines(proofs, None)
    assert slow_json({"uvicorn": found})["uvicorn"]["silent"]["memory_per_connection_bytes"] == 10_000
    assert (closed_text(found["silent"]), ahead_text(found["endless-answer"])) == (
        "keeps",
        "bounded (4.0 MB)",
    )
    assert memory_text(found["silent"]) == "10.0"
    assert closed_text(held(closed=200, first_closed_seconds=1.0, last_closed_seconds=2.0)) == "closes (2 s)"


def test_wrong_options_are_told_before_any_host_is_touched(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"slowlori.*Did you mean slowloris"):
        SlowRequest(tmp_path, probes=("slowlori",)).check()
    for name in ("idle", "slow", "patience", "pairs"):
        with pytest.raises(UsageError, match=f"--{name} is a whole number above 0"):
            msgspec.structs.replace(SlowRequest(tmp_path), **{name: 0}).check()
    SlowRequest(tmp_path).check()
    words = SlowRequest(tmp_path, probes=("idle", "silent"), idle=7).command("slow-clients")
    assert words == ("./invoke", "slow-clients", "--probes", "idle,silent", "--idle", "7")


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 5, 6])
def test_every_pair_is_of_two_slices_that_follow_each_other(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices: list[str] = []
    open_now: list[bool] = []

    def requests_per_second(order: SlowOrder, seconds: float) -> float:
        if seconds == order.slice_seconds:
            slices.append("beside" if open_now else "without")
        return float(len(slices))

    def hold(order: SlowOrder, tree: object, opening: bytes, **more: Any) -> HeldConnections:
        open_now.append(True)
        more["while_open"]()
        open_now.clear()
        return HELD

    monkeypatch.setattr(idle, "requests_per_second", requests_per_second)
    monkeypatch.setattr(idle, "hold", hold)
    monkeypatch.setattr(idle, "SETTLE_SECONDS", 0.0)
    order = SlowOrder("idle", 1, "127.0.0.1", 1, "", 10, 1.0, 1, pairs=pairs)
    report = idle.run(order, tree=None)  # type: ignore[arg-type]
    assert len(report.pairs) == pairs and report.held == HELD
    assert slices[0] == "beside"
    # A slice's figure is its place here.
    assert all(abs(pair.beside - pair.without) == 1 for pair in report.pairs)
