"""Proof of configuration: real servers whose command does other than their settings ask are found out."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.catalogue.observable import unobservable
from bench.results.proof import SettingProof
from bench.results.prove import prove
from bench.spec import ServerSpec
from bench.wire.answers import ReadyOrder, ServerReady
from remote.onhost.answers import wait_until_ready
from tests.helpers.endpoints import load_catalogue
from tests.helpers.environments import LOOPBACK, RunningServer, resolved, running_server

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere backlog and accepting aren't seen"),
]

CATALOGUE = load_catalogue()
CURRENT = [spec.name for spec in CATALOGUE.servers]


def readiness_of(server: RunningServer, workers: int, deadline_seconds: float = 10.0) -> ServerReady:
    """What the probe brings home of it, as in every run."""
    return wait_until_ready(
        ReadyOrder(
            address=server.host,
            port=server.port,
            pid=server.process.pid,
            workers=workers,
            deadline_seconds=deadline_seconds,
            process_path="/api/process",
            log_path=str(server.log),
            requests=(),
        )
    )


def proof_of(
    spec: ServerSpec, folder: Path, *, asked_workers: int = 1, workers: int = 1
) -> dict[str, SettingProof]:
    """By setting. ``workers`` run, and ``asked_workers`` is what the plan has."""
    with running_server(spec, folder / "run", "", workers=workers) as server:
        readiness_of(server, workers)  # so that none is still starting
        ready = readiness_of(server, asked_workers)
    assert ready.ready and ready.seen is not None, ready.problem
    return {one.setting: one for one in prove(server.spec, asked_workers, ready.seen)}


def with_words(name: str, *words: str, **settings: Any) -> ServerSpec:
    """The entry with words at its command's end, where they count in place of those before them."""
    spec = CATALOGUE.server(name)
    return msgspec.structs.replace(
        spec,
        command=(*spec.command, *words),
        settings=msgspec.structs.replace(spec.settings, **settings),
    )


def contradicted(proof: Mapping[str, SettingProof]) -> set[str]:
    return {name for name, one in proof.items() if one.verdict == "contradicted"}


# ---------------------------------------------------------------- as it should be


@pytest.mark.parametrize("name", CURRENT)
def test_every_server_of_the_catalogue_is_proven_to_run_as_asked(name: str, tmp_path: Path) -> None:
    spec = resolved(CATALOGUE.server(name))
    proof = proof_of(CATALOGUE.server(name), tmp_path)
    assert not contradicted(proof), proof
    assert {one for one in proof if proof[one].verdict == "not_observable"} == set(
        unobservable(spec, "Linux")
    )
    # The entry says why, and nothing is excused that it doesn't name.
    assert {one for one in proof if proof[one].verdict == "declared"} <= set(spec.unhonoured_settings)
    assert not [one for one in proof.values() if one.verdict == "not_asked"]


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "hypercorn-trio", "granian", "gunicorn-uvicorn"])
def test_two_workers_are_two_that_answer_and_accept(name: str, tmp_path: Path) -> None:
    proof = proof_of(CATALOGUE.server(name), tmp_path, asked_workers=2, workers=2)
    assert not contradicted(proof), proof
    assert (proof["workers"].seen, proof["workers"].verdict) == ("2", "proven")
    assert "wait at the listening socket" in proof["workers"].how


def test_what_is_asked_for_on_purpose_is_proven(tmp_path: Path) -> None:
    settings = {"loop": "asyncio", "http_parser": "h11", "backlog": 64, "keep_alive_seconds": 7}
    proof = proof_of(with_words("uvicorn", **settings, access_log=True), tmp_path)
    assert not contradicted(proof), proof
    assert {name: proof[name].seen for name in settings} == {
        name: str(value) for name, value in settings.items()
    }
    assert (proof["access_log"].seen, proof["access_log"].verdict) == ("on", "proven")


# ---------------------------------------------------------------- a wrong setting is caught


# By entry: words that set something else than its settings say, and what the server is then seen to do.
WRONG: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "uvicorn": (
        (
            *("--loop", "asyncio", "--http", "h11", "--timeout-keep-alive", "5", "--backlog", "64"),
            *(
                "--access-log",
                "--log-level",
                "info",
                "--no-server-header",
                "--header",
                "x-frame-options:deny",
            ),
        ),
        {
            "loop": "asyncio",
            "http_parser": "h11",
            "keep_alive_seconds": "5",
            "backlog": "64",
            "access_log": "on",
            "headers": "date, x-frame-options",
        },
    ),
    "daphne": (
        ("--access-log", "-", "--no-server-name"),
        {"access_log": "on", "headers": "none"},
    ),
    "hypercorn": (
        (
            *("-k", "uvloop", "--keep-alive", "5", "--backlog", "100"),
            *("--access-logfile", "-", "--log-level", "info"),
        ),
        {"loop": "uvloop", "keep_alive_seconds": "5", "backlog": "100", "access_log": "on"},
    ),
    "hypercorn-uvloop": (("-k", "trio"), {"loop": "trio"}),
    "granian": (
        (
            *("--loop", "asyncio", "--backlog", "512", "--no-http1-keep-alive"),
            *("--access-log", "--log-level", "info"),
        ),
        {
            "loop": "asyncio",
            "backlog": "512",
            "access_log": "on",
            # It says so in a header of each answer, too.
            "keep_alive": "off",
            "headers": "connection, date, server",
        },
    ),
    "gunicorn-uvicorn": (
        ("--keep-alive", "2", "--backlog", "64"),
        {"keep_alive_seconds": "2", "backlog": "64"},
    ),
}


@pytest.fixture(scope="module", params=WRONG)
def wrong(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, SettingProof]]:
    """An entry whose command is wrong in several settings, and the proof of the server that it starts."""
    words, _ = WRONG[request.param]
    spec = with_words(request.param, *words)
    return request.param, proof_of(spec, tmp_path_factory.mktemp("wrong"))


@pytest.mark.parametrize("setting", sorted({setting for _, seen in WRONG.values() for setting in seen}))
def test_a_wrong_setting_is_caught(wrong: tuple[str, dict[str, SettingProof]], setting: str) -> None:
    name, proof = wrong
    _, seen = WRONG[name]
    if setting in seen:
        assert (proof[setting].verdict, proof[setting].seen) == ("contradicted", seen[setting])
    else:
        assert proof[setting].verdict != "contradicted"


def test_no_other_setting_is_called_wrong(wrong: tuple[str, dict[str, SettingProof]]) -> None:
    name, proof = wrong
    assert contradicted(proof) == set(WRONG[name][1])


@pytest.mark.parametrize(
    ("name", "words"),
    [("uvicorn", ("--timeout-keep-alive", "0")), ("hypercorn", ("--keep-alive", "0"))],
)
def test_a_server_that_keeps_no_connection_is_caught(
    name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    proof = proof_of(with_words(name, *words), tmp_path)
    assert contradicted(proof) == {"keep_alive", "keep_alive_seconds"}, proof
    assert "closed" in proof["keep_alive"].how


def test_an_endpoint_strings_wrong_backlog_is_caught(tmp_path: Path) -> None:
    spec = CATALOGUE.server("daphne")
    wrong = tuple(word.replace("backlog={backlog}", "backlog=64") for word in spec.listen["tcp"])
    assert wrong != spec.listen["tcp"]
    proof = proof_of(msgspec.structs.replace(spec, listen={**spec.listen, "tcp": wrong}), tmp_path)
    assert contradicted(proof) == {"backlog"}


def test_a_configuration_files_wrong_headers_are_caught(tmp_path: Path) -> None:
    spec = CATALOGUE.server("hypercorn")
    text = spec.config_file + "include_server_header = false\n"
    proof = proof_of(msgspec.structs.replace(spec, config_file=text), tmp_path)
    assert (contradicted(proof), proof["headers"].seen) == ({"headers"}, "date")


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "granian"])
def test_two_workers_in_place_of_one_are_caught(name: str, tmp_path: Path) -> None:
    """However rarely the second one answers: both wait at the listening socket."""
    proof = proof_of(CATALOGUE.server(name), tmp_path, asked_workers=1, workers=2)
    assert contradicted(proof) == {"workers"}, proof


def test_one_worker_in_place_of_two_is_not_ready(tmp_path: Path) -> None:
    with running_server(CATALOGUE.server("uvicorn"), tmp_path / "run", "", workers=1) as server:
        ready = readiness_of(server, 2, deadline_seconds=1.0)
    assert not ready.ready
    assert ready.problem == "1 of 2 workers have answered"


def test_a_connection_without_tcp_nodelay_is_caught_in_every_worker(tmp_path: Path) -> None:
    """uvicorn's workers on asyncio share a socket for which asyncio leaves it out; one worker has it."""
    spec = with_words("uvicorn", loop="asyncio")
    assert not contradicted(proof_of(spec, tmp_path / "one"))
    proof = proof_of(spec, tmp_path / "two", asked_workers=2, workers=2)
    assert (contradicted(proof), proof["tcp_nodelay"].seen) == ({"tcp_nodelay"}, "off")


def test_a_declared_departure_is_shown_and_an_undeclared_one_is_caught(tmp_path: Path) -> None:
    """hypercorn 0.16 never sets TCP_NODELAY, which its entry says."""
    with running_server(CATALOGUE.server("hypercorn-paper"), tmp_path / "run", "") as server:
        ready = readiness_of(server, 1)
    assert ready.seen is not None and ready.configuration["tcp_nodelay"] is False
    declared = {one.setting: one for one in prove(server.spec, 1, ready.seen)}
    assert (declared["tcp_nodelay"].verdict, declared["tcp_nodelay"].seen) == ("declared", "off")
    spec = msgspec.structs.replace(server.spec, unhonoured_settings={"http_parser": "h11, always"})
    assert contradicted({one.setting: one for one in prove(spec, 1, ready.seen)}) == {"tcp_nodelay"}


# ---------------------------------------------------------------- how it is seen


def test_an_idle_second_worker_stays_idle_and_is_seen(tmp_path: Path) -> None:
    """The proof needs no luck: who waits at the socket is asked of the system."""
    with running_server(CATALOGUE.server("hypercorn"), tmp_path / "run", "", workers=2) as server:
        assert readiness_of(server, 2).ready
        seen = readiness_of(server, 1).seen
        assert seen is not None and seen.accepting_pids is not None
        assert len(seen.accepting_pids) == 2
        assert {one["pid"] for one in seen.configurations} <= set(seen.accepting_pids)


def test_the_backlog_is_the_kernels_and_its_cap_is_said(tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
    proof = proof_of(with_words("uvicorn", backlog=limit + 1_000), tmp_path)
    backlog = proof["backlog"]
    assert (backlog.verdict, backlog.seen) == ("proven", str(limit))
    assert f"net.core.somaxconn allows no more than {limit}" in backlog.how


def test_the_apps_own_words_are_of_the_connection_that_asks(tmp_path: Path) -> None:
    """Thousands of other connections and objects in the process change nothing."""
    with running_server(CATALOGUE.server("uvicorn"), tmp_path / "run", "") as server:
        others = [socket.create_connection((LOOPBACK, server.port), timeout=5) for _ in range(100)]
        told = json.loads(server.ask("/api/process").body)
        for one in others:
            one.close()
    assert (told["parser"], told["keep_alive_seconds"], told["tcp_nodelay"]) == ("httptools", 75, True)
