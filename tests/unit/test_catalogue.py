"""The catalogue: what is shipped, what a user's own file adds, the commands, and how mistakes are told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from bench.catalogue.command import command_of, config_text
from bench.catalogue.read import SERVERS_FILE, load_profiles
from bench.catalogue.serving import for_serving, servings
from bench.catalogue.versions import for_version, read_lock
from bench.errors import CatalogueError, UsageError
from bench.spec import Profile, ServerSpec
from tests.helpers.endpoints import load_catalogue

MINIMAL = """
[servers.mine]
package = "uvicorn"
environment_group = "server-uvicorn"
command = ["uvicorn", "{app}", "--port", "{port}", "-l", "{loop}", "--backlog", "{backlog}", "{access_log}"]
access_log_off = ["--no-access-log"]
[servers.mine.unhonoured_settings]
keep_alive_seconds = "5"
"""


ROOT = Path(__file__).resolve().parents[2]
LOCK = read_lock(ROOT / "uv.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def command(spec: ServerSpec, host: str = "127.0.0.1", workers: int = 1) -> str:
    version = LOCK.version_of(spec) if spec.environment_group else "1.0"
    words = command_of(
        for_version(spec, version),
        host=host,
        port=8000,
        workers=workers,
        config_path="/w/config",
        program_directory="/e/bin",
    )
    return " ".join(words)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_uvicorn_daphne_and_hypercorn_are_compared_when_nothing_is_chosen() -> None:
    """Like with like: each at its best."""
    catalogue = load_catalogue()
    assert catalogue.defaults == ("uvicorn", "daphne", "hypercorn-uvloop")
    assert {catalogue.server(name).set_up for name in catalogue.defaults} <= {"best", "both"}


def test_the_catalogue_has_every_entry_of_its_file_with_its_licence() -> None:
    """In the file's order; entries of one package have one licence."""
    catalogue = load_catalogue()
    entries = tomllib.loads(SERVERS_FILE.read_text())["servers"]
    assert [spec.name for spec in catalogue.servers] == list(entries)
    assert len(entries) >= 8
    licences = {spec.package: spec.licence for spec in catalogue.servers}
    assert [spec.licence for spec in catalogue.servers] == [
        licences[spec.package] for spec in catalogue.servers
    ]
    assert all(licences.values())
    assert (licences["uvicorn"], licences["daphne"], licences["hypercorn"]) == (
        "BSD-3-Clause",
        "BSD-3-Clause",
        "MIT",
    )


@pytest.mark.parametrize("spec", load_catalogue().servers, ids=lambda spec: spec.name)
def test_every_servers_package_is_in_its_group_or_its_requirements(spec: ServerSpec) -> None:
    requirements = spec.requirements or PROJECT["dependency-groups"][spec.environment_group]
    assert spec.package in [re.split(">=|==", requirement)[0] for requirement in requirements]


def test_every_group_of_a_host_stands_in_the_conflict_set() -> None:
    """One that doesn't would be resolved together with others: to old versions, without a word."""
    (conflicts,) = PROJECT["tool"]["uv"]["conflicts"]
    named = [entry["group"] for entry in conflicts]
    groups = set(PROJECT["dependency-groups"])
    assert len(named) == len(set(named))
    assert set(named) == groups - {"uv"}
    servers = load_catalogue().servers
    asked = {for_serving(spec, one).environment_group for spec in servers for one in servings(spec)}
    assert asked - {""} == {name for name in named if name.startswith("server-")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "uvicorn",
            "/e/bin/uvicorn testapp.app:app --host 127.0.0.1 --port 8000 --workers 1 --loop uvloop"
            " --http httptools --ws none --interface asgi3 --lifespan on --no-proxy-headers --backlog 2048"
            " --timeout-keep-alive 75 --timeout-graceful-shutdown 10 --timeout-worker-healthcheck 60"
            " --log-level warning --no-access-log",
        ),
        ("daphne", "/e/bin/daphne -v 0 -e tcp:port=8000:interface=127.0.0.1:backlog=2048 testapp.app:app"),
        (
            "hypercorn",
            "/e/bin/hypercorn testapp.app:app -c /w/config -b 127.0.0.1:8000 -w 1 -k asyncio --backlog 2048"
            " --keep-alive 75 --graceful-timeout 10 --log-level warning",
        ),
        (
            "granian",
            "/e/bin/granian testapp.app:app --interface asgi --host 127.0.0.1 --port 8000 --workers 1"
            " --loop uvloop --http 1 --no-ws --backlog 2048 --http1-header-read-timeout 60000"
            " --workers-kill-timeout 10 --log-level warning --no-access-log",
        ),
        (
            "gunicorn-uvicorn",
            "/e/bin/gunicorn testapp.app:app -c /w/config -b 127.0.0.1:8000 -w 1 --backlog 2048"
            " --keep-alive 75 --graceful-timeout 10 --timeout 60 --log-level warning",
        ),
    ],
)
def test_a_command_is_the_settings_as_flags(name: str, expected: str) -> None:
    assert command(load_catalogue().server(name)) == expected


@pytest.mark.parametrize("loop", ["uvloop", "trio"])
def test_the_other_workers_of_hypercorn_differ_in_nothing_else(loop: str) -> None:
    catalogue = load_catalogue()
    plain = command(catalogue.server("hypercorn"))
    assert command(catalogue.server(f"hypercorn-{loop}")) == plain.replace("-k asyncio", f"-k {loop}")


@pytest.mark.parametrize(
    ("name", "word"),
    [("uvicorn", "--host ::1 "), ("daphne", r":interface=\:\:1:"), ("hypercorn", "-b [::1]:8000 ")],
)
def test_an_ipv6_address_is_written_as_each_server_reads_it(name: str, word: str) -> None:
    assert word in command(load_catalogue().server(name), host="::1")


def test_hypercorn_and_gunicorn_need_a_configuration_file() -> None:
    servers = load_catalogue().servers
    texts = {spec.name: config_text(spec, host="::1", port=1, workers=1) for spec in servers}
    catalogue_settings = {spec.name: spec.settings for spec in servers}
    packages = {spec.name: spec.package for spec in servers if texts[spec.name]}
    assert set(packages.values()) == {"hypercorn", "gunicorn"}
    for name, package in packages.items():
        text = texts[name]
        if package == "hypercorn":
            assert tomllib.loads(text) == {"keep_alive_max_requests": 10**9}
        else:
            compile(text, "gunicorn.conf.py", "exec")
            settings = catalogue_settings[name]
            assert f'loop="{settings.loop}", http="{settings.http_parser}"' in text


def test_what_a_server_does_not_honour_is_said() -> None:
    catalogue = load_catalogue()
    assert set(catalogue.server("daphne").unhonoured_settings) == {
        "loop",
        "http_parser",
        "keep_alive_seconds",
    }
    assert not catalogue.server("uvicorn").unhonoured_settings
    assert "orders" in catalogue.server("hypercorn-trio").unsupported_endpoints


def test_more_workers_than_a_server_runs_are_refused() -> None:
    with pytest.raises(UsageError, match="daphne runs 1 worker"):
        command(load_catalogue().server("daphne"), workers=2)


@pytest.mark.parametrize(("name", "nearest"), [("uvicron", "uvicorn"), ("hypercorn-tri", "hypercorn-trio")])
def test_an_unknown_server_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UsageError) as failure:
        load_catalogue().server(name)
    assert f"Did you mean {nearest}?" in failure.value.remedy


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(UsageError) as failure:
        load_catalogue().server("zzz")
    assert failure.value.remedy.startswith("There are uvicorn, uvicorn-shipped, ")


def test_profiles_are_as_promised() -> None:
    profiles = load_profiles()
    assert profiles["quick"] == Profile(
        "quick", 50, 2, 6, 1, 0.5, 0.5, description=profiles["quick"].description
    )
    assert profiles["review"] == Profile(
        "review", 50, 5, 20, 5, 1.0, 1.0, description=profiles["review"].description
    )


# ---------------------------------------------------------------- a user's own file


def test_a_file_of_ones_own_adds_servers_and_profiles(tmp_path: Path) -> None:
    text = 'default_servers = ["mine", "daphne"]\n' + MINIMAL
    text += "[profiles.long]\nconnections = 5\nwarmup_seconds = 1\nwindow_seconds = 60\nblocks = 3\n"
    text += "idle_rest_seconds = 1\nafter_rest_seconds = 0.5\nserver_workers = [1, 2]\n"
    path = written(tmp_path, text)
    catalogue = load_catalogue(path)
    assert [spec.name for spec in catalogue.servers][-2:] == ["hypercorn-paper-trio", "mine"]
    assert catalogue.defaults == ("mine", "daphne")
    assert command(catalogue.server("mine")).endswith("-l asyncio --backlog 2048 --no-access-log")
    assert list(load_profiles(path)) == ["quick", "review", "paper", "long"]
    assert load_profiles(path)["long"].server_workers == (1, 2)


def test_an_entry_takes_over_what_it_does_not_say(tmp_path: Path) -> None:
    text = '[servers.mine]\nlike = "uvicorn"\nsettings = { http_parser = "h11", access_log = true }\n'
    catalogue = load_catalogue(written(tmp_path, text + '[servers.yours]\nlike = "mine"\nlicence = "MIT"\n'))
    ours, mine, yours = (catalogue.server(name) for name in ("uvicorn", "mine", "yours"))
    assert (mine.settings.loop, mine.settings.http_parser, mine.title) == ("uvloop", "h11", "")
    assert "--http h11" in command(mine)
    assert command(mine).endswith("--access-log --log-level info")
    assert (mine.licence, yours.licence) == (ours.licence, "MIT")
    assert command(yours) == command(mine)


@pytest.mark.parametrize("like", ['"nothing"', "5", '"mine"'])
def test_an_entry_is_like_one_before_it(tmp_path: Path, like: str) -> None:
    with pytest.raises(CatalogueError, match="to be like"):
        load_catalogue(written(tmp_path, f"[servers.mine]\nlike = {like}\n"))


def test_an_access_log_that_is_on_has_words_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL + "[servers.mine.settings]\naccess_log = true\n")
    assert command(load_catalogue(path).server("mine")).endswith("--backlog 2048")


def test_specs_survive_being_stored() -> None:
    """A plan keeps them as JSON."""
    for spec in load_catalogue().servers:
        assert msgspec.json.decode(msgspec.json.encode(spec), type=ServerSpec) == spec


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('package = "uvicorn"', "", "missing required field `package`"),
        ('package = "uvicorn"', "package = 5", "Expected `str`, got `int`"),
        ('package = "uvicorn"', 'package = "x"\npakage = "x"', "unknown field `pakage`"),
        ('package = "uvicorn"', 'package = "x"\nname = "x"', "without a key 'name'"),
        ("[servers.mine]", "[server.mine]", "unknown key 'server'"),
        ("[servers.mine]", '[servers."../mine"]', "is no name"),
        ("servers.mine", "servers.uvicorn", "uvicorn is in the catalogue already"),
        ("{port}", "{prot}", "unknown placeholder {prot}"),
        ("{port}", "{port", "expected '}'"),
        ("{port}", "{}", "unknown placeholder {}"),
        ('"{access_log}"', '"x{access_log}"', "unknown placeholder {access_log}"),
        ('"--backlog", "{backlog}", ', "", "the setting backlog reaches neither"),
        (', "{access_log}"', "", "the setting access_log reaches neither"),
        ("keep_alive_seconds", "keep_alive_second", "unhonoured_settings: there is no 'keep_alive_second'"),
        ('"{port}"', '"{config_file}"', "must have a text, and a place"),
        ("package", 'config_file = "x"\npackage', "must have a text, and a place"),
        ("package", 'unsupported_endpoints = { order = "x" }\npackage', "there is no 'order'"),
        ('"server-uvicorn"', '""', "must have an environment_group or requirements"),
        ("[servers.mine]", 'default_servers = ["mien"]\n[servers.mine]', "there is no server 'mien'"),
        ("[servers.mine]", 'default_servers = "mine"\n[servers.mine]', "default_servers: Expected `array`"),
        ("[servers.mine]", "[servers.mine", "is not TOML"),
    ],
)
def test_a_mistake_is_told_with_file_and_entry(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    assert before in MINIMAL
    path = written(tmp_path, MINIMAL.replace(before, after))
    with pytest.raises(CatalogueError) as failure:
        load_catalogue(path)
    assert complaint in failure.value.message
    assert str(path) in failure.value.message
    assert failure.value.remedy


def test_servers_that_are_no_tables_are_told(tmp_path: Path) -> None:
    for text in ("servers = 5", "[servers]\nmine = 5"):
        with pytest.raises(CatalogueError, match="table"):
            load_catalogue(written(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="can't be read"):
        load_catalogue(tmp_path / "none.toml")
    with pytest.raises(CatalogueError, match="can't be read"):
        load_profiles(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("connections", 0),
        ("window_seconds", 0),
        ("blocks", 0),
        ("warmup_seconds", -1),
        ("idle_rest_seconds", -0.1),
    ],
)
def test_a_profile_that_measures_nothing_is_refused(tmp_path: Path, field: str, value: float) -> None:
    fields: dict[str, float] = {
        "connections": 1,
        "warmup_seconds": 1,
        "window_seconds": 1,
        "blocks": 1,
        "idle_rest_seconds": 0,
        "after_rest_seconds": 0,
    }
    lines = [f"{name} = {number}" for name, number in (fields | {field: value}).items()]
    path = written(tmp_path, "\n".join(["[profiles.mine]", *lines]))
    with pytest.raises(CatalogueError, match=f"mine: {field} too small"):
        load_profiles(path)


def test_no_table_of_the_catalogues_page_lists_a_field_twice() -> None:
    """Seen: clients, load_on, load_workers_in_all and version_set twice in the table of profiles."""
    tables = re.findall(r"(?:^\|.*\n)+", (ROOT / "docs" / "catalogue.md").read_text(), re.MULTILINE)
    assert len(tables) >= 5
    for table in tables:
        fields = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
        assert len(fields) == len(set(fields)), fields
