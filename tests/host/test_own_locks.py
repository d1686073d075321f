"""Requirements of a server's own: resolved by the real uv from an index on loopback, kept, and held to."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench.catalogue.own_lock import OwnLock, with_app, with_own_locks
from bench.catalogue.versions import for_version, read_lock
from bench.environment.hosts import Host, Inventory
from bench.errors import CatalogueError, ProvisionError, ResultError, UsageError
from bench.plan.dry_run import KnownCosts, dry_run_lines
from bench.plan.make import asked_servers, make_plan
from bench.plan.request import BenchRequest
from bench.results.store import Store
from bench.spec import ServerSpec
from remote.provision.lockfile import wheels_for
from remote.provision.own_locks import index_environment, index_options, own_locks, parse_pip_settings
from session.locks import asked_locks, keep_locks, kept_locks
from tests.helpers.endpoints import KNOWN_ENDPOINTS, load_catalogue
from tests.helpers.environments import ROOT
from tests.helpers.facts import facts_of

ENTRY = """
[servers.mine]
title = "mine {version}"
package = "mine"
requirements = ["mine>=1"]
command = ["mine", "{app}", "{loop}", "{backlog}", "{keep_alive_seconds}", "{access_log}", "{flags}"]
[[servers.mine.version_ranges]]
versions = ">=2"
flags = ["--new"]
[[servers.mine.version_ranges]]
versions = "<2"
flags = ["--old"]
"""
LOCK = read_lock(ROOT / "uv.lock")
APP = {name: LOCK.versions[name][0] for name in ("starlette", "asyncpg")}
HERE = Host("here", ("server", "loadgen"), connection="local", address="127.0.0.1")
HOSTS = {
    "Linux x86_64": facts_of("Linux", "x86_64", "3.11.2", libc="glibc 2.36"),
    "macOS arm64": facts_of("Darwin", "arm64", "3.12.4", macos="14.5"),
}
INVENTORY = Inventory("local", "inventory/local.yml", HERE, (HERE,))


class JsonIndex(http.server.ThreadingHTTPServer):
    """A package index with hashes and sizes (PEP 691 and 700), and wheels of nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), JsonHandler)
        self.files: dict[str, bytes] = {}
        self.requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple"

    def offer(self, name: str, version: str, tags: str = "py3-none-any", needs: str = "") -> None:
        info = f"{name}-{version}.dist-info"
        requires = f"Requires-Dist: {needs}\n" if needs else ""
        members = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
            f"{info}/RECORD": "",
        }
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for member, text in members.items():
                archive.writestr(zipfile.ZipInfo(member), text)
        self.files[f"{name}-{version}-{tags}.whl"] = file.getvalue()


class JsonHandler(http.server.BaseHTTPRequestHandler):
    server: JsonIndex

    def do_GET(self) -> None:
        self.server.requests += 1
        kind, name = self.path.strip("/").split("/")
        files = self.server.files
        if kind == "simple":
            found = [
                {
                    "filename": filename,
                    "url": f"/files/{filename}",
                    "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                    "size": len(content),
                }
                for filename, content in files.items()
                if filename.startswith(f"{name}-")
            ]
            page = {"meta": {"api-version": "1.1"}, "name": name, "files": found, "versions": []}
            self.answer(json.dumps(page).encode() if found else b"", "application/vnd.pypi.simple.v1+json")
        else:
            self.answer(files[name], "application/octet-stream")

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[JsonIndex]:
    """An index that pip is set to, with the app's packages and two versions of a server; no other setting."""
    for variable in [name for name in os.environ if name.upper().startswith(("PIP_", "UV_"))]:
        if variable != "UV":
            monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with JsonIndex() as server:
        for name, version in APP.items():
            server.offer(name, version)
        server.offer("mine", "1.0")
        server.offer("mine", "2.0", needs="part; sys_platform == 'linux'")
        server.offer("part", "3.1", "cp311-cp311-manylinux_2_17_x86_64")
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def request_of(tmp_path: Path) -> BenchRequest:
    catalogue = tmp_path / "mine.toml"
    catalogue.write_text(ENTRY)
    return BenchRequest(
        root=ROOT, servers=("mine",), catalogue=catalogue, results=tmp_path / "results", seed=1, name="one"
    )


def mine(text: str, folder: Path) -> ServerSpec:
    path = folder / "mine.toml"
    path.write_text(text)
    return load_catalogue(path).server("mine")


# ---------------------------------------------------------------- the entry


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("requirements", 'environment_group = "load"\nrequirements', "not both"),
        ('requirements = ["mine>=1"]\n', "", "must have an environment_group or requirements"),
        ('"mine>=1"', '"mine=>1"', "'mine=>1' is no requirement"),
        ('"mine>=1"', '"mine @ https://there.example/mine-1-py3-none-any.whl"', "names a URL"),
        ('"mine>=1"', '"other>=1"', "the package 'mine' is not among its requirements"),
        ('"mine>=1"', "1", "Expected `str`, got `int`"),
    ],
)
def test_a_mistake_in_requirements_is_told(before: str, after: str, complaint: str, tmp_path: Path) -> None:
    assert before in ENTRY
    with pytest.raises(CatalogueError) as caught:
        mine(ENTRY.replace(before, after), tmp_path)
    assert complaint in caught.value.message
    assert caught.value.message.startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_an_entry_like_another_takes_one_kind_of_environment(tmp_path: Path) -> None:
    own = mine('[servers.mine]\nlike = "uvicorn"\nrequirements = ["uvicorn==0.50.0"]\n', tmp_path)
    assert (own.environment_group, own.requirements) == ("", ("uvicorn==0.50.0",))
    back = ENTRY.replace("mine", "first") + '[servers.mine]\nlike = "first"\nenvironment_group = "load"\n'
    assert (mine(back, tmp_path).group, mine(back, tmp_path).requirements) == ("load", ())


def test_the_apps_packages_are_added_at_uv_locks_versions(tmp_path: Path) -> None:
    plain = with_app(mine(ENTRY, tmp_path), LOCK)
    assert plain.requirements == ("mine>=1", *(f"{name}=={version}" for name, version in APP.items()))
    other = with_app(mine(ENTRY.replace('"mine>=1"', '"mine>=1", "Starlette==0.50"'), tmp_path), LOCK)
    assert other.requirements == ("mine>=1", "Starlette==0.50", f"asyncpg=={APP['asyncpg']}")
    assert plain.group.startswith("own-mine-") and plain.group != other.group
    assert with_app(load_catalogue().server("daphne"), LOCK) == load_catalogue().server("daphne")


# ---------------------------------------------------------------- resolving, with the user's own index


def test_requirements_are_resolved_once_and_then_kept(index: JsonIndex, request_of: BenchRequest) -> None:
    (lock,) = asked_locks(request_of, KNOWN_ENDPOINTS)
    assert lock.versions == {"mine": "2.0", "part": "3.1", **APP}
    assert all(wheel.hashes["sha256"] for package in lock.pylock.packages for wheel in package.wheels or ())
    kept = request_of.results_root / "locks" / lock.file_name
    assert kept.read_bytes() == lock.text
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    asked = index.requests
    index.offer("mine", "2.1")
    assert asked_locks(request_of, KNOWN_ENDPOINTS) == (lock,)
    assert index.requests == asked
    kept.unlink()
    (renewed,) = asked_locks(request_of, KNOWN_ENDPOINTS)
    assert renewed.versions["mine"] == "2.1"
    assert renewed.group == lock.group


def test_a_lock_has_no_password_of_the_index(
    index: JsonIndex, request_of: BenchRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are handed around, and so is the lock with them."""
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("://", "://me:sesame@"))
    (lock,) = asked_locks(request_of, KNOWN_ENDPOINTS)
    assert lock.versions["mine"] == "2.0"
    assert b"sesame" not in lock.text
    assert request_of.catalogue is not None
    request_of.catalogue.write_text(ENTRY.replace("mine>=1", "mine>=3"))
    with pytest.raises(ProvisionError) as caught:
        asked_locks(request_of, KNOWN_ENDPOINTS)
    assert "sesame" not in str(caught.value) + caught.value.detail


def test_servers_with_the_same_requirements_share_a_lock(index: JsonIndex, request_of: BenchRequest) -> None:
    assert request_of.catalogue is not None
    with request_of.catalogue.open("a") as file:
        file.write('[servers.yours]\nlike = "mine"\nsettings = { backlog = 5 }\n')
    both = msgspec.structs.replace(request_of, servers=("mine", "yours", "daphne"))
    assert len(asked_locks(both, KNOWN_ENDPOINTS)) == 1
    assert len({spec.group for spec in asked_servers(both, KNOWN_ENDPOINTS)}) == 2


def test_what_cannot_be_resolved_is_told_in_one_line(index: JsonIndex, request_of: BenchRequest) -> None:
    assert request_of.catalogue is not None
    request_of.catalogue.write_text(ENTRY.replace("mine>=1", "mine>=3"))
    with pytest.raises(ProvisionError, match="the requirements of mine can't be resolved") as caught:
        asked_locks(request_of, KNOWN_ENDPOINTS)
    assert "mine" in caught.value.message and ">=3" in caught.value.message
    assert "\n" not in str(caught.value)
    assert "pip config" in caught.value.remedy
    assert not list((request_of.results_root / "locks").iterdir())


def test_a_folder_that_cannot_hold_the_lock_is_told(index: JsonIndex, request_of: BenchRequest) -> None:
    request_of.results_root.write_text("a file")
    with pytest.raises(ProvisionError, match="the lock of mine can't be kept in"):
        asked_locks(request_of, KNOWN_ENDPOINTS)


def test_a_host_without_a_wheel_is_refused_in_words(index: JsonIndex, request_of: BenchRequest) -> None:
    (lock,) = asked_locks(request_of, KNOWN_ENDPOINTS)
    assert {wheel.name for wheel in wheels_for(lock.pylock, HOSTS["Linux x86_64"], lock.group)} == {
        "mine",
        "part",
        *APP,
    }
    assert "part" not in {wheel.name for wheel in wheels_for(lock.pylock, HOSTS["macOS arm64"], lock.group)}
    with pytest.raises(ProvisionError, match=f"there: {lock.group}: no wheel of part 3.1 for") as caught:
        wheels_for(lock.pylock, facts_of("Linux", "aarch64", "3.11.2", libc="glibc 2.36"), lock.group)
    assert "leave its server out of --servers" in caught.value.remedy


def test_pips_settings_are_read_by_section() -> None:
    """As `pip config list` writes them; what is for installing alone, and what uv has not, is left out."""
    listed = (
        "global.index-url='https://one.example/simple'\n"
        ":env:.index-url='https://env.example/simple'\n"
        "download.find-links='/a /b'\n"
        "install.index-url='https://no.example/'\n"
    )
    assert parse_pip_settings(listed) == {
        "index-url": "https://env.example/simple",
        "find-links": "/a /b",
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ""),
        ({"index-url": "https://a"}, "--default-index https://a"),
        (
            {"extra-index-url": "https://b https://c"},
            "--index https://pypi.org/simple --index https://b --default-index https://c"
            " --index-strategy unsafe-best-match",
        ),
        (
            {"no-index": "1", "find-links": "https://d/x /there/is/none"},
            "--no-index --find-links https://d/x",
        ),
        ({"trusted-host": "e:80"}, "--allow-insecure-host e:80"),
    ],
)
def test_uv_is_given_pips_index(settings: dict[str, str], expected: str) -> None:
    assert " ".join(index_options(settings)) == expected


def test_uv_is_given_pips_certificates_and_proxy() -> None:
    settings = {"cert": "/c.pem", "proxy": "http://p:1"}
    assert index_environment(settings, {}) == {"SSL_CERT_FILE": "/c.pem", "ALL_PROXY": "http://p:1"}
    assert index_environment(settings, {"SSL_CERT_FILE": "/own"}) == {"ALL_PROXY": "http://p:1"}


# ---------------------------------------------------------------- the plan and its results


def made(version: str, group: str = "own-mine-00000000") -> OwnLock:
    text = 'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "mine"\n'
    url = f"https://there.example/mine-{version}-py3-none-any.whl"
    wheel = f'{{ url = "{url}", size = 1, hashes = {{ sha256 = "00" }} }}'
    return OwnLock(group, f'{text}version = "{version}"\nwheels = [{wheel}]\n'.encode())


@pytest.mark.parametrize(("version", "flag"), [("1.5", "--old"), ("2.0", "--new")])
def test_title_and_flags_are_those_of_the_locked_version(
    version: str, flag: str, request_of: BenchRequest
) -> None:
    (asked,) = asked_servers(request_of, KNOWN_ENDPOINTS)
    lock = made(version, asked.group)
    plan = make_plan(request_of, INVENTORY, KNOWN_ENDPOINTS, (lock,))
    (server,) = plan.servers
    assert (server.title, server.command[-1]) == (f"mine {version}", flag)
    assert plan.own_locks == {server.group: lock.sha256}
    assert msgspec.json.decode(msgspec.json.encode(plan), type=type(plan)) == plan


def test_the_dry_run_shows_requirements_and_the_locked_version(request_of: BenchRequest) -> None:
    (asked,) = asked_servers(request_of, KNOWN_ENDPOINTS)
    lock = made("2.0", asked.group)
    lines = dry_run_lines(
        make_plan(request_of, INVENTORY, KNOWN_ENDPOINTS, (lock,)),
        INVENTORY,
        port=8000,
        load_commands={},
        costs=KnownCosts(),
        now=datetime(2026, 1, 2, tzinfo=UTC),
        own_locks=(lock,),
    )
    assert f"    requirements: mine>=1, starlette=={APP['starlette']}, asyncpg=={APP['asyncpg']}" in lines
    assert f"    locked in pylock.{asked.group}.toml: mine 2.0" in lines


def test_a_version_that_depends_on_the_host_is_refused(tmp_path: Path) -> None:
    spec = with_app(mine(ENTRY, tmp_path), LOCK)
    one, other = made("1.0", spec.group), made("2.0").text.decode().split("[[packages]]")[1]
    both = msgspec.structs.replace(one, text=one.text + b"[[packages]]" + other.encode())
    with pytest.raises(CatalogueError, match="mine: its requirements lock more than one version of mine"):
        with_own_locks(LOCK, (both,)).version_of(spec)
    assert for_version(spec, with_own_locks(LOCK, (one,)).version_of(spec)).title == "mine 1.0"


def test_a_damaged_lock_is_told() -> None:
    for text in (b"\xff", b"[", b"packages = 5"):
        with pytest.raises(CatalogueError, match=r"pylock\.own-mine-1\.toml is not a lock file") as caught:
            _ = OwnLock("own-mine-1", text).versions
        assert "Delete it" in caught.value.remedy


def test_results_keep_their_locks_and_hold_to_them(request_of: BenchRequest) -> None:
    (asked,) = asked_servers(request_of, KNOWN_ENDPOINTS)
    lock = made("2.0", asked.group)
    plan = make_plan(request_of, INVENTORY, KNOWN_ENDPOINTS, (lock,))
    store = Store.create(request_of.results_root, "one", plan)
    keep_locks(store, (lock,))
    assert kept_locks(store, store.read_plan()) == (lock,)
    resumed = msgspec.structs.replace(request_of, resume=True)
    assert asked_locks(resumed, KNOWN_ENDPOINTS) == (lock,), "taken from beside the plan, nothing is resolved"
    assert asked_locks(msgspec.structs.replace(resumed, name=""), KNOWN_ENDPOINTS) == (lock,)
    path = store.directory / lock.file_name
    path.write_bytes(made("2.1").text)
    with pytest.raises(ResultError, match="its checksum differs"):
        kept_locks(store, plan)
    path.unlink()
    with pytest.raises(ResultError, match="can't read"):
        kept_locks(store, plan)


def test_there_is_nothing_to_go_on_with(request_of: BenchRequest) -> None:
    with pytest.raises(UsageError, match="nothing in"):
        asked_locks(msgspec.structs.replace(request_of, resume=True, name=""), KNOWN_ENDPOINTS)


def test_own_locks_of_servers_with_groups_are_none() -> None:
    assert own_locks(load_catalogue().servers[:1], (), ROOT) == ()
