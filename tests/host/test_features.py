"""`./invoke features` on this machine: real servers, real probes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.proofs.features import Findings
from bench.proofs.kept import Proofs, read_proofs
from bench.proofs.request import ProveRequest
from bench.wire.proving import Verdict
from session.prove.features import FEATURES_KIND, variants
from session.prove.prove import prove
from tests.helpers.program import LOCAL_INVENTORY, ROOT, Finished, processes_naming, run, work_folder
from tests.helpers.proving import entries, ground_of

EXPECTED = ROOT / "tests" / "expected" / "features.toml"
UNTESTED: dict[tuple[str, str], str] = {}
"""(server, feature): why it can't be tested here."""

# Says that it sends files, and sends nothing.
EMPTY_PROMISES = '''
"""An ASGI server in a page: HTTP/1.1, one request a connection; it advertises pathsend and does not do it."""

import asyncio, importlib, sys

module, _, name = sys.argv[1].partition(":")
app = getattr(importlib.import_module(module), name)


async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    target = head.split()[1].decode()
    path, _, query = target.partition("?")
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
             "scheme": "http", "path": path, "query_string": query.encode(), "headers": [],
             "client": None, "server": None,
             "extensions": {"http.response.pathsend": {}}}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            writer.write(b"HTTP/1.1 200 OK\\r\\nconnection: close\\r\\n\\r\\n")
        writer.write(message.get("body", b""))

    await app(scope, receive, send)
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[2]))
    await server.serve_forever()

asyncio.run(main())
'''


BROKEN = """
[servers.broken]
package = "daphne"
environment_group = "server-daphne"
command = ["python", "-c", "raise SystemExit('no such thing')", "{app}", "{host}", "{port}", "{workers}"]
[servers.broken.unhonoured_settings]
backlog = "none"
keep_alive_seconds = "none"
http_parser = "none"
loop = "none"
access_log = "none"
"""


class Proven(msgspec.Struct, frozen=True):
    """One run of the command."""

    done: Finished
    json: dict[str, dict[str, dict[str, object]]]
    kept: Proofs[Findings]


def prove_by_command(folder: Path, *servers: str) -> Proven:
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
    out = (folder / "out.json").read_bytes()
    return Proven(done, msgspec.json.decode(out, type=dict[str, dict[str, dict[str, object]]]), kept)


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proven]:
    yield prove_by_command(tmp_path_factory.mktemp("features"), "uvicorn")


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
    assert "websockets" in subject.packages
    assert proven.done.last_line.endswith("features-here.json")


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    catalogue = tmp_path / "own.toml"
    catalogue.write_text(BROKEN)
    with work_folder() as outside:
        (tmp_path / "here.yml").write_text(LOCAL_INVENTORY.format(workdir=outside / "w"))
        words = ("--catalogue", str(catalogue), "--servers", "broken", "--results", str(tmp_path / "results"))
        done = run("features", "--hosts", str(tmp_path / "here.yml"), *words)
        assert processes_naming(outside) == []
    assert done.status == 31
    assert "broken could not be proven" in done.stderr and "no such thing" in done.stderr
    assert done.last_line.endswith("features-here.json")


def expected() -> dict[str, dict[str, list[str] | str]]:
    return tomllib.loads(EXPECTED.read_text())


def expected_verdict(feature: dict[str, list[str] | str], server: str) -> str:
    for verdict in ("works", "advertised", "absent"):
        if server in feature.get(verdict, ()) or feature.get(verdict) == "all":
            return verdict
    return "works" if "absent" in feature else "absent"


def verdicts(found: Findings) -> dict[str, Verdict]:
    return {feature: one.verdict for feature, one in found.items()}


def test_every_entry_has_the_features_that_are_written_down(tmp_path: Path) -> None:
    """All features against all entries, the paper's versions among them, two servers at once."""
    specs = entries()
    with ground_of(specs, tmp_path, variants) as ground:
        proofs = prove(ProveRequest(ROOT), FEATURES_KIND, ground, print)
    table = expected()
    for server, found in proofs.findings.items():
        assert found.keys() == table.keys(), server
    wanted = {
        (server, feature): UNTESTED.get((server, feature)) or expected_verdict(table[feature], server)
        for server in specs
        for feature in table
    }
    got = {
        (server, feature): UNTESTED.get((server, feature), one.verdict)
        if one.verdict == "untested"
        else one.verdict
        for server, found in proofs.findings.items()
        for feature, one in found.items()
    }
    differing = {
        key: f"{got[key]}, not {wanted[key]}: {proofs.findings[key[0]][key[1]].reason}"
        for key in wanted
        if got[key] != wanted[key]
    }
    assert differing == {}
    named = {
        name for one in table.values() for several in one.values() for name in several if several != "all"
    }
    assert named <= specs.keys(), "the table names servers that there are none of"
    for found in proofs.findings.values():
        assert all(one.evidence for one in found.values()), "a verdict without evidence"


def test_a_server_that_advertises_pathsend_and_does_not_send_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "empty_promises.py"
    program.write_text(EMPTY_PROMISES)
    catalogue = tmp_path / "own.toml"
    catalogue.write_text(f'''
[servers.empty-promises]
package = "uvicorn"
environment_group = "server-uvicorn"
command = ["python", "{program}", "{{app}}", "{{port}}"]
[servers.empty-promises.unhonoured_settings]
backlog = "its own"
keep_alive_seconds = "none"
http_parser = "none"
loop = "asyncio"
access_log = "none"
''')
    specs = {"empty-promises": entries(catalogue, "empty-promises")["empty-promises"]}
    with ground_of(specs, tmp_path, variants) as ground:
        found = prove(ProveRequest(ROOT), FEATURES_KIND, ground, print).findings["empty-promises"]
    assert found["pathsend"].verdict == "advertised"
    assert "in the scope, and the file does not come" in found["pathsend"].reason
    assert found["keep-alive"].verdict == "absent"
    assert found["zero-copy-send"].verdict == "absent"
    # It can't be set up for TLS: nothing is said about what would need it.
    assert found["tls-1.3"].verdict == "untested"
    assert "doesn’t say how it listens on TLS" in found["tls-1.3"].reason
