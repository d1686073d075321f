"""Clients as a dimension of a plan, and the section that holds two generators and two protocols together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from bench.errors import UsageError
from bench.judge.hosts import environment_reasons
from bench.plan.load_clients import with_clients
from bench.plan.placement import same_cores
from bench.plan.plan import plan_runs
from bench.plan.request import BenchRequest
from bench.results.answers import AnswersSeen
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.spec import ProtocolSetup
from reports.page.html import page_html
from reports.page.page import Page
from reports.page.section import Section
from reports.results import Results
from reports.sections.generators import SECTION
from reports.words.bodies import bodies_checked
from reports.words.generators import protocols_beside, second_opinions, which_is_more
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import QUICK, REVIEW, SERVERS, Example, environment, example

ROOT = Path(__file__).resolve().parents[2]
BOTH = msgspec.structs.replace(REVIEW, clients=("engine", "h2load"))
H2 = tuple(msgspec.structs.replace(one, protocols={"h2": ProtocolSetup()}) for one in SERVERS)
EVERYTHING = msgspec.structs.replace(BOTH, protocols=("http/1.1", "h2"))


def made(by_h2load: float, over_h2: float = 1.0, noise: float = 0.001) -> Example:
    """h2load gets so many times as much out of each server as our engine; over HTTP/2 so many times that."""

    def change(run: RunResult) -> RunResult:
        more = by_h2load * (over_h2 if run.cell.protocol == "h2" else 1.0)
        return msgspec.structs.replace(run, requests_per_second=run.requests_per_second * more)

    found = example(EVERYTHING, servers=H2, noise=noise)
    return found.changed(lambda run: run.cell.client == "h2load", change)


def section(found: Example) -> str:
    results = Results(found.plan, found.environment, summarise(found.plan, found.runs), found.runs)
    parts = SECTION.parts(results)
    return page_html(Page("", "", "", "", (Section("one", "One", tuple(parts), "1"),), ""))


# ---------------------------------------------------------------- the plan


def request(*clients: str) -> BenchRequest:
    return BenchRequest(root=ROOT, clients=clients)


def test_clients_are_the_profiles_unless_they_are_named() -> None:
    assert with_clients(QUICK, request()).clients == ("engine",)
    assert with_clients(QUICK, request("h2load", "engine", "h2load")).clients == ("h2load", "engine")
    with pytest.raises(UsageError, match="no client 'h2laod'"):
        with_clients(QUICK, request("h2laod"))


def test_a_protocol_that_no_client_of_the_plan_speaks_brings_one_that_does() -> None:
    over_both = msgspec.structs.replace(QUICK, protocols=("http/1.1", "h2"))
    assert with_clients(over_both, request()).clients == ("engine", "h2load")
    assert with_clients(over_both, request("engine")).clients == ("engine",)


def test_each_protocol_is_asked_by_the_clients_that_speak_it() -> None:
    planned, skipped = plan_runs(H2, ENDPOINTS, EVERYTHING, "lab", seed=3)
    ways = {(run.cell.client, run.cell.protocol) for run in planned}
    assert ways == {("engine", "http/1.1"), ("h2load", "http/1.1"), ("h2load", "h2")}
    assert not [one for one in skipped if "does not speak" in one.reason]


def test_where_nobody_speaks_it_the_cell_is_skipped_with_that_reason() -> None:
    alone = msgspec.structs.replace(QUICK, protocols=("h2",))
    planned, skipped = plan_runs(H2, ENDPOINTS, alone, "lab", seed=3)
    assert not planned
    assert {one.reason for one in skipped} == {"our engine does not speak HTTP/2"}


# ---------------------------------------------------------------- the section


def test_pairs_differ_in_one_thing_alone() -> None:
    found = made(1.0)
    summary = summarise(found.plan, found.runs)
    opinions = second_opinions(summary, found.runs)
    assert len(opinions) == 9
    for pair in opinions:
        assert (pair.one.client, pair.other.client) == ("engine", "h2load")
        assert pair.one.cell == msgspec.structs.replace(pair.other.cell, client="engine")
    protocols = protocols_beside(summary, found.runs)
    assert {(pair.one.protocol, pair.other.protocol, pair.one.client) for pair in protocols} == {
        ("h2", "http/1.1", "h2load")
    }


@pytest.mark.parametrize(
    ("by_h2load", "says"), [(1.0, "level"), (1.3, "h2load gets more"), (0.7, "our engine gets more")]
)
def test_two_generators_agree_or_not(by_h2load: float, says: str) -> None:
    found = made(by_h2load)
    opinions = second_opinions(summarise(found.plan, found.runs), found.runs)
    said = {which_is_more(one.ratio, "our engine", "h2load", "level") for one in opinions}
    assert said == {says}
    for one in opinions:
        assert one.ratio.mean == pytest.approx(1 / by_h2load, rel=0.01)


def test_what_is_too_spread_or_measured_once_is_not_settled() -> None:
    found = made(1.0, noise=0.2)
    opinions = second_opinions(summarise(found.plan, found.runs), found.runs)
    assert any("not settled" in which_is_more(one.ratio, "a", "b", "level") for one in opinions)
    once = example(msgspec.structs.replace(EVERYTHING, blocks=1), servers=H2)
    (first, *_) = second_opinions(summarise(once.plan, once.runs), once.runs)
    assert which_is_more(first.ratio, "a", "b", "level") == "one block: no interval"


def test_the_section_says_who_agrees_and_what_http_2_does_and_what_h2load_does_not_look_at() -> None:
    page = section(made(1.0, over_h2=0.5))
    assert "surely: 9 of 9 pairs" in page
    assert "HTTP/1.1 gets more" in page and "0.50" in page
    assert "h2load compares no body" in page
    assert "it checks no certificate." in page


def test_without_h2load_there_is_no_such_section() -> None:
    found = example(QUICK)
    results = Results(found.plan, found.environment, summarise(found.plan, found.runs), found.runs)
    assert SECTION.parts(results) == ()


# ---------------------------------------------------------------- load hosts that are one machine


def test_load_hosts_of_one_machine_with_the_same_cores_are_found() -> None:
    facts = environment().facts
    one = dataclasses.replace(facts["lab-load-1"], boot_id="one")
    found = same_cores({"a": (1,), "b": (1, 2), "c": (3,)}, dict.fromkeys("abc", one))
    assert found == {"a": frozenset("b"), "b": frozenset("a")}


def test_hosts_of_two_machines_or_of_an_unknown_one_are_not() -> None:
    facts = environment().facts
    cores = {"lab-load-1": (1,), "lab-load-2": (1,)}
    assert same_cores(cores, facts) == {}
    unknown = {name: dataclasses.replace(one, boot_id="") for name, one in facts.items()}
    assert same_cores(cores, unknown) == {}


def test_the_report_says_that_load_hosts_are_one_machine() -> None:
    apart = environment()
    assert "load_hosts_share_cores" not in {one.code for one in environment_reasons(apart)}
    facts = {name: dataclasses.replace(one, boot_id="one") for name, one in apart.facts.items()}
    together = msgspec.structs.replace(apart, facts=facts)
    (found,) = [one for one in environment_reasons(together) if one.code == "load_hosts_share_cores"]
    assert "lab-load-1, lab-load-2 are one machine and have the same cores (0, 1)" in found.text
    assert not found.invalidates


def test_bodies_that_no_client_looked_at_are_not_called_checked() -> None:
    once = example(msgspec.structs.replace(BOTH, blocks=1))
    seen = AnswersSeen(100, 100, 0, 0, (), None, None)
    unseen = msgspec.structs.replace(seen, bodies_checked=0)
    runs = [
        msgspec.structs.replace(run, answers=seen if run.cell.client == "engine" else unseen)
        for run in once.runs
        if (run.cell.server, run.cell.endpoint) == ("uvicorn", "shortbody")
    ]
    ((_, text),) = bodies_checked(runs)
    assert text == (
        "all 100 bodies compared byte for byte, none wrong; of the 100 answers to h2load no body was"
    )
