"""The workloads: what each says of itself, and what a plan, a load and a check make of it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import AnswersDiffer, UsageError
from bench.plan.plan import plan_runs
from bench.spec import Endpoint
from bench.wire.answers import TakenAnswer
from loadgen.endpoints import endpoint_of
from loadgen.traffic import traffic_of
from remote.server import FirstRequest, check_answers
from testapp.data import USER_COUNT, tokens
from testapp.workload import Workload
from testapp.workloads import WORKLOADS
from tests.helpers.endpoints import ENDPOINTS, KNOWN_ENDPOINTS
from tests.helpers.results_example import QUICK, SERVERS

ROOT = Path(__file__).resolve().parents[2]
SEED = 7
EVERY = pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
OWN = Endpoint("mine", "", "", None)


def test_the_papers_three_are_measured_unless_others_are_named() -> None:
    assert [endpoint.name for endpoint in ENDPOINTS] == ["shortbody", "longbody", "orders"]
    assert list(WORKLOADS)[:3] == ["shortbody", "longbody", "orders"]


@EVERY
def test_a_workload_is_what_it_says(workload: Workload) -> None:
    """Its name can be part of a file's name, its bodies have the length it names, and a seed decides all."""
    assert re.fullmatch(r"[a-z0-9-]+", workload.name)
    bodies = workload.bodies(SEED)
    assert bodies == workload.bodies(SEED)
    assert len(bodies) == (USER_COUNT if workload.rotates_tokens else 1)
    lengths = {len(body) for body in bodies}
    assert workload.length_bytes in lengths if len(lengths) == 1 else workload.length_bytes is None
    assert len(workload.request_body(SEED)) == workload.request_length_bytes


def test_the_document_lists_every_workload() -> None:
    rows = [
        f"| `{one.name}` | `{one.request}` | {one.description} | "
        f"{'yes' if one.name in KNOWN_ENDPOINTS.defaults else 'no'} |"
        for one in KNOWN_ENDPOINTS.endpoints
    ]
    document = (ROOT / "docs" / "workloads.md").read_text().splitlines()
    assert [line for line in document if line.startswith("| `")] == rows


@EVERY
def test_the_load_asks_for_what_the_workload_answers(workload: Workload) -> None:
    spec = traffic_of(endpoint_of(workload), SEED).load_spec(
        "::1", 8_000, epoch=5.0, hash_sample_every=10, clock_offsets={"a/0": 0.1}
    )
    assert (spec.host, spec.port, spec.epoch) == ("::1", 8_000, 5.0)
    assert (spec.method, spec.path, spec.mode) == (workload.method, workload.path, "closed")
    assert base64.b64decode(spec.body) == workload.request_body(SEED)
    assert (spec.rotate is not None) is workload.rotates_tokens
    assert spec.rotate is None or spec.rotate.values == tokens(SEED)
    assert spec.expect.length == workload.length_bytes
    right = tuple(hashlib.sha256(body).hexdigest() for body in workload.bodies(SEED))
    assert spec.expect.body_sha256 == right
    assert spec.hash_sample_every == (10 if workload.name == "longbody" else 1), "small: every body"
    assert dict(workload.headers).items() <= spec.headers.items()


def test_echo_sends_the_bytes_of_its_seed_and_expects_them_back() -> None:
    echo = WORKLOADS["echo"]
    assert echo.bodies(SEED) == (echo.request_body(SEED),) != echo.bodies(SEED + 1)
    first = traffic_of(endpoint_of(echo), SEED).first_request()
    assert first is not None
    assert (first.body, first.right_body) == (echo.request_body(SEED), echo.request_body(SEED))
    assert endpoint_of(echo).request == "POST /api/echo with 1,000 bytes"


def test_a_locustfile_has_the_tokens_and_every_counted_path() -> None:
    traffic = traffic_of(OWN, SEED)
    spec = traffic.load_spec("a", 1, epoch=0.0, hash_sample_every=1, clock_offsets={})
    assert spec.rotate is not None and spec.rotate.values == tokens(SEED)
    assert spec.counted_paths == tuple(one.path for one in WORKLOADS.values())
    assert (traffic.first_request(), traffic.answer_bytes()) == (None, None)


def test_the_apps_count_is_that_of_the_endpoint_or_of_all_that_a_locustfile_asked() -> None:
    counts = {"shortbody": 3, "longbody": 4}
    assert traffic_of(ENDPOINTS[1], SEED).count_by_app(counts, 0) == 4
    assert traffic_of(ENDPOINTS[2], SEED).count_by_app(counts, 0) is None
    assert traffic_of(OWN, SEED).count_by_app(counts, 0) == 7
    assert traffic_of(OWN, SEED).count_by_app(counts, 1) is None


def test_a_workload_whose_protocol_no_client_speaks_is_skipped_with_the_reason() -> None:
    other = msgspec.structs.replace(ENDPOINTS[0], protocol="h3")
    runs, skipped = plan_runs(SERVERS[:1], [ENDPOINTS[1], other], QUICK, "lab", seed=1)
    assert {run.cell.endpoint for run in runs} == {"longbody"}
    assert [(one.cell.endpoint, one.reason) for one in skipped] == [
        ("shortbody", "our engine does not speak HTTP/3")
    ]


def test_an_endpoint_that_the_app_has_no_more_is_told() -> None:
    with pytest.raises(UsageError, match="no workload 'gone'") as failure:
        traffic_of(Endpoint("gone", "/api/gone", "text/plain", 3), SEED)
    assert "shortbody" in failure.value.remedy


def test_an_endpoint_of_an_older_plan_is_a_get() -> None:
    older = b'{"name":"shortbody","path":"/api/shortbody","content_type":"text/plain","length_bytes":22}'
    endpoint = msgspec.json.decode(older, type=Endpoint)
    assert (endpoint.method, endpoint.request, endpoint.protocol) == ("GET", "GET /api/shortbody", "http/1.1")


@pytest.mark.parametrize("names", [(), ("orders", "shortbody", "orders")])
def test_chosen_endpoints_come_once_and_in_order(names: tuple[str, ...]) -> None:
    chosen = [endpoint.name for endpoint in KNOWN_ENDPOINTS.chosen(names)]
    assert chosen == list(dict.fromkeys(names or KNOWN_ENDPOINTS.defaults))


# ---------------------------------------------------------------- the first answers


def right(request: FirstRequest) -> TakenAnswer:
    return TakenAnswer(
        status=200,
        content_type=request.endpoint.content_type,
        content_length=str(len(request.right_body)),
        length=len(request.right_body),
        sha256=hashlib.sha256(request.right_body).hexdigest(),
    )


def first_requests() -> list[FirstRequest]:
    found = [traffic_of(endpoint, SEED).first_request() for endpoint in ENDPOINTS]
    return [one for one in found if one is not None]


def test_right_answers_pass_and_one_that_is_not_served_is_left_out() -> None:
    requests = first_requests()
    whole = {one.endpoint.name: right(one) for one in requests}
    check_answers({"uvicorn": whole, "hypercorn-trio": {"shortbody": whole["shortbody"]}}, requests)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("status", 404, "status 404, not 200"),
        ("content_type", "text/html", "content_type 'text/html'"),
        ("length", 21, "length 21, not 22"),
        ("content_length", "", "content_length ''"),
        ("sha256", "0" * 64, "sha256 '0000"),
    ],
)
def test_a_wrong_answer_names_server_and_field(field: str, value: Any, said: str) -> None:
    requests = first_requests()[:1]
    good = right(requests[0])
    wrong = dataclasses.replace(good, **{field: value})
    with pytest.raises(AnswersDiffer, match=f"/api/shortbody: daphne answers with {said}"):
        check_answers({"uvicorn": {"shortbody": good}, "daphne": {"shortbody": wrong}}, requests)
