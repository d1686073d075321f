"""Like with like: what the report says of servers that aren't set up alike."""

from __future__ import annotations

import msgspec
import pytest

from bench.results.summarise import summarise
from bench.spec import ServerSpec, SetUp
from bench.verdicts.contest import contests
from reports.words.sentences import answer, headline
from reports.words.set_ups import are_alike, unlike_set_ups, with_set_ups
from tests.helpers.endpoints import load_catalogue
from tests.helpers.results_example import QUICK, example


def specs(*set_ups: SetUp) -> list[ServerSpec]:
    return [
        ServerSpec(name=f"server-{place}", package="x", command=("x",), set_up=one)
        for place, one in enumerate(set_ups)
    ]


@pytest.mark.parametrize(
    ("set_ups", "alike"),
    [
        (("best", "best"), True),
        (("best", "both", "best"), True),
        (("shipped", "both"), True),
        (("best", "shipped"), False),
        (("both", "best", "shipped"), False),
        (("best", ""), False),
        (("", ""), True),  # older results say nothing of it
        (("best",), True),
    ],
)
def test_like_is_compared_with_like(set_ups: tuple[SetUp, ...], *, alike: bool) -> None:
    found = specs(*set_ups)
    assert are_alike(found) is alike
    assert bool(unlike_set_ups(found)) is not alike


def test_what_is_measured_by_default_is_alike() -> None:
    catalogue = load_catalogue()
    assert are_alike([catalogue.server(name) for name in catalogue.defaults])
    by_name = [catalogue.server(name) for name in ("uvicorn", "hypercorn")]
    assert unlike_set_ups(by_name) == (
        "Not set up alike: uvicorn is at its best and hypercorn is as shipped. A ratio is of the set-ups as "
        "much as of the servers."
    )


def test_no_server_is_called_faster_without_its_set_up_where_they_are_unlike() -> None:
    made = example(QUICK)
    plan = made.plan
    found = contests(summarise(plan, made.runs), made.runs, [one.name for one in plan.endpoints])
    labelled = tuple((one.endpoint, one) for one in found)
    kinds: list[SetUp] = ["best", "shipped"]
    servers = [
        msgspec.structs.replace(spec, set_up=kinds[place % 2]) for place, spec in enumerate(plan.servers)
    ]
    told = with_set_ups(labelled, servers)
    for (_, before), (label, after) in zip(labelled, told, strict=True):
        assert [cell.requests_per_second for cell in after.cells] == [
            cell.requests_per_second for cell in before.cells
        ]
        for cell in after.ranked:
            assert cell.server.endswith(("(at its best)", "(as shipped)"))
            assert after.lead is before.lead
        assert "(" in answer(after, label).sentence
    assert headline(told) != headline(labelled)
    alike = [msgspec.structs.replace(spec, set_up="both") for spec in plan.servers]
    assert with_set_ups(labelled, alike) is labelled
