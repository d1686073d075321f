"""Proof of configuration, the pure part: from what was seen to verdicts, reasons, and a reader's table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.catalogue.observable import unobservable
from bench.judge.figures import CpuUse, RunFigures
from bench.judge.judge import judge
from bench.results.proof import AfterRun, SettingProof, contradictions
from bench.results.prove import LOOKS, prove
from bench.results.run import RunResult
from bench.spec import ServerSpec, Settings
from bench.wire.observation import Configuration, ServerSeen
from remote.onhost.answers import merged
from reports.tables.proof import how_table, proof_table
from tests.helpers.endpoints import load_catalogue
from tests.helpers.results_example import QUICK, example

TOLD: Configuration = {
    "pid": 7,
    "loop": "uvloop.Loop",
    "reactor": None,
    "parser": "httptools",
    "keep_alive_seconds": 75,
    "access_log": False,
    "backlog": 2048,
    "backlog_limit": 4096,
    "tcp_nodelay": True,
    "scheme": "http",
}
SEEN = ServerSeen(
    configurations=(TOLD,),
    accepting_pids=(7,),
    status_line="HTTP/1.1 200 OK",
    header_lines=("date: now", "Server: uvicorn", "content-length: 2", "content-type: text/plain"),
    head_bytes=126,
    kept_alive=True,
    idle_seconds=0.04,
    requests=10,
    log_lines=0,
    log_bytes=100,
)
SPEC = ServerSpec(
    name="mine",
    package="mine",
    command=("mine",),
    settings=Settings(loop="uvloop", http_parser="httptools"),
    added_headers=("date", "server"),
)


def proof(
    spec: ServerSpec = SPEC, *, workers: int = 1, after: AfterRun | None = None, **seen: Any
) -> dict[str, SettingProof]:
    found = prove(spec, workers, changed(SEEN, **seen), after)
    return {one.setting: one for one in found}


def changed(seen: ServerSeen, **changes: Any) -> ServerSeen:
    told = changes.pop("told", {})
    if told:
        changes["configurations"] = tuple({**one, **told} for one in seen.configurations)
    return ServerSeen(**{**{name: getattr(seen, name) for name in ServerSeen.__slots__}, **changes})


def verdicts(found: dict[str, SettingProof]) -> set[str]:
    return {name for name, one in found.items() if one.verdict == "contradicted"}


def test_a_server_that_runs_as_asked_is_proven_in_every_setting() -> None:
    found = proof()
    assert list(found) == list(LOOKS)
    assert {one.verdict for one in found.values()} == {"proven"}


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"told": {"loop": "asyncio.unix_events._UnixSelectorEventLoop"}}, "loop"),
        ({"told": {"loop": "someloop.Loop"}}, "loop"),
        ({"told": {"parser": "h11"}}, "http_parser"),
        ({"told": {"keep_alive_seconds": 5}}, "keep_alive_seconds"),
        ({"told": {"access_log": True}}, "access_log"),
        ({"told": {"backlog": 64}}, "backlog"),
        ({"told": {"tcp_nodelay": False}}, "tcp_nodelay"),
        ({"told": {"scheme": "https"}}, "protocol"),
        ({"status_line": "HTTP/1.0 200 OK"}, "protocol"),
        ({"kept_alive": False}, "keep_alive"),
        ({"log_lines": 9}, "access_log"),
        ({"header_lines": ("Server: uvicorn",)}, "headers"),
        ({"header_lines": ("Server: u", "date: now", "x-powered-by: me")}, "headers"),
        ({"accepting_pids": (7, 8)}, "workers"),
        ({"configurations": (TOLD, {**TOLD, "pid": 8})}, "workers"),
    ],
)
def test_each_wrong_setting_is_contradicted_alone(changes: dict[str, Any], setting: str) -> None:
    found = proof(**changes)
    assert verdicts(found) == {setting}
    (one,) = contradictions(tuple(found.values()))
    assert one.text.startswith(f"{setting}: asked for {one.asked}, seen {one.seen} (")


@pytest.mark.parametrize(
    "setting", ["loop", "http_parser", "keep_alive", "keep_alive_seconds", "access_log", "backlog"]
)
def test_a_departure_that_the_entry_declares_contradicts_nothing(setting: str) -> None:
    spec = msgspec.structs.replace(SPEC, unhonoured_settings={setting: "as it likes"})
    wrong: dict[str, dict[str, Any]] = {
        "loop": {"told": {"loop": "trio"}},
        "http_parser": {"told": {"parser": "h11"}},
        "keep_alive": {"kept_alive": False},
        "keep_alive_seconds": {"told": {"keep_alive_seconds": 60}},
        "access_log": {"log_lines": 10},
        "backlog": {"told": {"backlog": 50}},
    }
    assert proof(spec, **wrong[setting])[setting].verdict == "declared"
    # What it declares and doesn't do is proven as any other.
    assert proof(spec)[setting].verdict == "proven"


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("parser", "http_parser"),
        ("keep_alive_seconds", "keep_alive_seconds"),
        ("backlog", "backlog"),
        ("tcp_nodelay", "tcp_nodelay"),
    ],
)
def test_what_is_not_told_is_not_observable_and_says_why(name: str, setting: str) -> None:
    one = proof(told={name: None})[setting]
    assert (one.verdict, one.seen) == ("not_observable", "")
    assert one.how


def test_one_worker_that_tells_nothing_leaves_a_setting_unproven() -> None:
    both = (TOLD, {**TOLD, "pid": 8, "tcp_nodelay": None})
    found = proof(workers=2, configurations=both, accepting_pids=(7, 8))
    assert found["tcp_nodelay"].verdict == "not_observable"
    assert verdicts(found) == set()


def test_one_worker_that_differs_contradicts() -> None:
    both = (TOLD, {**TOLD, "pid": 8, "tcp_nodelay": False})
    found = proof(workers=2, configurations=both, accepting_pids=(7, 8))
    assert verdicts(found) == {"tcp_nodelay"}
    assert found["tcp_nodelay"].seen == "on and off"


def test_where_the_system_tells_no_acceptors_the_answers_count() -> None:
    assert proof(accepting_pids=None)["workers"].verdict == "proven"
    assert "wait" not in proof(accepting_pids=None)["workers"].how


def test_a_capped_backlog_is_the_systems_doing_and_said() -> None:
    one = proof(told={"backlog": 128, "backlog_limit": 128})["backlog"]
    assert (one.verdict, one.seen) == ("proven", "128")
    assert "net.core.somaxconn allows no more than 128" in one.how


def test_a_word_that_names_no_loop_is_not_compared() -> None:
    spec = msgspec.structs.replace(SPEC, settings=Settings(loop="auto", http_parser="auto"))
    found = proof(spec)
    assert {found[name].verdict for name in ("loop", "http_parser")} == {"not_observable"}
    assert found["loop"].seen == "uvloop"


def test_headers_that_nobody_stated_are_shown() -> None:
    one = proof(msgspec.structs.replace(SPEC, added_headers=None))["headers"]
    assert (one.verdict, one.seen) == ("not_asked", "date, server")


# ---------------------------------------------------------------- after a run


def test_a_log_that_grows_with_the_load_is_an_access_log() -> None:
    """A buffered one is still empty when the first requests are asked."""
    quiet = AfterRun(log_bytes=400, requests=20_000, answering=1)
    grown = AfterRun(log_bytes=20_000 * 73, requests=20_000, answering=1)
    assert proof(after=quiet)["access_log"].verdict == "proven"
    one = proof(after=grown)["access_log"]
    assert one.verdict == "contradicted"
    assert "73.0 bytes of log per request over the run" in one.how


def test_a_worker_that_appears_late_is_one_too_many() -> None:
    found = proof(after=AfterRun(0, 20_000, answering=2))["workers"]
    assert (found.verdict, found.seen) == ("contradicted", "1 and 2")
    fewer = proof(
        workers=2,
        configurations=(TOLD, {**TOLD, "pid": 8}),
        accepting_pids=(7, 8),
        after=AfterRun(0, 5, answering=1),
    )["workers"]
    assert fewer.verdict == "proven" and "1 answered the load" in fewer.how


def test_a_contradicted_setting_voids_its_run() -> None:
    def judged(found: dict[str, SettingProof]) -> dict[str, bool]:
        figures = RunFigures(requests=1000, server=CpuUse(1.0, 1.0), load=(), proof=tuple(found.values()))
        return {reason.code(): reason.invalidates for reason in judge(figures).reasons}

    assert judged(proof(told={"backlog": 64}))["SettingContradicted"] is True
    assert "SettingContradicted" not in judged(proof())


def test_tcp_nodelay_of_all_workers_is_on_only_where_each_has_it_on() -> None:
    def told(*values: bool | None) -> object:
        each = {pid: {**TOLD, "pid": pid, "tcp_nodelay": value} for pid, value in enumerate(values)}
        return merged(each)["tcp_nodelay"]

    assert told(True, True) is True
    assert told(True, False) is told(None, False) is False
    assert told(True, None) is None


# ---------------------------------------------------------------- for a reader


def with_proof(run: RunResult, found: dict[str, SettingProof]) -> RunResult:
    return msgspec.structs.replace(run, proof=tuple(found.values()))


def test_the_reports_table_says_what_was_seen_and_what_could_not_be() -> None:
    first, second = example(QUICK).runs[:2]
    declared = msgspec.structs.replace(SPEC, unhonoured_settings={"keep_alive_seconds": "60: its default"})
    found = proof(declared, told={"keep_alive_seconds": 60, "backlog": None, "parser": "h11"})
    table = proof_table({"mine": (with_proof(first, proof()), with_proof(second, found))})
    assert table is not None
    cells = {row.cells[0]: row for row in table.rows}
    assert cells["event loop"].cells[1] == "uvloop"
    assert cells["seconds that an idle one stays open"].cells[1] == "60, not 75, as its entry says"
    assert cells["connections that may wait to be accepted"].cells[1] == (
        "asked for 2048; not observable: this system doesn't tell a listening socket's backlog"
    )
    # The worst of several runs counts.
    parser = cells["HTTP parser"]
    assert (parser.cells[1], parser.tone) == ("contradicted: asked for httptools, seen h11", "refused")


def test_older_results_have_no_such_table() -> None:
    runs = example(QUICK).runs
    assert all(run.proof == () for run in runs)
    assert proof_table({"mine": runs}) is None and how_table({"mine": runs}) is None


def test_what_cannot_be_observed_is_known_beforehand() -> None:
    catalogue = load_catalogue()
    assert unobservable(catalogue.server("uvicorn"), "Linux") == {}
    assert set(unobservable(catalogue.server("granian"), "Linux")) == {"keep_alive_seconds"}
    assert set(unobservable(catalogue.server("uvicorn"), "Darwin")) == {"backlog"}
    assert set(unobservable(SPEC, "")) == {"http_parser", "keep_alive_seconds"}
