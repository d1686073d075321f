"""Which wheels a host gets (real uv.lock, facts of hosts elsewhere), and the controller's cache of them."""

from __future__ import annotations

import datetime
import hashlib
import http.server
import ipaddress
import os
import platform
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from packaging.pylock import Pylock
from packaging.tags import sys_tags

from bench.errors import ProvisionError
from bench.hosts import HostFacts
from remote.lockfile import (
    LockedWheel,
    export_group,
    find_uv,
    marker_environment,
    wheel_platforms,
    wheel_tags,
    wheels_for,
)
from remote.wheels import ATTEMPTS, default_cache, fetch

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("host-tools", "load", "server-uvicorn", "server-daphne", "server-hypercorn", "uv")


def facts_of(system: str, architecture: str, python: str, *, libc: str = "", macos: str = "") -> HostFacts:
    return HostFacts(
        host="there",
        system=system,
        release="1.0",
        distribution="",
        architecture=architecture,
        cpu_model="",
        cores_total=2,
        cores_usable=(0, 1),
        memory_bytes=1 << 30,
        python_version=python,
        python_path="/usr/bin/python3",
        python_implementation="CPython",
        libc=libc,
        macos_version=macos,
        user="bench",
        is_root=False,
        home="/home/bench",
        workdir="/home/bench/.asgibench",
        disk_free_bytes=1 << 34,
        boot_id="",
        cpu_frequency_scaling=None,
        open_files_limit=1024,
        clock_offset_seconds=0.0,
        clock_offset_error_seconds=0.0,
        can_pin=True,
    )


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
    arm = msgspec.structs.replace(HOSTS["macOS arm64"], macos_version="15.1")
    intel = msgspec.structs.replace(HOSTS["macOS x86_64"], python_version="3.12.4")
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
    servers = {"uvicorn", "daphne", "hypercorn"}
    assert {group: found & servers for group, found in names.items() if found & servers} == {
        f"server-{server}": {server} for server in servers
    }
    assert names["uv"] == {"uv"}


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


def test_platforms_of_musl() -> None:
    """A musl host takes musllinux wheels and no manylinux ones, with or without a known version."""
    for libc, expected in (("musl", "musllinux_1_2_x86_64"), ("musl 1.3", "musllinux_1_3_x86_64")):
        platforms = list(wheel_platforms(facts_of("Linux", "x86_64", "3.12.0", libc=libc)))
        assert platforms[:2] == ["linux_x86_64", expected]
        assert not any(platform.startswith("manylinux") for platform in platforms)


def test_other_pythons_and_systems_are_refused() -> None:
    """PyPy, an unknown system or libc and a Python older than the lock's are errors with a remedy."""
    linux = HOSTS["Linux x86_64"]
    lock = synthetic_lock({"pure": ("py3-none-any", "")})
    broken = (
        msgspec.structs.replace(linux, python_implementation="PyPy"),
        msgspec.structs.replace(linux, system="FreeBSD"),
        msgspec.structs.replace(linux, libc=""),
        msgspec.structs.replace(linux, python_version="3.9.2"),
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
    """A package index on loopback. ``answers`` gives the body, or a status, for each try of a file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), IndexHandler)
        self.requests: Counter[str] = Counter()
        self.counting = threading.Lock()
        self.answers: dict[str, Callable[[int], bytes | int]] = {}
        self.scheme = "http"

    def offer(
        self, name: str, content: bytes, answer: Callable[[int], bytes | int] | None = None
    ) -> LockedWheel:
        filename = f"{name}-1.0-py3-none-any.whl"
        self.answers[filename] = answer or (lambda _: content)
        url = f"{self.scheme}://127.0.0.1:{self.server_address[1]}/{filename}"
        return LockedWheel(name, "1.0", filename, url, hashlib.sha256(content).hexdigest(), len(content))


class IndexHandler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        filename = self.path.rsplit("/", 1)[-1]
        with self.server.counting:
            self.server.requests[filename] += 1
            attempt = self.server.requests[filename]
        answer = self.server.answers[filename](attempt)
        status, body = (answer, b"") if isinstance(answer, int) else (200, answer)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def silent(line: str) -> None:
    pass


def test_wheels_are_downloaded_once(index: Index, tmp_path: Path) -> None:
    """The first call downloads and reports each wheel, the second finds all of them in the cache."""
    wheels = [index.offer(f"package{number}", b"wheel %d" % number * 1000) for number in range(12)]
    lines: list[str] = []
    first = fetch(wheels, tmp_path, lines.append)
    second = fetch(wheels, tmp_path, silent)
    assert (first.downloaded, first.cached) == (12, 0)
    assert first.downloaded_bytes == sum(wheel.size_bytes for wheel in wheels)
    assert (second.downloaded, second.cached) == (0, 12)
    assert len(lines) == 12
    assert set(index.requests.values()) == {1}
    for wheel in wheels:
        assert second.paths[wheel.filename] == tmp_path / wheel.sha256 / wheel.filename
        assert sha256(second.paths[wheel.filename]) == wheel.sha256


@pytest.mark.parametrize("damage", [b"", b"other bytes", b"wheel" * 100 + b"!"])
def test_a_damaged_cached_wheel_is_replaced(damage: bytes, index: Index, tmp_path: Path) -> None:
    """A cached file that is not the lock's is downloaded anew."""
    wheel = index.offer("package", b"wheel" * 100)
    path = fetch([wheel], tmp_path, silent).paths[wheel.filename]
    path.write_bytes(damage)
    assert fetch([wheel], tmp_path, silent).downloaded == 1
    assert sha256(path) == wheel.sha256


@pytest.mark.parametrize("broken", [503, 429, b"", b"whe", b"WHEEL" * 100, b"wheel" * 101])
def test_a_broken_download_is_tried_again(broken: bytes | int, index: Index, tmp_path: Path) -> None:
    """A passing failure, a short, a wrong and a long answer are each followed by another try."""
    content = b"wheel" * 100
    wheel = index.offer("package", content, lambda attempt: broken if attempt < ATTEMPTS else content)
    assert fetch([wheel], tmp_path, silent, pause_seconds=0.001).downloaded == 1
    assert index.requests[wheel.filename] == ATTEMPTS


def test_tries_are_bounded(index: Index, tmp_path: Path) -> None:
    """A wheel that never comes whole is an error that names it, and leaves nothing behind."""
    wheel = index.offer("package", b"wheel", lambda _: b"other")
    with pytest.raises(ProvisionError, match=r"package-1\.0.*3 tries.*SHA-256"):
        fetch([wheel], tmp_path, silent, pause_seconds=0.001)
    assert index.requests[wheel.filename] == ATTEMPTS
    assert [path.name for path in (tmp_path / wheel.sha256).iterdir()] == ["lock"]


def test_a_missing_file_is_not_tried_again(index: Index, tmp_path: Path) -> None:
    """404 will not mend itself."""
    wheel = index.offer("package", b"wheel", lambda _: 404)
    with pytest.raises(ProvisionError, match="1 try"):
        fetch([wheel], tmp_path, silent, pause_seconds=0.001)


def test_an_index_out_of_reach_is_an_error(index: Index, tmp_path: Path) -> None:
    """A closed port ends in an error that speaks of the network."""
    wheel = index.offer("package", b"wheel")
    index.server_close()
    wheel = msgspec.structs.replace(wheel, url="http://127.0.0.1:1/package-1.0-py3-none-any.whl")
    with pytest.raises(ProvisionError) as caught:
        fetch([wheel], tmp_path, silent, pause_seconds=0.001)
    assert "HTTPS_PROXY" in caught.value.remedy


def test_threads_that_want_the_same_wheel_download_it_once(index: Index, tmp_path: Path) -> None:
    """Several hosts provisioned at once cause one download of each wheel."""
    content = b"wheel" * 1000

    def slowly(attempt: int) -> bytes:
        time.sleep(0.1)
        return content

    wheels = [index.offer(name, content + name.encode()) for name in ("first", "second")]
    wheels += [index.offer("slow", content, slowly)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: fetch(wheels, tmp_path, silent), range(6)))
    assert sum(result.downloaded for result in results) == 3
    assert set(index.requests.values()) == {1}


def test_a_cache_that_cannot_be_written_is_an_error(index: Index, tmp_path: Path) -> None:
    """A file where the cache should be ends in an error that names the variable to set."""
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(ProvisionError) as caught:
        fetch([index.offer("package", b"wheel")], tmp_path / "cache", silent)
    assert "XDG_CACHE_HOME" in caught.value.remedy


def test_a_proxy_named_in_the_environment_is_used(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a proxy set, the index itself need not be reachable or even resolvable."""
    wheel = msgspec.structs.replace(
        index.offer("package", b"wheel"), url="http://index.invalid/package-1.0-py3-none-any.whl"
    )
    for variable in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{index.server_address[1]}")
    assert fetch([wheel], tmp_path, silent).downloaded == 1


def test_certificates_are_checked(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown certificate is refused at once; named in SSL_CERT_FILE, the same index is trusted."""
    certificate = own_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    index.socket = context.wrap_socket(index.socket, server_side=True, do_handshake_on_connect=False)
    index.scheme = "https"
    wheel = index.offer("package", b"wheel")
    with pytest.raises(ProvisionError, match="1 try") as caught:
        fetch([wheel], tmp_path / "cache", silent, pause_seconds=0.001)
    assert "SSL_CERT_FILE" in caught.value.remedy
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch([wheel], tmp_path / "cache", silent).downloaded == 1


def test_the_cache_follows_xdg(tmp_path: Path) -> None:
    """XDG_CACHE_HOME moves the cache when it is absolute, as its specification asks."""
    assert default_cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "asgibench" / "wheels"
    for environment in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert default_cache(environment) == Path.home() / ".cache" / "asgibench" / "wheels"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def own_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an index on loopback")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "index.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    return path
