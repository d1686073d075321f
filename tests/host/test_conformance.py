"""`./invoke conformance` on this machine: uvicorn, and a server that takes no care and is found out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.proofs.conformance import ConformanceFindings
from bench.proofs.kept import read_proofs
from bench.wire.conformance import ConformanceFinding
from remote.onhost.conformance.asgi.exchange import AsgiPlace
from remote.onhost.conformance.asgi.lifespan import VARIANTS
from remote.onhost.conformance.asgi.probe import control_problem, run_probe
from remote.onhost.conformance.asgi.probes import all_probes
from remote.onhost.conformance.asgi.suite import chosen
from session.prove.conformance import LIFESPANS
from tests.helpers.environments import LOOPBACK, ROOT, stop
from tests.helpers.ports import free_port
from tests.helpers.program import LOCAL_INVENTORY, processes_naming, run, work_folder
from tests.helpers.waiting import until

# Of ASGI's probes: what a server that takes no care must be found to violate.
CARELESS = {
    "": (
        "request-waits",
        "request-after-answer",
        "disconnect-before-answer",
        "disconnect-reset",
        "disconnect-in-answer",
        "failure-before-start",
        "failure-in-length",
        "failure-no-answer",
        "invalid-value-line",
        "invalid-body-first",
        "invalid-type",
        "response-second-body",
        "response-too-short",
        "response-too-long",
        "response-head",
        "response-204",
        "scope-path-percent",
        "scope-http-version",
        "scope-own",
    ),
    "scope": (
        "scope-asgi-version",
        "scope-http-version",
        "scope-method",
        "scope-scheme",
        "scope-path",
        "scope-raw-path",
        "scope-query",
        "scope-query-none",
        "scope-root-path",
        "scope-headers-twice",
        "scope-client",
        "scope-server",
        "scope-state",
        "scope-extensions",
        "scope-no-tls",
    ),
}
# What a probe finds that is against no MUST.
WEAK = {
    "": ("invalid-name-space", "invalid-more-body-text"),
    "scope": ("scope-headers-case",),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ConformanceFindings:
    folder = tmp_path_factory.mktemp("conformance")
    with work_folder() as outside:
        inventory = folder / "here.yml"
        inventory.write_text(LOCAL_INVENTORY.format(workdir=outside / "w"))
        words = ("--servers", "uvicorn", "--results", str(folder / "results"))
        done = run("conformance", "--hosts", str(inventory), *words)
        assert done.status == 0, done.stderr
        assert processes_naming(outside) == []
    kept = read_proofs(folder / "results" / "proofs" / "conformance-here.json", ConformanceFindings)
    assert kept is not None and done.last_line.endswith("conformance-here.json")
    return kept.findings["uvicorn"]


def by_probe(found: ConformanceFindings) -> dict[str, ConformanceFinding]:
    return {one.probe: one for one in found["asgi"].findings}


def test_every_probe_of_every_suite_is_made(found: ConformanceFindings) -> None:
    assert set(found) == {"http1", "asgi"}
    assert not found["asgi"].of("untested") and not found["http1"].of("untested")
    made = set(by_probe(found))
    assert {one.name for one in all_probes()} <= made
    assert len([name for name in made if name.startswith("lifespan-")]) == 14
    assert len(made) > 150 and len(found["http1"].findings) > 100


def test_uvicorn_is_found_as_its_source_has_it(found: ConformanceFindings) -> None:
    known = by_probe(found)
    assert known["scope-path-once"].judgement == "conforms"
    assert known["websocket-close-code"].judgement == "conforms"
    assert known["lifespan-shutdown-waits"].judgement == "conforms"
    assert known["invalid-value-line"].judgement == "conforms"
    # httptools' protocol frames by itself, and looks neither at the version nor at what the app has set.
    assert known["response-http-1.0"].judgement == "violates"
    # Its entry says `--lifespan on`.
    assert known["lifespan-raises-at-once"].judgement == "allowed"
    assert "as its settings ask" in known["lifespan-raises-at-once"].why


def test_a_finding_has_both_sides_of_the_story(found: ConformanceFindings) -> None:
    one = by_probe(found)["disconnect-before-answer"]
    assert one.sent.startswith("GET /asgi HTTP/1.1") and "(steps)" in one.sent
    assert "http.disconnect" in one.app_saw
    assert by_probe(found)["response-pieces"].received.endswith("abcdef")


@contextlib.contextmanager
def careless_server(witness: Path, wrong: str) -> Iterator[AsgiPlace]:
    port = free_port()
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "ASGIBENCH_WITNESS": str(witness),
        "CARELESS": wrong,
    }
    program = str(ROOT / "tests" / "helpers" / "careless_server.py")
    process = subprocess.Popen(
        [sys.executable, program, str(port), "testapp.proving.asgi:app"],
        env=environment,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    place = AsgiPlace(LOOPBACK, port, witness)
    try:
        until(lambda: not control_problem(place), 10.0)
        yield place
    finally:
        stop(process, signal.SIGTERM)


@pytest.mark.parametrize("wrong", CARELESS)
def test_a_server_that_takes_no_care_is_found_out(wrong: str, tmp_path: Path) -> None:
    probes = chosen((*CARELESS[wrong], *WEAK[wrong]))
    assert len(probes) == len(CARELESS[wrong]) + len(WEAK[wrong])
    with careless_server(tmp_path, wrong) as place, ThreadPoolExecutor(8) as pool:
        judgements = {one.probe: one for one in pool.map(lambda probe: run_probe(probe, place), probes)}
    for name in CARELESS[wrong]:
        assert judgements[name].judgement == "violates", judgements[name]
    for name in WEAK[wrong]:
        assert judgements[name].judgement == "weak", judgements[name]


def test_without_a_server_nothing_is_proven(tmp_path: Path) -> None:
    (probe,) = chosen(("scope-type",))
    one = run_probe(probe, AsgiPlace(LOOPBACK, free_port(), tmp_path))
    assert one.judgement == "untested" and "the control before it fails" in one.why


def test_every_way_of_the_lifespan_is_started_for() -> None:
    assert set(VARIANTS) == set(LIFESPANS)
