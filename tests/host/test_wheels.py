"""Which wheels a host gets (real uv.lock, facts of hosts elsewhere), and the controller's cache of them."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import os
import platform
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.pylock import Pylock
from packaging.tags import sys_tags
from packaging.version import Version

from bench.errors import ProvisionError
from remote.provision import wheels as wheels_module
from remote.provision.lockfile import (
    LockedWheel,
    export_group,
    find_uv,
    marker_environment,
    wheel_tags,
    wheels_for,
)
from remote.provision.wheels import Fetched, default_cache, fetch
from tests.helpers.facts import facts_of

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("uvicorn", "daphne", "hypercorn")
SERVER_GROUPS = {f"server-{server}{kind}": server for server in SERVERS for kind in ("", "-paper")}
GROUPS = ("host-tools", "load", *SERVER_GROUPS, "uv")


HOSTS = {
    "Linux x86_64": facts_of("Linux", "x86_64", "3.11.2", libc="glibc 2.36"),
    "Linux aarch64": facts_of("Linux", "aarch64", "3.13.1", libc="glibc 2.39"),
    "macOS arm64": facts_of("Darwin", "arm64", "3.12.4", macos="14.5"),
    "macOS x86_64": facts_of("Darwin", "x86_64", "3.11.9", macos="13.6"),
}
# What the lock has no wheel for, by host and group; whoever updates the lock sees here what a host loses.
WITHOUT_WHEEL = {
    ("macOS arm64", "server-daphne"): "no wheel of autobahn [^,]*for Darwin arm64, macOS 14.5",
    ("macOS x86_64", "server-daphne"): "no wheel of autobahn .*, cbor2 .*, cryptography .*for Darwin x86_64",
    ("macOS x86_64", "load"): "no wheel of gevent [^,]*for Darwin x86_64, macOS 13.6, CPython 3.11.9",
}
WITHOUT_WHEEL |= {
    (title, "server-daphne-paper"): WITHOUT_WHEEL[title, "server-daphne"]
    for title in ("macOS arm64", "macOS x86_64")
}


@pytest.fixture(scope="module")
def locks() -> dict[str, Pylock]:
    return {group: export_group(group, ROOT) for group in GROUPS}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("title", HOSTS)
def test_every_group_resolves_to_wheels(title: str, group: str, locks: dict[str, Pylock]) -> None:
    """Each group has one wheel a package for every kind of host, save what is listed by name."""
    if (title, group) in WITHOUT_WHEEL:
        with pytest.raises(ProvisionError, match=WITHOUT_WHEEL[title, group]):
            wheels_for(locks[group], HOSTS[title])
        return
    wheels = wheels_for(locks[group], HOSTS[title])
    names = [wheel.name for wheel in wheels]
    assert names == sorted(set(names))
    assert all(len(wheel.sha256) == 64 and wheel.size_bytes > 0 for wheel in wheels)


def test_what_a_mac_lacks_comes_with_a_newer_one(locks: dict[str, Pylock]) -> None:
    """Daphne runs on Apple's own processors from macOS 15, the load on Intel Macs from Python 3.12."""
    arm = dataclasses.replace(HOSTS["macOS arm64"], macos_version="15.1")
    intel = dataclasses.replace(HOSTS["macOS x86_64"], python_version="3.12.4")
    assert "daphne" in {wheel.name for wheel in wheels_for(locks["server-daphne"], arm)}
    assert "gevent" in {wheel.name for wheel in wheels_for(locks["load"], intel)}


def test_binary_wheels_are_of_the_hosts_platform(locks: dict[str, Pylock]) -> None:
    """uvloop, compiled for each platform and Python, comes in the build that fits the host."""
    filenames = {
        title: wheel.filename
        for title, facts in HOSTS.items()
        for wheel in wheels_for(locks["server-uvicorn"], facts)
        if wheel.name == "uvloop"
    }
    assert "-cp311-cp311-manylinux" in filenames["Linux x86_64"]
    assert filenames["Linux x86_64"].endswith("x86_64.whl")
    assert "-cp313-cp313-manylinux" in filenames["Linux aarch64"]
    assert filenames["Linux aarch64"].endswith("aarch64.whl")
    assert "-cp312-cp312-macosx" in filenames["macOS arm64"]
    assert "-cp311-cp311-macosx" in filenames["macOS x86_64"]


def test_tags_of_this_machine_are_those_that_packaging_finds() -> None:
    """From facts alone come exactly the tags that packaging finds by looking at the interpreter."""
    libc, libc_version = platform.libc_ver()
    here = facts_of(
        platform.system(),
        platform.machine(),
        platform.python_version(),
        libc=f"{libc} {libc_version}" if libc else "",
        macos=platform.mac_ver()[0],
    )
    assert list(wheel_tags(here)) == list(sys_tags())


def test_markers_see_the_host_and_not_the_controller() -> None:
    """Markers on system, machine and Python version are evaluated with the host's facts."""
    markers = {
        "linux-only": "sys_platform == 'linux'",
        "mac-only": "sys_platform == 'darwin' and platform_system == 'Darwin'",
        "windows-only": "os_name == 'nt'",
        "arm-only": "platform_machine == 'arm64' or platform_machine == 'aarch64'",
        "before-312": "python_full_version < '3.12'",
        "pypy-only": "implementation_name == 'pypy' or platform_python_implementation == 'PyPy'",
    }
    lock = synthetic_lock({name: ("py3-none-any", marker) for name, marker in markers.items()})
    chosen = {title: [wheel.name for wheel in wheels_for(lock, facts)] for title, facts in HOSTS.items()}
    assert chosen == {
        "Linux x86_64": ["before-312", "linux-only"],
        "Linux aarch64": ["arm-only", "linux-only"],
        "macOS arm64": ["arm-only", "mac-only"],
        "macOS x86_64": ["before-312", "mac-only"],
    }


def test_markers_of_the_real_lock(locks: dict[str, Pylock]) -> None:
    """The load group takes typing-extensions on Python 3.11 only, and nothing for Windows or PyPy."""
    on_311 = {wheel.name for wheel in wheels_for(locks["load"], HOSTS["Linux x86_64"])}
    on_313 = {wheel.name for wheel in wheels_for(locks["load"], HOSTS["Linux aarch64"])}
    assert on_311 - on_313 == {"typing-extensions"}
    assert not (on_311 | on_313) & {"pywin32", "colorama", "cffi"}


def test_groups_hold_what_they_are_for(locks: dict[str, Pylock]) -> None:
    """An environment has its server, and no other server comes with it."""
    names = {
        group: {wheel.name for wheel in wheels_for(lock, HOSTS["Linux x86_64"])}
        for group, lock in locks.items()
    }
    servers = set(SERVERS)
    assert {group: found & servers for group, found in names.items() if found & servers} == {
        group: {server} for group, server in SERVER_GROUPS.items()
    }
    assert names["uv"] == {"uv"}
    assert not names["server-uvicorn-paper"] & {"uvloop", "httptools"}
    assert not names["server-daphne-paper"] & {"h2", "priority"}


def test_each_set_has_its_own_versions(locks: dict[str, Pylock]) -> None:
    """The paper's groups have the paper's versions, and today's have not been drawn back to them."""
    paper = {"uvicorn": "0.27.0.post1", "daphne": "4.0.0", "hypercorn": "0.16.0"}
    found = {
        group: wheel.version
        for group, server in SERVER_GROUPS.items()
        for wheel in wheels_for(locks[group], HOSTS["Linux x86_64"])
        if wheel.name == server
    }
    for server, version in paper.items():
        assert found[f"server-{server}-paper"] == version
        assert Version(found[f"server-{server}"]) > Version(version)


def test_a_package_without_a_fitting_wheel_is_named() -> None:
    """No wheel for the host is an error that names package, version and platform; its sdist is not taken."""
    lock = synthetic_lock(
        {"pure": ("py3-none-any", ""), "compiled": ("cp311-cp311-manylinux_2_40_x86_64", "")}
    )
    with pytest.raises(ProvisionError) as caught:
        wheels_for(lock, HOSTS["Linux x86_64"])
    assert "compiled 1.0" in caught.value.message
    assert "Linux x86_64, glibc 2.36, CPython 3.11.2" in caught.value.message
    assert "pure" not in caught.value.message


def test_the_newest_fitting_glibc_wins() -> None:
    """Of several builds, the one for the newest glibc that the host has is chosen."""
    builds = [f"cp311-cp311-manylinux_2_{minor}_x86_64" for minor in (17, 28, 34, 39)]
    lock = synthetic_lock({"compiled": (builds, "")})
    (wheel,) = wheels_for(lock, HOSTS["Linux x86_64"])
    assert "manylinux_2_34" in wheel.filename


def test_other_pythons_and_systems_are_refused() -> None:
    """PyPy, an unknown system or libc and a Python older than the lock's are errors with a remedy."""
    linux = HOSTS["Linux x86_64"]
    lock = synthetic_lock({"pure": ("py3-none-any", "")})
    broken = (
        dataclasses.replace(linux, python_implementation="PyPy"),
        dataclasses.replace(linux, system="FreeBSD"),
        dataclasses.replace(linux, libc=""),
        dataclasses.replace(linux, python_version="3.9.2"),
    )
    for facts in broken:
        with pytest.raises(ProvisionError) as caught:
            wheels_for(lock, facts)
        assert caught.value.remedy


def test_marker_environment_is_the_interpreters_own() -> None:
    """With this machine's facts the markers see what this interpreter says of itself."""
    here = facts_of(platform.system(), platform.machine(), platform.python_version())
    environment = marker_environment(here)
    assert environment["sys_platform"] == sys.platform
    assert environment["os_name"] == os.name
    assert environment["implementation_name"] == sys.implementation.name
    assert environment["platform_python_implementation"] == platform.python_implementation()


def test_uv_is_found_by_variable_tools_and_path(tmp_path: Path) -> None:
    """UV comes first, then .tools/bin/uv, then PATH; without any of them the error says what to do."""
    on_path, in_tools, named = (tmp_path / "p" / "uv", tmp_path / ".tools" / "bin" / "uv", tmp_path / "uv")
    environment = {"PATH": str(on_path.parent)}
    with pytest.raises(ProvisionError, match=r"\./invoke"):
        find_uv(tmp_path, environment)
    for uv, variables in ((on_path, {}), (in_tools, {}), (named, {"UV": str(named)})):
        uv.parent.mkdir(parents=True, exist_ok=True)
        uv.write_text("#!/bin/sh\n")
        uv.chmod(0o755)
        assert find_uv(tmp_path, environment | variables) == uv


def test_an_unknown_group_is_an_error() -> None:
    """A group that pyproject.toml does not have is named, with uv's own words as evidence."""
    with pytest.raises(ProvisionError, match="server-nobody") as caught:
        export_group("server-nobody", ROOT)
    assert caught.value.detail


def synthetic_lock(packages: dict[str, tuple[str | list[str], str]]) -> Pylock:
    """A lock of version 1.0 of each package: {name: (wheel tags, marker)}, each with an sdist too."""
    return Pylock.from_dict(
        {
            "lock-version": "1.0",
            "created-by": "a test",
            "requires-python": ">=3.11",
            "packages": [
                {
                    "name": name,
                    "version": "1.0",
                    **({"marker": marker} if marker else {}),
                    "sdist": artifact(f"{name.replace('-', '_')}-1.0.tar.gz"),
                    "wheels": [
                        artifact(f"{name.replace('-', '_')}-1.0-{tags}.whl")
                        for tags in ([builds] if isinstance(builds, str) else builds)
                    ],
                }
                for name, (builds, marker) in packages.items()
            ],
        }
    )


def artifact(filename: str) -> dict[str, Any]:
    return {"url": f"https://index.invalid/{filename}", "size": 1, "hashes": {"sha256": "0" * 64}}


class Index(http.server.ThreadingHTTPServer):
    """A simple package index (PEP 503) on loopback, with files that the tests build."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), IndexHandler)
        self.requests: Counter[str] = Counter()
        self.counting = threading.Lock()
        self.files: dict[str, bytes] = {}
        self.status = 200
        self.answering = threading.Event()
        self.answering.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple"

    def offer(self, name: str, *, tags: str = "py3-none-any", version: str = "1.0") -> LockedWheel:
        wheel, content = built(name, tags, version)
        self.files[wheel.filename] = content
        return wheel

    def page(self, name: str) -> bytes:
        """The links to a project's files, each with its true hash as the indexes give it."""
        links = (
            f'<a href="/files/{filename}#sha256={hashlib.sha256(content).hexdigest()}">{filename}</a>'
            for filename, content in self.files.items()
            if filename.startswith(f"{name}-")
        )
        return "".join(links).encode()


class IndexHandler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        kind, name = self.path.strip("/").split("/")
        with self.server.counting:
            self.server.requests[name] += 1
        self.server.answering.wait()
        body = self.server.page(name) if kind == "simple" else self.server.files[name]
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/html" if kind == "simple" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def built(name: str, tags: str = "py3-none-any", version: str = "1.0") -> tuple[LockedWheel, bytes]:
    """A real wheel of one module, and what the lock would say of it; its URL leads nowhere."""
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"TAGS = {tags!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
        f"{info}/RECORD": "",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)  # without the time
    content = file.getvalue()
    filename = f"{name}-{version}-{tags}.whl"
    url = f"https://index.invalid/{filename}"
    digest = hashlib.sha256(content).hexdigest()
    return LockedWheel(name.replace("_", "-"), version, filename, url, digest, len(content)), content


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No settings of pip but those of the test."""
    for variable in [name for name in os.environ if name.upper().startswith("PIP_")]:
        monkeypatch.delenv(variable)
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return monkeypatch


@pytest.fixture
def index(settings: pytest.MonkeyPatch) -> Iterator[Index]:
    with Index() as server:
        settings.setenv("PIP_INDEX_URL", server.url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.answering.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(settings: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that pip looks for wheels in, instead of an index; it gives no hashes."""
    path = tmp_path / "folder"
    path.mkdir()
    settings.setenv("PIP_NO_INDEX", "1")
    settings.setenv("PIP_FIND_LINKS", str(path))
    return path


def silent(line: str) -> None:
    pass


def fetched(wheels: list[LockedWheel], cache: Path, host: str = "Linux x86_64") -> Fetched:
    return fetch(wheels, HOSTS[host], cache, silent)


def names_below(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_wheels_are_downloaded_once(index: Index, tmp_path: Path) -> None:
    """The first call downloads and reports each wheel, the second finds all of them in the cache."""
    wheels = [index.offer(f"package{number}") for number in range(4)]
    lines: list[str] = []
    first = fetch(wheels, HOSTS["Linux x86_64"], tmp_path, lines.append)
    second = fetched(wheels, tmp_path)
    assert (first.downloaded, first.cached) == (4, 0)
    assert first.downloaded_bytes == sum(wheel.size_bytes for wheel in wheels)
    assert (second.downloaded, second.cached) == (0, 4)
    assert lines[0].startswith("downloading 4 wheels")
    assert [line.split()[1] for line in lines[1:]] == [wheel.filename for wheel in wheels]
    assert {index.requests[wheel.filename] for wheel in wheels} == {1}
    assert names_below(tmp_path) == ["lock", *(wheel.filename for wheel in wheels)]
    for wheel in wheels:
        assert second.paths[wheel.filename] == tmp_path / wheel.sha256 / wheel.filename
        assert sha256(second.paths[wheel.filename]) == wheel.sha256


def test_only_what_is_absent_is_downloaded(index: Index, tmp_path: Path) -> None:
    """A wheel in the cache is not asked for again when others are."""
    old, new = index.offer("old"), index.offer("new")
    fetched([old], tmp_path)
    both = fetched([old, new], tmp_path)
    assert (both.downloaded, both.cached) == (1, 1)
    assert (index.requests["old"], index.requests[old.filename]) == (1, 1)


@pytest.mark.parametrize("damage", [b"", b"other bytes"])
def test_a_damaged_cached_wheel_is_replaced(damage: bytes, index: Index, tmp_path: Path) -> None:
    """A cached file that is not the lock's is downloaded anew."""
    wheel = index.offer("package")
    path = fetched([wheel], tmp_path).paths[wheel.filename]
    path.write_bytes(damage)
    assert fetched([wheel], tmp_path).downloaded == 1
    assert sha256(path) == wheel.sha256


@pytest.mark.parametrize("title", HOSTS)
def test_wheels_of_other_platforms_are_found(title: str, folder: Path, tmp_path: Path) -> None:
    """Among the builds for every kind of host, pip takes the one that the lock names for this host."""
    builds = {
        "Linux x86_64": "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "Linux aarch64": "cp313-cp313-manylinux_2_39_aarch64",
        "macOS arm64": "cp312-cp312-macosx_11_0_arm64",
        "macOS x86_64": "cp311-cp311-macosx_10_9_universal2",
    }
    for tags in [*builds.values(), "cp310-abi3-manylinux_2_17_x86_64", "py3-none-any"]:
        wheel, content = built("compiled", tags)
        (folder / wheel.filename).write_bytes(content)
    wheel, _ = built("compiled", builds[title])
    assert fetched([wheel], tmp_path / "cache", title).downloaded == 1
    assert names_below(tmp_path / "cache") == [wheel.filename, "lock"]


def test_every_kind_of_tag_is_found(folder: Path, tmp_path: Path) -> None:
    """The stable ABI, a plain Linux, a newer glibc's and a pure wheel of one Python are all found."""
    wheels = []
    for name, tags in {
        "stable": "cp39-abi3-manylinux_2_34_x86_64",
        "plain": "cp311-cp311-linux_x86_64",
        "program": "py3-none-manylinux_2_36_x86_64",
        "pure": "py2.py3-none-any",
        "one_python": "cp311-none-any",
    }.items():
        wheel, content = built(name, tags)
        (folder / wheel.filename).write_bytes(content)
        wheels.append(wheel)
    assert fetched(wheels, tmp_path / "cache").downloaded == 5


@pytest.mark.parametrize(
    "spelled",
    [
        "Flask_Login-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "flask.login-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    ],
)
def test_a_file_may_be_spelled_otherwise(spelled: str, folder: Path, tmp_path: Path) -> None:
    """What is found under another name has the lock's name in the cache."""
    wheel, content = built("flask_login", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64")
    (folder / spelled).write_bytes(content)
    path = fetched([wheel], tmp_path / "cache").paths[wheel.filename]
    assert path == tmp_path / "cache" / wheel.sha256 / wheel.filename
    assert sha256(path) == wheel.sha256


def test_several_versions_of_a_package_are_fetched(index: Index, tmp_path: Path) -> None:
    """Groups may lock different versions, though pip takes one version in a call."""
    wheels = [index.offer("package", version=version) for version in ("1.0", "2.0")] + [index.offer("other")]
    assert fetched(wheels, tmp_path).downloaded == 3


def test_another_file_than_the_locks_is_refused(index: Index, tmp_path: Path) -> None:
    """A file with another hash is an error with pip's words, and no wheel of the batch is left behind."""
    wheel, other = index.offer("package"), index.offer("other")
    index.files[wheel.filename] += b"tampered"
    with pytest.raises(ProvisionError, match="DO NOT MATCH THE HASHES") as caught:
        fetched([wheel, other], tmp_path)
    assert wheel.sha256 in caught.value.detail
    assert names_below(tmp_path) == ["lock"]


def test_a_wheel_that_the_index_lacks_is_named(index: Index, tmp_path: Path) -> None:
    """Without the locked version the error names it, and the remedy names pip's settings."""
    wheel = index.offer("package")
    with pytest.raises(ProvisionError, match=r"package==1\.1") as caught:
        fetched([msgspec.structs.replace(wheel, version="1.1")], tmp_path)
    assert "pip config" in caught.value.remedy


def test_an_index_out_of_reach_is_an_error(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A closed port is told in pip's words, with the address."""
    settings.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    settings.setenv("PIP_RETRIES", "1")
    with pytest.raises(ProvisionError, match="No matching distribution") as caught:
        fetched([built("package")[0]], tmp_path)
    assert "127.0.0.1" in caught.value.detail
    assert "refused" in caught.value.detail


def test_an_index_that_refuses_is_an_error(index: Index, tmp_path: Path) -> None:
    """pip tells a 403 like a missing package, so the remedy says how to see the index's answer."""
    wheel = index.offer("package")
    index.status = 403
    with pytest.raises(ProvisionError, match=r"package==1\.0") as caught:
        fetched([wheel], tmp_path)
    assert "pip download -vv package" in caught.value.remedy


def test_a_pip_that_hangs_is_ended(index: Index, tmp_path: Path) -> None:
    """An index that never answers ends in an error instead of a wait for ever."""
    index.answering.clear()
    wheel = index.offer("package")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wheels_module, "PIP_TIMEOUT_SECONDS", 2)
        with pytest.raises(ProvisionError, match="stopped after 2 s"):
            fetched([wheel], tmp_path)


def test_constraints_of_the_user_do_not_matter(
    index: Index, settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A constraint that forbids the locked version, and an unpinned one, change nothing."""
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("package<1\nother>2\n")
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nconstraint = {constraints}\n[download]\nconstraint = {constraints}\n")
    settings.setenv("PIP_CONFIG_FILE", str(config))
    assert fetched([index.offer("package")], tmp_path / "cache").downloaded == 1


def test_threads_that_want_the_same_wheel_download_it_once(index: Index, tmp_path: Path) -> None:
    """Several hosts provisioned at once cause one download of each wheel, also where they share but some."""
    shared = [index.offer(name) for name in ("first", "second")]
    own = {title: index.offer(f"own{number}") for number, title in enumerate(HOSTS)}
    start = threading.Barrier(len(HOSTS), timeout=60)

    def host(title: str) -> Fetched:
        start.wait()
        return fetched([*shared, own[title]], tmp_path, title)

    with ThreadPoolExecutor(len(HOSTS)) as pool:
        results = list(pool.map(host, HOSTS))
    assert sum(result.downloaded for result in results) == 2 + len(HOSTS)
    assert {index.requests[wheel.filename] for wheel in [*shared, *own.values()]} == {1}


def test_what_is_there_waits_for_no_download(index: Index, tmp_path: Path) -> None:
    """Whoever has all wheels in the cache goes on while another downloads."""
    here, there = index.offer("here"), index.offer("there")
    fetched([here], tmp_path)
    index.answering.clear()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(fetched, [there], tmp_path)
        try:
            assert fetched([here], tmp_path).cached == 1
            assert not other.done()
        finally:
            index.answering.set()
        assert other.result().downloaded == 1


def test_a_cache_that_cannot_be_written_is_an_error(index: Index, tmp_path: Path) -> None:
    """A file where the cache should be ends in an error that names the variable to set."""
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(ProvisionError) as caught:
        fetched([index.offer("package")], tmp_path / "cache")
    assert "XDG_CACHE_HOME" in caught.value.remedy


def test_the_cache_follows_xdg(tmp_path: Path) -> None:
    """XDG_CACHE_HOME moves the cache when it is absolute, as its specification asks."""
    assert default_cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "asgibench" / "wheels"
    for environment in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert default_cache(environment) == Path.home() / ".cache" / "asgibench" / "wheels"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
