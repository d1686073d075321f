"""Brings a host to what uv.lock says: uv, one environment a dependency group, and our own files.

Pushing from the controller is the one way, for hosts that reach a package index too: it is simple, needs
nothing of the host's network, and gives every host the same bytes. A host needs Python 3.11, and neither
root, a compiler, pip, venv, tar nor a route out. Below its work folder:

    envs/<group>-<hash>/        one virtual environment; the hash is of its wheels and of the host's Python
    uv/<version>-<hash>/uv      the binary out of uv's wheel; platforms that share a home differ in the hash
    wheels/<filename>           the wheels, so that a second environment is not sent what the first one had
    ship/<hash>/                our own files, by content

One question over the connection asks for all that is missing (onhost/environments.py answers it); where
nothing is missing, it is the only one. Old environments stay; hosts.clean removes the whole folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import DiskFull, ProvisionError
from bench.licences.releases import release_days
from bench.wire.environments import (
    BuildEnvironment,
    HostFile,
    HostSurvey,
    SurveyHost,
    UnpackUv,
    WantedEnvironment,
)
from remote.provision import wheels
from remote.provision.debian import FoundProgram
from remote.provision.lockfile import LockedWheel, export_groups, wheels_for
from remote.provision.ship import ship_directory, shipped_files, short_hash
from remote.provision.supply import BUILD_TIMEOUT_SECONDS, HostSupply

if TYPE_CHECKING:
    from packaging.pylock import Pylock

    from remote.runner import Runner

UV_GROUP = "uv"
PROGRAMS_GROUP = "programs"
# A wheel, its unpacked files, their bytecode; measured: 4.8 over all groups.
DISK_PER_WHEEL_BYTE = 5


class VirtualEnvironment(msgspec.Struct, frozen=True):
    """A group's virtual environment on a host. ``versions``: {normalised package name: version}."""

    group: str
    directory: str
    python: str
    versions: dict[str, str]
    released: dict[str, str] = {}  # {normalised package name: ISO day}, of those whose day the lock has

    def program(self, name: str) -> str:
        """The path of a program of the environment."""
        return f"{self.directory}/bin/{name}"


class Provisioned(msgspec.Struct, frozen=True):
    """What stands on a host now, and what it took. ``shipped`` is the folder of our own files, or None.

    ``programs`` are those that are no Python packages, by name.
    """

    host: str
    environments: dict[str, VirtualEnvironment]
    uv: str
    uv_version: str
    shipped: str | None
    changed: bool
    seconds: float
    pushed_bytes: int
    programs: dict[str, FoundProgram] = {}

    @property
    def packages(self) -> dict[str, dict[str, str]]:
        """{group: {package: version}}; programs that are no Python packages are a group of their own."""
        found = {group: one.versions for group, one in self.environments.items()}
        programs = {name: one.title for name, one in self.programs.items()}
        return found | ({PROGRAMS_GROUP: programs} if programs else {})


class _Wanted(msgspec.Struct, frozen=True):
    environment: VirtualEnvironment
    wheels: tuple[LockedWheel, ...]

    @property
    def described(self) -> WantedEnvironment:
        return WantedEnvironment(self.environment.directory, self.environment.versions)


class _Plan(msgspec.Struct, frozen=True):
    """All that is to stand on a host. ``shipped`` is our own files with their content."""

    wanted: tuple[_Wanted, ...]
    uv_wheel: LockedWheel
    uv_path: str
    shipped: tuple[tuple[HostFile, bytes], ...]


def provision(
    connection: Runner,
    facts: HostFacts,
    groups: Sequence[str],
    *,
    root: Path,
    report: Callable[[str], None],
    files: Mapping[str, bytes] | None = None,
    cache: Path | None = None,
    locks: Mapping[str, Pylock] | None = None,
) -> Provisioned:
    """Have uv, an environment for each of ``groups`` and ``files`` (see ``ship``) on the host.

    ``root`` holds pyproject.toml and uv.lock; ``cache`` is the controller's wheel cache; ``locks`` is what
    ``read_locks`` gave, for several hosts at once. Several hosts may be provisioned at once from threads.
    What stands already, whole and of the lock's versions, stays as it is.

    Raises ProvisionError (no wheel for the host, no download, another version than the lock's), DiskFull, and
    what the connection raises.
    """
    started = time.monotonic()
    plan = _plan(facts, groups, locks or read_locks(groups, root), files or {})
    supply = HostSupply(connection, facts)
    survey = supply.survey(_question(plan, facts))
    incomplete = [wanted for wanted in plan.wanted if wanted.environment.directory in survey.incomplete]
    needed = _needed_wheels(plan, incomplete, survey)
    if needed:
        _check_disk(facts, incomplete, () if survey.uv else (plan.uv_wheel,))
    pushed_bytes = _push(supply, plan, survey, needed, cache or wheels.default_cache(), report)
    for wanted in incomplete:
        report(f"building {wanted.environment.group} ({len(wanted.wheels)} packages)")
        _build(supply, plan, wanted)
    return Provisioned(
        host=facts.host,
        environments={wanted.environment.group: wanted.environment for wanted in plan.wanted},
        uv=plan.uv_path,
        uv_version=plan.uv_wheel.version,
        shipped=ship_directory(facts, files) if files else None,
        changed=bool(incomplete or pushed_bytes or not survey.uv),
        seconds=time.monotonic() - started,
        pushed_bytes=pushed_bytes,
    )


def read_locks(groups: Iterable[str], root: Path) -> dict[str, Pylock]:
    """What uv.lock says of the groups and of uv itself, for every host. Raises ProvisionError."""
    return export_groups([*groups, UV_GROUP], root)


def check_wheels(facts: HostFacts, groups: Iterable[str], locks: Mapping[str, Pylock]) -> None:
    """Before anything is sent anywhere: raises ProvisionError where the host lacks a wheel of its groups."""
    for group in (*groups, UV_GROUP):
        wheels_for(locks[group], facts, group)


def _plan(
    facts: HostFacts, groups: Sequence[str], locks: Mapping[str, Pylock], files: Mapping[str, bytes]
) -> _Plan:
    wanted = tuple(
        _wanted(group, facts, wheels_for(locks[group], facts, group), release_days(locks[group]))
        for group in dict.fromkeys(groups)
        if group != UV_GROUP
    )
    (uv_wheel,) = wheels_for(locks[UV_GROUP], facts, UV_GROUP)
    uv_path = f"{facts.workdir}/uv/{uv_wheel.version}-{uv_wheel.sha256[:12]}/uv"
    return _Plan(wanted, uv_wheel, uv_path, shipped_files(facts, files))


def _wanted(
    group: str, facts: HostFacts, chosen: tuple[LockedWheel, ...], released: dict[str, str]
) -> _Wanted:
    made_of = [group, facts.python_path, facts.python_version, [wheel.sha256 for wheel in chosen]]
    directory = f"{facts.workdir}/envs/{group}-{short_hash(made_of)}"
    versions = {wheel.name: wheel.version for wheel in chosen}
    environment = VirtualEnvironment(group, directory, f"{directory}/bin/python", versions, released)
    return _Wanted(environment, chosen)


def _question(plan: _Plan, facts: HostFacts) -> SurveyHost:
    return SurveyHost(
        environments=tuple(wanted.described for wanted in plan.wanted),
        uv=plan.uv_path,
        wheels=tuple(_wheel_file(wheel, facts) for wheel in _all_wheels(plan)),
        files=tuple(file for file, _ in plan.shipped),
    )


def _wheel_file(wheel: LockedWheel, facts: HostFacts) -> HostFile:
    return HostFile(f"{_wheels_directory(facts)}/{wheel.filename}", wheel.sha256, wheel.size_bytes)


def _wheels_directory(facts: HostFacts) -> str:
    return f"{facts.workdir}/wheels"


def _all_wheels(plan: _Plan) -> list[LockedWheel]:
    several = [plan.uv_wheel, *(wheel for wanted in plan.wanted for wheel in wanted.wheels)]
    return list({wheel.filename: wheel for wheel in several}.values())


def _needed_wheels(plan: _Plan, incomplete: Iterable[_Wanted], survey: HostSurvey) -> list[LockedWheel]:
    """What something is to be built from, whether it lies on the host or not."""
    needed = {wheel.filename for wanted in incomplete for wheel in wanted.wheels}
    if not survey.uv:
        needed.add(plan.uv_wheel.filename)
    return [wheel for wheel in _all_wheels(plan) if wheel.filename in needed]


def _check_disk(facts: HostFacts, incomplete: Sequence[_Wanted], others: Sequence[LockedWheel]) -> None:
    # A wheel in two environments is unpacked twice.
    unpacked = [*others, *(wheel for wanted in incomplete for wheel in wanted.wheels)]
    needed_bytes = DISK_PER_WHEEL_BYTE * sum(wheel.size_bytes for wheel in unpacked)
    if needed_bytes > facts.disk_free_bytes:
        raise DiskFull(
            f"{facts.host}: the environments take about {needed_bytes / 1e6:.0f} MB below {facts.workdir}, "
            f"{facts.disk_free_bytes / 1e6:.0f} MB are free",
            remedy=f"Free room, or name another folder in asgibench_workdir of {facts.host}",
        )


def _push(
    supply: HostSupply,
    plan: _Plan,
    survey: HostSurvey,
    needed: Sequence[LockedWheel],
    cache: Path,
    report: Callable[[str], None],
) -> int:
    absent = [wheel for wheel in needed if _wheel_file(wheel, supply.facts).path in survey.missing]
    fetched = wheels.fetch(absent, supply.facts, cache, report)
    files: list[tuple[HostFile, bytes | Path]] = [
        (_wheel_file(wheel, supply.facts), fetched.paths[wheel.filename]) for wheel in absent
    ]
    files += [(file, content) for file, content in plan.shipped if file.path in survey.missing]
    uv = UnpackUv(_wheel_file(plan.uv_wheel, supply.facts).path, plan.uv_path)
    if not files and survey.uv:
        return 0
    report(f"sending {len(files)} files ({sum(file.size_bytes for file, _ in files) / 1e6:.1f} MB)")
    return supply.send(files, None if survey.uv else uv)


def _build(supply: HostSupply, plan: _Plan, wanted: _Wanted) -> None:
    facts = supply.facts
    request = BuildEnvironment(
        environment=wanted.described,
        python=facts.python_path,
        uv=plan.uv_path,
        wheels=_wheels_directory(facts),
        lock=f"{facts.workdir}/envs/.lock",
        requirements="".join(
            f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wanted.wheels
        ),
        timeout_seconds=BUILD_TIMEOUT_SECONDS,
    )
    answer = supply.build(request)
    if answer.differences:
        raise ProvisionError(
            f"{facts.host}: the environment {wanted.environment.group} does not hold what uv.lock says "
            f"({answer.differences[0]}{', and more' if len(answer.differences) > 1 else ''})",
            remedy=f"Run `./invoke hosts.clean` for {facts.host}, then the command again",
            detail="\n".join(answer.differences),
        )
