"""Answers that wait 40 ms, and links that carry less in a run than in their probe."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.judge.figures import CpuUse, LinkUse, LoadUse, RunFigures
from bench.judge.judge import Judgement, judge
from bench.results.figures import OpenLoop

LOAD = (LoadUse("a/0", 0.4),)
# hypercorn 0.16.0 at 100 connections: it leaves TCP_NODELAY off.
HYPERCORN = RunFigures(
    requests=13_000,
    server=CpuUse(0.75, 1.0),
    load=LOAD,
    connections=100,
    median_latency_seconds=0.04427,
    p90_latency_seconds=0.0516,
    forty_milliseconds_share=0.86,
    eighty_milliseconds_share=0.0,
    tcp_nodelay=False,
)
# An app that sleeps 40 ms, on a server that sets it.
SLEEPER = msgspec.structs.replace(
    HYPERCORN, server=CpuUse(0.11, 1.0), median_latency_seconds=0.0419, tcp_nodelay=True
)


def with_(run: RunFigures, **changes: Any) -> Judgement:
    return judge(msgspec.structs.replace(run, **changes))


def codes(judgement: Judgement) -> list[str]:
    return [reason.code() for reason in judgement.reasons]


def test_an_app_that_sleeps_40_ms_is_not_nagle_where_tcp_nodelay_is_read_as_true() -> None:
    found = judge(SLEEPER)
    assert (found.limit, found.valid, codes(found)) == ("latency", True, ["FixedWait"])
    assert "a fixed wait of about 40 ms" in found.reasons[0].text
    assert "not Nagle's algorithm" in found.reasons[0].text
    assert found.reasons[0].unranks, "more connections are answered more often: it is no maximum"


def test_hypercorn_0_16_at_100_connections_is_nagle_at_a_cpu_of_075() -> None:
    found = judge(HYPERCORN)
    assert (found.limit, found.valid, codes(found)) == ("latency", True, ["DelayedAckSuspected"])
    assert found.reasons[0].text.startswith(
        "86% of the answers waited 40 ms or twice that: the server leaves"
    )
    assert found.reasons[0].unranks


@pytest.mark.parametrize(
    "seen",
    [
        {"median_latency_seconds": 0.003, "p90_latency_seconds": 0.044, "forty_milliseconds_share": 0.5},
        {
            "median_latency_seconds": 0.084,
            "p90_latency_seconds": 0.09,
            "forty_milliseconds_share": 0.0,
            "eighty_milliseconds_share": 0.95,
        },
        {"server": CpuUse(0.88, 1.0)},
        {"server": CpuUse(0.05, 1.0)},
    ],
    ids=["half of the answers", "two waits an answer", "a busy server", "an idle server"],
)
def test_whatever_the_cpu_and_the_median_a_peak_shows_it(seen: dict[str, Any]) -> None:
    assert codes(with_(HYPERCORN, **seen)) == ["DelayedAckSuspected"]


def test_a_saturated_server_makes_its_own_latency() -> None:
    assert codes(with_(HYPERCORN, server=CpuUse(0.99, 1.0))) == []
    assert codes(with_(SLEEPER, server=CpuUse(0.99, 1.0))) == []


def test_few_answers_in_the_peak_are_chance() -> None:
    few = {"forty_milliseconds_share": 0.04, "median_latency_seconds": 0.03}
    assert codes(with_(HYPERCORN, **few)) == ["NotSaturated"]
    assert codes(with_(SLEEPER, **few)) == ["NotSaturated"]


def test_where_tcp_nodelay_is_unknown_it_is_a_guess() -> None:
    found = with_(SLEEPER, tcp_nodelay=None)
    assert codes(found) == ["DelayedAckSuspected"]
    assert "may be Nagle's algorithm" in found.reasons[0].text
    assert "a guess, since whether the server sets TCP_NODELAY is not known" in found.reasons[0].text
    assert codes(with_(HYPERCORN, tcp_nodelay=None)) == ["NotSaturated"], "no guess beside a busy server"


# ---------------------------------------------------------------- links

SHAPED = RunFigures(
    requests=2_900,
    server=CpuUse(0.3, 1.0),
    load=LOAD,
    connections=50,
    link=LinkUse(124e6, None, 0.0002, probed_bytes_per_second=1.25e9),
    window_seconds=10.0,
    second_spread=0.01,
)


def test_a_link_that_is_slower_in_the_run_than_in_its_probe_leaves_the_limit_unknown() -> None:
    """Burst credits: the probe of 0.3 s saw 1,250 MB/s, the run a steady 124. It was "latency"."""
    found = judge(SHAPED)
    assert (found.limit, found.valid, codes(found)) == ("none_found", True, ["LinkMayBeSlower"])
    assert "it may carry less in a run than the probe found, of which this is 10%" in found.reasons[0].text
    assert found.reasons[0].unranks


@pytest.mark.parametrize(
    "changes",
    [
        {"second_spread": 0.2},
        {"second_spread": None},
        {"requests": 1_000_000},
        {"link": LinkUse(124e6, None, 0.0002)},
        {"server": CpuUse(0.8, 1.0)},
        {"open_loop": OpenLoop(290.0, 290.0, None, None, 0, 0)},
    ],
    ids=["uneven", "unknown", "small answers", "unknown link", "somebody busy", "a stated rate"],
)
def test_else_a_link_is_not_blamed(changes: dict[str, Any]) -> None:
    assert "LinkMayBeSlower" not in codes(with_(SHAPED, **changes))


def test_a_link_that_carries_no_more_packets_is_full_however_few_bytes_they_are() -> None:
    link = LinkUse(9e6, 1.25e9, 0.0002, packets_per_second=49_000.0, link_packets_per_second=50_000.0)
    found = with_(SHAPED, link=link)
    assert (found.limit, found.valid, codes(found)) == ("network", False, ["PacketsAtLimit"])
    assert found.reasons[0].text == "49,000 packets/s went over the link, 98% of what it carries"
    assert with_(SHAPED, link=link, server=CpuUse(0.98, 1.0)).valid
    few = msgspec.structs.replace(link, packets_per_second=9_000.0)
    assert "PacketsAtLimit" not in codes(with_(SHAPED, link=few))
