"""What runs where: every group's wheels for every system, processor and Python, and what is said without."""

from __future__ import annotations

import dataclasses
import tomllib

import pytest
from packaging.pylock import Pylock

from bench.catalogue.own_lock import with_app
from bench.catalogue.versions import read_lock
from bench.environment.fingerprint import unlike_pythons
from bench.environment.hosts import HostFacts
from bench.errors import ProvisionError
from remote.provision.lockfile import PYTHON_MINORS, export_groups, wheels_for
from remote.provision.own_locks import own_locks
from remote.provision.provision import check_wheels, read_locks
from tests.helpers.endpoints import load_catalogue
from tests.helpers.environments import LOCKS
from tests.helpers.facts import facts_of
from tests.helpers.program import ROOT

pytestmark = pytest.mark.alone

PYTHONS = tuple(f"3.{minor}" for minor in PYTHON_MINORS)
# The oldest of each kind that is supported; a newer one takes the same wheels.
PLATFORMS = {
    "Linux x86_64": facts_of("Linux", "x86_64", "3.11.0", libc="glibc 2.28"),
    "Linux arm64": facts_of("Linux", "aarch64", "3.11.0", libc="glibc 2.28"),
    "macOS 14 arm64": facts_of("Darwin", "arm64", "3.11.0", macos="14.0"),
    "macOS 15 arm64": facts_of("Darwin", "arm64", "3.11.0", macos="15.0"),
    "macOS 13 x86_64": facts_of("Darwin", "x86_64", "3.11.0", macos="13.0"),
}
# (group, platform): (the Pythons without all wheels, the packages that lack one). The user reads the same
# in docs/platforms.md. A -paper group has its server's.
UNSUPPORTED = {
    ("load", "macOS 14 arm64"): (("3.11",), "gevent"),
    ("load", "macOS 15 arm64"): (("3.11",), "gevent"),
    ("load", "macOS 13 x86_64"): (("3.11",), "gevent"),
    ("server-daphne", "macOS 14 arm64"): (PYTHONS, "autobahn"),
    ("server-daphne", "macOS 13 x86_64"): (PYTHONS, "autobahn, cbor2, cryptography"),
    ("server-daphne-h2", "macOS 14 arm64"): (PYTHONS, "autobahn"),
    ("server-daphne-h2", "macOS 13 x86_64"): (PYTHONS, "autobahn, cbor2, cryptography"),
    ("server-hypercorn-h3", "macOS 13 x86_64"): (PYTHONS, "cryptography"),
    ("server-hypercorn-best", "macOS 13 x86_64"): (PYTHONS, "cryptography"),
    ("probes", "macOS 13 x86_64"): (PYTHONS, "cryptography"),
}
PROJECT_GROUPS = tuple(
    group
    for group in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    if group != "dev"
)
OWN = tuple(
    with_app(spec, read_lock(ROOT / "uv.lock")) for spec in load_catalogue().servers if spec.requirements
)
GROUPS = (*PROJECT_GROUPS, *dict.fromkeys(spec.group for spec in OWN))


@pytest.fixture(scope="module")
def locks() -> dict[str, Pylock]:
    own = {lock.group: lock.pylock for lock in own_locks(OWN, [LOCKS], ROOT)}
    return {**export_groups(PROJECT_GROUPS, ROOT), **own}


def with_python(facts: HostFacts, python: str) -> HostFacts:
    return dataclasses.replace(facts, python_version=f"{python}.1")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("title", PLATFORMS)
def test_every_group_has_wheels_or_is_listed(title: str, group: str, locks: dict[str, Pylock]) -> None:
    """Each supported Python has every wheel, or the combination is listed with what it lacks."""
    lacking, packages = UNSUPPORTED.get((group.replace("-paper", ""), title), ((), ""))
    found = {}
    for python in PYTHONS:
        try:
            assert wheels_for(locks[group], with_python(PLATFORMS[title], python), group)
        except ProvisionError as error:
            found[python] = error
    assert tuple(found) == lacking
    for one in found.values():
        assert one.message.startswith(f"there: {group}: no wheel of ")
        assert [name for name in packages.split(", ") if f"{name} " not in one.message] == []
        # Where one Python has them all, it is named; else the way round.
        assert ("Name Python 3.12" in one.remedy) == (lacking != PYTHONS)
        is_servers = group.startswith(("server-", "own-"))
        assert ("leave its server out" in one.remedy) == (lacking == PYTHONS and is_servers)


def test_the_docs_list_what_is_not_supported() -> None:
    """docs/platforms.md has each combination, and no other."""
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in (ROOT / "docs" / "platforms.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    listed = {(row[0].strip("`"), row[1]): (tuple(row[2].split(", ")), row[3]) for row in rows}
    assert listed == UNSUPPORTED


@pytest.mark.parametrize("libc", ["musl", "musl 1.2"])
@pytest.mark.parametrize("group", GROUPS)
def test_musl_is_refused_in_words(group: str, libc: str, locks: dict[str, Pylock]) -> None:
    """Every group says the same of a musl host, also one whose wheels there would be."""
    alpine = dataclasses.replace(PLATFORMS["Linux x86_64"], libc=libc)
    with pytest.raises(ProvisionError, match="its C library is musl") as caught:
        wheels_for(locks[group], alpine, group)
    assert "glibc" in caught.value.remedy


def test_a_host_is_judged_before_anything_is_sent(locks: dict[str, Pylock]) -> None:
    """The check needs facts alone: group, package, platform and remedy are told in one line."""
    mac = with_python(PLATFORMS["macOS 15 arm64"], "3.11")
    all_locks = read_locks(["host-tools", "load"], ROOT)
    check_wheels(mac, ["host-tools"], all_locks)
    with pytest.raises(ProvisionError) as caught:
        check_wheels(mac, ["host-tools", "load"], all_locks)
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        "there: load: no wheel of gevent ",
        "Darwin arm64, macOS 15.0, CPython 3.11.1",
        "3.12 or 3.13",
    ):
        assert part in text


def test_unlike_pythons_are_told_by_host() -> None:
    """A patch level makes no difference, a minor version and another implementation do."""
    hosts = {
        name: dataclasses.replace(PLATFORMS["Linux x86_64"], python_version=version)
        for name, version in {"a": "3.11.2", "b": "3.13.5", "c": "3.11.9"}.items()
    }
    assert unlike_pythons(hosts) == {"CPython 3.11": ("a", "c"), "CPython 3.13": ("b",)}
    assert unlike_pythons({name: hosts[name] for name in ("a", "c")}) == {}
    hosts["c"] = dataclasses.replace(hosts["c"], python_implementation="PyPy")
    assert list(unlike_pythons(hosts)) == ["CPython 3.11", "CPython 3.13", "PyPy 3.11"]
