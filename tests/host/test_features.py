"""`./invoke features` on this machine: real servers, real probes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.proofs.features import Findings
from bench.proofs.kept import Proofs, read_proofs
from tests.helpers.program import LOCAL_INVENTORY, Finished, processes_naming, run, work_folder


class Proven(msgspec.Struct, frozen=True):
    """One run of the command."""

    done: Finished
    json: dict[str, dict[str, dict[str, object]]]
    kept: Proofs[Findings]
    workdir: Path


def prove(folder: Path, *servers: str) -> Proven:
    """Run the command for ``servers``; nothing of it is left running."""
    with work_folder() as outside:
        inventory = folder / "here.yml"
        inventory.write_text(LOCAL_INVENTORY.format(workdir=outside / "w"))
        words = ("--servers", ",".join(servers), "--results", str(folder / "results"))
        done = run("features", "--hosts", str(inventory), *words, "--json", str(folder / "out.json"))
        assert done.status == 0, done.stderr
        kept = read_proofs(folder / "results" / "proofs" / "features-here.json", Findings)
        assert kept is not None
        assert processes_naming(outside) == []
        found = msgspec.json.decode(
            (folder / "out.json").read_bytes(), type=dict[str, dict[str, dict[str, object]]]
        )
        return Proven(done, found, kept, outside)


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proven]:
    yield prove(tmp_path_factory.mktemp("features"), "uvicorn")


def test_keep_alive_is_proven_with_its_bytes(proven: Proven) -> None:
    one = proven.json["uvicorn"]["keep-alive"]
    assert one["verdict"] == "works"
    evidence = {piece.label: piece.text for piece in proven.kept.findings["uvicorn"]["keep-alive"].evidence}
    assert evidence["the client sent"].count("GET /?script=") == 2
    assert evidence["the server sent"].count("HTTP/1.1 200 OK") == 2
    assert '"http_version":"1.1"' in evidence["the app saw of the second"]
    assert evidence["control, Connection: close: the server sent"].count("HTTP/1.1 200 OK") == 1


def test_the_subject_is_the_server_that_a_benchmark_measures(proven: Proven) -> None:
    subject = proven.kept.subjects["uvicorn"]
    assert subject.version == subject.packages["uvicorn"]
    assert {"uvloop", "httptools", "starlette"} <= subject.packages.keys()
    assert proven.done.last_line.endswith("features-here.json")
