"""Which wheels a host needs: uv.lock, read with the host's facts instead of the controller's.

uv itself exports a group (`uv export --frozen --format pylock.toml`), because only uv knows what its
resolution forks and conflict markers (`extra == 'group-9-asgibench-load'`) mean; walking uv.lock by hand
would tie us to a file format that is uv's own. What comes out is the standard lock file of PEP 751, with URL,
size and SHA-256 of every wheel, and `packaging.pylock` reads it: markers against the host's environment,
wheels by the host's tags. An export takes about 40 ms and needs no network.

A source distribution is never chosen: hosts have no compiler.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

import msgspec
from packaging.markers import Environment
from packaging.pylock import Package, PackageWheel, Pylock, PylockSelectError, PylockValidationError
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from bench.environment.hosts import HostFacts
from bench.errors import ProvisionError
from bench.spec import OWN_PREFIX

EXPORT_TIMEOUT_SECONDS = 60
LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The oldest glibc that wheels of an architecture were ever built for.
OLDEST_GLIBC_MINOR = {"x86_64": 5, "i686": 5}
OLDEST_GLIBC_MINOR_ELSEWHERE = 17
PYTHON_MINORS = (11, 12, 13, 14)


class LockedWheel(msgspec.Struct, frozen=True):
    """One wheel of the lock, the best one for some host. ``name`` is the normalised name of its package."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size_bytes: int


def find_uv(root: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The uv of the controller: ``UV`` (`uv run` sets it), ``.tools/bin/uv`` in the root, PATH.

    Raises ProvisionError where there is none.
    """
    named = environment.get("UV", "")
    on_path = shutil.which("uv", path=environment.get("PATH", os.defpath))
    candidates = [named, str(root / ".tools" / "bin" / "uv"), on_path]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise ProvisionError(
        "uv is not to be found: it reads uv.lock",
        remedy="Start the command with ./invoke, which brings uv, or name uv in the environment variable UV",
    )


def export_group(group: str, root: Path) -> Pylock:
    """The dependency group of ``root``/uv.lock for every platform. Raises ProvisionError."""
    argv = [str(find_uv(root)), "export", "--quiet", "--frozen", "--only-group", group, "--no-emit-project"]
    argv += ["--no-header", "--format", "pylock.toml", "--directory", str(root)]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=EXPORT_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProvisionError(
            f"uv could not export the group {group} ({error})", remedy="See that uv runs"
        ) from error
    if done.returncode != 0:
        raise ProvisionError(
            f"uv could not export the group {group} from {root / 'uv.lock'}",
            remedy="See that pyproject.toml has the group, then run `uv lock`",
            detail=done.stderr.decode(errors="replace")[-4000:],
        )
    return _parse(done.stdout, group)


def export_groups(groups: Iterable[str], root: Path) -> dict[str, Pylock]:
    """Each group once, for however many hosts. Raises ProvisionError."""
    return {group: export_group(group, root) for group in dict.fromkeys(groups)}


def wheels_for(lock: Pylock, facts: HostFacts, group: str = "") -> tuple[LockedWheel, ...]:
    """The exact wheels of ``lock`` for the host, ordered by name; one for each package.

    ``group`` is the name of what is locked, for the errors: ProvisionError names every package without a
    wheel for the host, and the Pythons for which all have one.
    """
    check_platform(facts)
    found = _choose(lock, facts)
    if isinstance(found, str):
        of = f"{group}: " if group else ""
        raise ProvisionError(
            f"{facts.host}: {of}{found} for {platform_title(facts)}, and nothing is compiled on hosts",
            remedy=_other_python(lock, facts, group),
        )
    return found


def check_platform(facts: HostFacts) -> None:
    """Raises ProvisionError for a libc that is not served, whatever a group holds."""
    if facts.system == "Linux" and facts.libc.startswith("musl"):
        raise ProvisionError(
            f"{facts.host}: its C library is musl (as on Alpine), without wheels of PostgreSQL and Locust",
            remedy="Take a Linux host with glibc, such as Debian or Ubuntu",
        )


def _choose(lock: Pylock, facts: HostFacts) -> tuple[LockedWheel, ...] | str:
    """The wheels, or what is missing in words."""
    tags = list(wheel_tags(facts))
    try:
        chosen = list(lock.select(environment=marker_environment(facts), tags=tags))
    except PylockSelectError as error:
        missing = _without_wheel(lock, facts, tags)
        return _missing_text(missing) if missing else f"the lock does not fit it ({error})"
    missing = [package for package, artifact in chosen if not isinstance(artifact, PackageWheel)]
    if missing:
        return _missing_text(missing)
    wheels = [_locked(package, wheel) for package, wheel in chosen if isinstance(wheel, PackageWheel)]
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def _without_wheel(lock: Pylock, facts: HostFacts, tags: Sequence[Tag]) -> list[Package]:
    """The packages that the host needs and that have no wheel for it."""
    environment: dict[str, str | Set[str]] = {name: str(v) for name, v in marker_environment(facts).items()}
    environment |= {"extras": frozenset(), "dependency_groups": frozenset()}
    fitting = frozenset(tags)
    return [
        package
        for package in lock.packages
        if package.marker is None or package.marker.evaluate(environment, context="lock_file")
        if fitting.isdisjoint(
            tag for wheel in package.wheels or () for tag in parse_wheel_filename(wheel.filename)[3]
        )
    ]


def _missing_text(packages: Sequence[Package]) -> str:
    return f"no wheel of {', '.join(_title(package) for package in packages)}"


def marker_environment(facts: HostFacts) -> Environment:
    """What dependency markers (PEP 508) see on the host."""
    return Environment(
        implementation_name=facts.python_implementation.lower(),
        implementation_version=facts.python_version,
        os_name="posix",
        platform_machine=facts.architecture,
        platform_python_implementation=facts.python_implementation,
        platform_release=facts.release,
        platform_system=facts.system,
        platform_version="",
        python_full_version=facts.python_version,
        python_version=".".join(facts.python_version.split(".")[:2]),
        sys_platform=facts.system.lower(),
    )


def wheel_tags(facts: HostFacts) -> Iterator[Tag]:
    """Every wheel tag that fits the host, the best first. Raises ProvisionError for another Python."""
    if facts.python_implementation != "CPython":
        raise ProvisionError(
            f"{facts.host}: {facts.python_path} is {facts.python_implementation}, not CPython",
            remedy=f"Name a CPython 3.11 or newer in asgibench_python of {facts.host}",
        )
    major, minor = (int(number) for number in facts.python_version.split(".")[:2])
    platforms = list(wheel_platforms(facts))
    interpreter = f"cp{major}{minor}"
    yield from cpython_tags((major, minor), abis=[interpreter], platforms=platforms)
    yield from compatible_tags((major, minor), interpreter=interpreter, platforms=platforms)


def wheel_platforms(facts: HostFacts) -> Iterator[str]:
    """The platform tags of the host, the best first. Raises ProvisionError for a system that is unknown."""
    if facts.system == "Darwin":
        yield from mac_platforms(_numbers(facts.macos_version, facts), facts.architecture)
    elif facts.system == "Linux":
        yield from _linux_platforms(facts)
    else:
        raise ProvisionError(
            f"{facts.host}: its system is {facts.system}", remedy="Take a host with Linux or macOS"
        )


def platform_title(facts: HostFacts) -> str:
    """The host's platform in words: `Linux x86_64, glibc 2.36, CPython 3.11.2`."""
    beneath = f"macOS {facts.macos_version}" if facts.system == "Darwin" else facts.libc
    python = f"{facts.python_implementation} {facts.python_version}"
    return f"{facts.system} {facts.architecture}, {beneath}, {python}"


def _linux_platforms(facts: HostFacts) -> Iterator[str]:
    yield f"linux_{facts.architecture}"
    major, newest = _numbers(facts.libc, facts)
    oldest = OLDEST_GLIBC_MINOR.get(facts.architecture, OLDEST_GLIBC_MINOR_ELSEWHERE)
    for minor in range(newest, oldest - 1, -1):
        yield f"manylinux_{major}_{minor}_{facts.architecture}"
        if minor in LEGACY_MANYLINUX:
            yield f"{LEGACY_MANYLINUX[minor]}_{facts.architecture}"


def _numbers(text: str, facts: HostFacts) -> tuple[int, int]:
    found = re.search(r"(\d+)(?:\.(\d+))?", text)
    if found is None:
        raise ProvisionError(
            f"{facts.host}: its platform is unknown (libc {facts.libc!r}, macOS {facts.macos_version!r})",
            remedy="Take a host with glibc or macOS",
        )
    return int(found[1]), int(found[2] or 0)


def _parse(text: bytes, group: str) -> Pylock:
    try:
        return Pylock.from_dict(tomllib.loads(text.decode()))
    except (PylockValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProvisionError(
            f"uv's export of the group {group} is not a lock file of PEP 751 ({error})",
            remedy="See that uv is of the version in uv.lock",
        ) from error


def _locked(package: Package, wheel: PackageWheel) -> LockedWheel:
    sha256 = wheel.hashes.get("sha256")
    if not wheel.url or not sha256 or wheel.size is None or package.version is None:
        raise ProvisionError(
            f"the lock has no URL, size and SHA-256 for {wheel.filename}",
            remedy="Lock against a package index that gives them",
        )
    return LockedWheel(package.name, str(package.version), wheel.filename, wheel.url, sha256, wheel.size)


def _title(package: Package) -> str:
    return f"{package.name} {package.version}"


def _other_python(lock: Pylock, facts: HostFacts, group: str) -> str:
    """What to do on the host: another Python if one has every wheel, else another host."""
    fitting = [
        f"3.{minor}"
        for minor in PYTHON_MINORS
        if not isinstance(_choose(lock, dataclasses.replace(facts, python_version=f"3.{minor}.0")), str)
    ]
    if fitting:
        return f"Name Python {' or '.join(fitting)} in asgibench_python of {facts.host}, or take another host"
    is_servers = group.startswith(("server-", OWN_PREFIX))
    rest = ", or leave its server out of --servers" if is_servers else ""
    return f"No Python helps there: take another host{rest} (docs/platforms.md lists what runs where)"
