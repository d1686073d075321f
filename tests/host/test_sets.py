"""Version sets, flags by version range, the catalogue's schema and document, and what --dry-run tells."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from bench.catalogue.read import PROFILES_FILE, SERVERS_FILE, load_profiles
from bench.catalogue.schema import catalogue_schema
from bench.catalogue.serving import for_serving, servings
from bench.catalogue.versions import for_version, read_lock
from bench.environment.hosts import Host, Inventory
from bench.errors import CatalogueError, UsageError
from bench.plan.dry_run import KnownCosts, dry_run_lines, hours_and_minutes, known_costs
from bench.plan.make import chosen_servers, make_plan
from bench.plan.plan import Plan
from bench.plan.request import BenchRequest
from bench.spec import Profile, ProtocolSetup, ServerSpec, Settings, VersionRange
from tests.helpers.endpoints import KNOWN_ENDPOINTS, load_catalogue
from tests.helpers.environments import ROOT, programs_of, resolved, running_server
from tests.helpers.results_example import QUICK, example

SCHEMA = ROOT / "bench" / "catalogue" / "catalogue.schema.json"
DOCUMENT = (ROOT / "docs" / "catalogue.md").read_text()
CATALOGUE = load_catalogue()
LOCK = read_lock(ROOT / "uv.lock")
HERE = Host("here", ("server", "loadgen"), connection="local", address="127.0.0.1")
INVENTORY = Inventory("local", "inventory/local.yml", HERE, (HERE,))


def planned(**asked: Any) -> Plan:
    return make_plan(BenchRequest(root=ROOT, seed=1, **asked), INVENTORY, KNOWN_ENDPOINTS)


def told(plan: Plan, costs: KnownCosts) -> str:
    noon = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
    loads = {"load workers": ["python", "-m", "locust"]}
    return "\n".join(dry_run_lines(plan, INVENTORY, port=8000, load_commands=loads, costs=costs, now=noon))


# ---------------------------------------------------------------- --set


@pytest.mark.parametrize(
    ("names", "version_set", "expected"),
    [
        ("", "", "uvicorn daphne hypercorn-uvloop"),
        ("", "current", "uvicorn daphne hypercorn-uvloop"),
        ("", "paper", "uvicorn-paper daphne-paper hypercorn-paper"),
        ("uvicorn daphne", "both", "uvicorn uvicorn-paper daphne daphne-paper"),
        ("uvicorn", "paper", "uvicorn-paper"),
        ("uvicorn-paper", "paper", "uvicorn-paper"),
        ("uvicorn-paper hypercorn-trio", "", "uvicorn-paper hypercorn-trio"),
        ("hypercorn-trio", "current", "hypercorn-trio"),
    ],
)
def test_a_set_chooses_versions(names: str, version_set: str, expected: str) -> None:
    found = chosen_servers(CATALOGUE, names.split(), version_set)
    assert " ".join(spec.name for spec in found) == expected


@pytest.mark.parametrize(
    ("names", "version_set", "complaint", "remedy"),
    [
        ("uvicorn", "papers", "no set of versions 'papers'", "current, paper, both"),
        ("hypercorn-trio", "paper", "hypercorn-trio is not in the set paper", "uvicorn, daphne, hypercorn"),
        ("hypercorn-trio", "both", "hypercorn-trio is not in the set paper", "without --set"),
        ("uvicorn-paper", "current", "uvicorn-paper is not in the set current", "Name uvicorn"),
        ("uvicorn-paper", "both", "uvicorn-paper is not in the set current", "Name uvicorn"),
    ],
)
def test_a_set_without_the_server_is_refused(
    names: str, version_set: str, complaint: str, remedy: str
) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        chosen_servers(CATALOGUE, names.split(), version_set)
    assert remedy in caught.value.remedy


def test_both_sets_are_measured_in_the_same_blocks() -> None:
    plan = planned(version_set="both", profile="review")
    for block in range(1, plan.profile.blocks + 1):
        servers = {run.cell.server for run in plan.runs if run.block == block}
        assert servers == {
            f"{name}{kind}" for name in ("uvicorn", "daphne", "hypercorn") for kind in ("", "-paper")
        }
    assert plan.command[-2:] == ("--set", "both")


def test_titles_and_limits_in_a_plan_are_those_of_the_locked_version() -> None:
    servers = {spec.name: spec for spec in planned(version_set="both").servers}
    assert servers["uvicorn-paper"].title == "uvicorn 0.27.0.post1 (paper: asyncio, h11)"
    assert servers["daphne-paper"].title == "daphne 4.0.0 (paper)"
    assert servers["hypercorn"].title == f"hypercorn {LOCK.version_of(servers['hypercorn'])} (asyncio)"
    assert "tcp_nodelay" in servers["hypercorn-paper"].unhonoured_settings
    assert "tcp_nodelay" not in servers["hypercorn"].unhonoured_settings
    assert not any(spec.version_ranges for spec in servers.values())


# ---------------------------------------------------------------- flags by version range


@pytest.mark.parametrize(
    ("version", "has_flag"), [("0.54.0", True), ("0.37.0", True), ("0.29.0", False), ("0.27.0.post1", False)]
)
def test_a_flag_goes_to_the_versions_that_take_it(version: str, *, has_flag: bool) -> None:
    command = for_version(CATALOGUE.server("uvicorn"), version).command
    assert ("--timeout-worker-healthcheck" in command) is has_flag
    assert "{flags}" not in command


@pytest.mark.parametrize(
    ("server", "version"), [("uvicorn", "0.30.0"), ("uvicorn", "0.21.1"), ("hypercorn", "0.17.1")]
)
def test_a_version_outside_every_range_is_refused(server: str, version: str) -> None:
    with pytest.raises(UsageError, match=f"{server} {re.escape(version)}; it knows >=") as caught:
        for_version(CATALOGUE.server(server), version)
    assert "--help" in caught.value.remedy


@pytest.mark.parametrize("spec", CATALOGUE.servers, ids=lambda spec: spec.name)
def test_the_installed_program_knows_every_flag(spec: ServerSpec) -> None:
    """Those of what it can serve besides are among them."""
    entry, spec = spec, resolved(spec)
    program = programs_of(spec.group) / spec.command[0]
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60, check=True)
    words = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", done.stdout))
    flags = {
        word
        for serving in servings(entry)
        for word in (*for_serving(entry, serving).command, *spec.access_log_on, *spec.access_log_off)
        if word.startswith("-") and word != "-"  # which is stdout
    }
    assert flags <= words


@pytest.mark.parametrize("name", ["uvicorn-paper", "hypercorn-paper"])
def test_several_workers_of_the_papers_versions_leave_nagle_on(name: str, tmp_path: Path) -> None:
    """What unhonoured_settings says of them."""
    with running_server(CATALOGUE.server(name), tmp_path / "run", "", workers=2) as running:
        assert json.loads(running.ask("/api/process").body)["tcp_nodelay"] is False
        assert "tcp_nodelay" in running.spec.unhonoured_settings


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('version_ranges = [{ versions = "0.22" }]', "Invalid specifier"),
        ('version_ranges = [{ versions = ">=1", flags = ["--x"] }]', "must have a place in the command"),
        (
            'version_ranges = [{ versions = ">=1", unhonoured_settings = { speed = "x" } }]',
            "there is no 'speed'",
        ),
        ('version_ranges = [{ version = ">=1" }]', "unknown field `version`"),
        ('version_set = "old"', "Invalid enum value 'old'"),
        ('family = "uvicorn"', "with version_set 'current'"),
        ('version_set = "paper"\nfamily = "daphny"', "family 'daphny'"),
        ('version_set = "paper"\nfamily = "daphne"', "daphne-paper stands beside daphne already"),
    ],
)
def test_a_slip_in_ranges_and_sets_is_told(line: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'[servers.mine]\nlike = "daphne"\n{line}\n')
    with pytest.raises(CatalogueError, match=complaint):
        load_catalogue(path)


def test_a_group_that_is_not_locked_is_told() -> None:
    spec = msgspec.structs.replace(CATALOGUE.server("daphne"), environment_group="server-nobody")
    with pytest.raises(CatalogueError, match="no group 'server-nobody'") as caught:
        LOCK.version_of(spec)
    assert "uv lock" in caught.value.remedy
    spec = msgspec.structs.replace(CATALOGUE.server("daphne"), package="uvicorn")
    with pytest.raises(CatalogueError, match=r"uv\.lock does not say which uvicorn is in server-daphne"):
        LOCK.version_of(spec)


# ---------------------------------------------------------------- schema and document


def example_text() -> str:
    (text,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(text)


def test_the_catalogues_schema_in_the_repository_is_current() -> None:
    current = catalogue_schema()
    jsonschema.Draft202012Validator.check_schema(current)
    assert SCHEMA.exists() and json.loads(SCHEMA.read_text()) == current, (
        f"write this to {SCHEMA.name}:\n{json.dumps(current, indent=1)}\n"
    )


@pytest.mark.parametrize("text", [SERVERS_FILE.read_text(), PROFILES_FILE.read_text(), example_text()])
def test_shipped_files_and_the_documents_example_fit_the_schema(text: str) -> None:
    content = tomllib.loads(text)
    assert content.get("servers") or content.get("profiles")
    jsonschema.validate(content, catalogue_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[servers.a]\npackage = "x"\n', "is not valid under any"),
        ('[servers.a]\nlike = "uvicorn"\nport = 5\n', "'port' was unexpected"),
        ('[servers.A]\nlike = "uvicorn"\n', "does not match"),
        ('[servers.a]\nlike = "uvicorn"\nlisten = { udp = [] }\n', "'udp' is not one of"),
        ('[profiles.a]\nconnections = "many"\n', "is not of type 'integer'"),
        ("[server.a]\n", "'server' was unexpected"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str, complaint: str, tmp_path: Path) -> None:
    found = [
        error.message
        for error in jsonschema.Draft202012Validator(catalogue_schema()).iter_errors(tomllib.loads(text))
    ]
    assert any(complaint in message for message in found), found
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CatalogueError):
        load_catalogue(path)
        load_profiles(path)


def test_the_documents_example_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(example_text())
    plan = planned(catalogue=path, profile="long")
    assert [spec.name for spec in plan.servers] == ["uvicorn", "uvicorn-h11"]
    assert {run.cell.rate_share for run in plan.runs} == {None, 0.7}
    bare = planned(catalogue=path, servers=("uvicorn-bare",)).servers[0]
    assert bare.title == "uvicorn 0.27.0.post1 (asyncio, h11, its own time-outs)"
    assert "--timeout-graceful-shutdown" in bare.command


def test_the_documents_example_starts(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(example_text())
    with running_server(load_catalogue(path).server("uvicorn-bare"), tmp_path / "run", "") as running:
        assert running.ask("/api/shortbody").status == 200


@pytest.mark.parametrize(
    ("heading", "kind", "besides"),
    [
        ("## A server: `[servers.NAME]`", ServerSpec, {"like"}),
        ("### `[servers.NAME.protocols]`", ProtocolSetup, set()),
        ("### `settings`", Settings, set()),
        ("### `[[servers.NAME.version_ranges]]`", VersionRange, set()),
        ("## A profile: `[profiles.NAME]`", Profile, set()),
    ],
)
def test_each_table_of_the_document_has_the_fields_once(
    heading: str, kind: type[msgspec.Struct], besides: set[str]
) -> None:
    """A row for each field, and no other; ``besides`` is what the loader reads and the spec hasn't."""
    _, _, rest = DOCUMENT.partition(f"\n{heading}\n")
    section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    rows = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(rows) == sorted({*kind.__struct_fields__, *besides} - {"name"})


# ---------------------------------------------------------------- --dry-run


def test_the_time_is_made_of_what_earlier_runs_took() -> None:
    text = told(planned(servers=("uvicorn",)), KnownCosts(9.0, 0.75, 18))
    assert "2 s warm-up + 6 s window + 1 s rests + 0.8 s to start, stop and collect" in text
    assert "the median of 18 earlier runs" in text
    assert "3 runs: 29 s" in text
    assert "set-up before them: 9 s, as the last time" in text
    assert "begun now: ready at 2026-01-02" in text


def test_times_that_nobody_has_measured_are_not_stated() -> None:
    text = told(planned(servers=("uvicorn",)), KnownCosts(unreadable=("old",)))
    assert "allowed for, as no run on these hosts is among the results" in text
    assert "set-up before them: not known for these hosts yet" in text
    assert "Not looked at, as they can't be read: old" in text


def test_costs_are_read_from_results_of_the_same_environment(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "plan.json").write_text("{}")
    found = known_costs(tmp_path, made.plan.environment)
    assert found.runs == len(store.read_runs()) == len(made.runs)
    assert found.overhead_seconds == pytest.approx(made.runs[0].timing.overhead_seconds)
    assert found.unreadable == ("broken",)
    assert known_costs(tmp_path, "elsewhere") == KnownCosts(unreadable=("broken",))
    assert known_costs(tmp_path / "none", made.plan.environment) == KnownCosts()


def test_every_command_and_rate_is_told() -> None:
    plan = planned(version_set="both", rates=("50%",))
    text = told(plan, KnownCosts())
    assert "9 of these" not in text and "18 of these are at a share" in text
    lines = text.splitlines()
    for spec in plan.servers:
        (at,) = (index for index, line in enumerate(lines) if line.startswith(f"  {spec.name}: "))
        words = shlex.split(lines[at + 1])
        assert words[0] == f"WORKDIR/envs/{spec.group}-*/bin/{spec.package}"
        assert not [word for word in words if "{" in word]
        for setting in spec.unhonoured_settings:
            assert f"    not honoured: {setting}: " in text
    assert "  load workers:\n    python -m locust" in text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(8.6, "9 s"), (60, "1 min 00 s"), (3599.7, "1 h 00 min"), (7_500, "2 h 05 min")],
)
def test_durations_read_as_people_say_them(seconds: float, expected: str) -> None:
    assert hours_and_minutes(seconds) == expected
