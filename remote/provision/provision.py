"""Brings a host to what uv.lock says: uv, one environment a dependency group, and our own files.

Pushing from the controller is the one way, for hosts that reach a package index too: it is simple, needs
nothing of the host's network, and gives every host the same bytes. A host needs Python 3.11, and neither
root, a compiler, pip, venv, tar nor a route out. Below its work folder:

    envs/<group>-<hash>/        one virtual environment; the hash is of its wheels and of the host's Python
    uv/<version>-<hash>/uv      the binary out of uv's wheel; the hash tells platforms on a shared home apart
    wheels/<filename>           the wheels, so that a second environment is not sent what the first one had
    ship/<hash>/                our own files, by content

One question over the connection tells all that is missing (onhost/environments.py runs there); where nothing
is, it is the only one. Old environments stay; hosts.clean removes the whole folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import DiskFull, ProvisionError
from remote.onhost import environments
from remote.provision import wheels
from remote.provision.lockfile import LockedWheel, export_groups, wheels_for

if TYPE_CHECKING:
    from packaging.pylock import Pylock

    from remote.ssh.connect import Completed, Runner

UV_GROUP = "uv"
# A wheel, its unpacked files, their bytecode; measured: 4.8 over all groups.
DISK_PER_WHEEL_BYTE = 5
SURVEY_TIMEOUT_SECONDS = 60
BUILD_TIMEOUT_SECONDS = 300
SLOWEST_BYTES_PER_SECOND = 50_000
BOOTSTRAP = (
    "import sys; r = sys.stdin.buffer; exec(compile(r.read(int(r.readline())), 'environments.py', 'exec'))"
)


class Environment(msgspec.Struct, frozen=True):
    """A group's virtual environment on a host. ``versions``: {normalised package name: version}."""

    group: str
    directory: str
    python: str
    versions: dict[str, str]

    def program(self, name: str) -> str:
        """The path of a program of the environment."""
        return f"{self.directory}/bin/{name}"


class Shipped(msgspec.Struct, frozen=True):
    """Our own files on a host, below ``directory``."""

    directory: str
    changed: bool
    pushed_bytes: int


class Provisioned(msgspec.Struct, frozen=True):
    """What stands on a host now, and what it took. ``shipped`` is the folder of our own files, or None."""

    host: str
    environments: dict[str, Environment]
    uv: str
    uv_version: str
    shipped: str | None
    changed: bool
    seconds: float
    pushed_bytes: int


class _Wanted(msgspec.Struct, frozen=True):
    environment: Environment
    wheels: tuple[LockedWheel, ...]


class _File(msgspec.Struct, frozen=True):
    """A file that is to lie on the host, as environments.py is told of it."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool = False


class _Plan(msgspec.Struct, frozen=True):
    """All that is to stand on a host. ``shipped`` is our own files with their content."""

    wanted: tuple[_Wanted, ...]
    uv_wheel: LockedWheel
    uv_path: str
    shipped: tuple[tuple[_File, bytes], ...]


class _Problem(msgspec.Struct, frozen=True):
    kind: str
    message: str
    detail: str


class _Answer(msgspec.Struct, frozen=True):
    """Any answer of environments.py."""

    error: _Problem | None = None
    incomplete: tuple[str, ...] = ()
    uv: bool = False
    missing: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


class _Remote(msgspec.Struct, frozen=True):
    """environments.py on one host: requests in, answers or errors of ours out."""

    connection: Runner
    facts: HostFacts

    def ask(self, request: Mapping[str, object], timeout_seconds: float) -> _Answer:
        return self._answer(self._run(_message(request), timeout_seconds))

    def survey(self, plan: _Plan | None, shipped: Sequence[tuple[_File, bytes]]) -> _Answer:
        request = {
            "action": "survey",
            "environments": [] if plan is None else [_described(wanted) for wanted in plan.wanted],
            "uv": None if plan is None else plan.uv_path,
            "wheels": [] if plan is None else [self.wheel_file(wheel) for wheel in _all_wheels(plan)],
            "files": [file for file, _ in shipped],
        }
        return self.ask(request, SURVEY_TIMEOUT_SECONDS)

    def send(self, files: Sequence[tuple[_File, bytes | Path]], uv: Mapping[str, str] | None) -> int:
        """Write the files on the host, then unpack uv; the number of bytes that were pushed."""
        pushed_bytes = sum(file.size_bytes for file, _ in files)
        message = _message({"action": "receive", "files": [file for file, _ in files], "uv": uv})
        with _stream(message, [content for _, content in files]) as stream:
            timeout_seconds = SURVEY_TIMEOUT_SECONDS + pushed_bytes / SLOWEST_BYTES_PER_SECOND
            self._answer(self._run(stream, timeout_seconds))
        return pushed_bytes

    def wheel_file(self, wheel: LockedWheel) -> _File:
        return _File(f"{self.wheels_directory}/{wheel.filename}", wheel.sha256, wheel.size_bytes)

    @property
    def wheels_directory(self) -> str:
        return f"{self.facts.workdir}/wheels"

    def _run(self, stdin: bytes | Path, timeout_seconds: float) -> Completed:
        argv = [self.facts.python_path, "-I", "-S", "-B", "-c", BOOTSTRAP]
        return self.connection.run(argv, stdin=stdin, timeout_seconds=timeout_seconds, check=False)

    def _answer(self, completed: Completed) -> _Answer:
        last_line = completed.stdout.strip().splitlines()[-1:]
        try:
            answer = msgspec.json.decode(b"".join(last_line), type=_Answer)
        except msgspec.DecodeError as error:
            raise ProvisionError(
                f"{self.facts.host}: {self.facts.python_path} did not run our script "
                f"(status {completed.exit_status})",
                remedy=f"see that it is Python 3.11 or newer, or set asgibench_python of {self.facts.host}",
                detail=(completed.stderr or completed.stdout).decode(errors="replace")[-4000:],
            ) from error
        if answer.error is not None:
            raise self._error(answer.error)
        return answer

    def _error(self, problem: _Problem) -> DiskFull | ProvisionError:
        host = self.facts.host
        if problem.kind == "disk_full":
            return DiskFull(
                f"{host}: no room left below {self.facts.workdir} ({problem.message})",
                remedy=f"free room, or name another folder in asgibench_workdir of {host}",
                detail=problem.detail,
            )
        remedies = {
            "system": f"asgibench_workdir of {host} must allow its user to write and to run programs",
            "payload": "see that the connection is stable, then run the command again",
        }
        return ProvisionError(
            f"{host}: {problem.message}",
            remedy=remedies.get(problem.kind, f"run `invoke hosts.clean` for {host}, then the command again"),
            detail=problem.detail,
        )


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
    remote = _Remote(connection, facts)
    survey = remote.survey(plan, plan.shipped)
    incomplete = [wanted for wanted in plan.wanted if wanted.environment.directory in survey.incomplete]
    needed = _needed_wheels(plan, incomplete, survey)
    if needed:
        _check_disk(facts, incomplete, () if survey.uv else (plan.uv_wheel,))
    pushed_bytes = _push(remote, plan, survey, needed, cache or wheels.default_cache(), report)
    for wanted in incomplete:
        report(f"building {wanted.environment.group} ({len(wanted.wheels)} packages)")
        _build(remote, plan, wanted)
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


def ship(connection: Runner, facts: HostFacts, files: Mapping[str, bytes]) -> Shipped:
    """Have ``files`` (relative path: content) in one folder of the host, named by their content.

    What is there already is not sent again. A file that starts with ``#!`` can be run. Raises ProvisionError
    and DiskFull.
    """
    remote = _Remote(connection, facts)
    shipped = _shipped_files(facts, files)
    survey = remote.survey(None, shipped)
    missing = [(file, content) for file, content in shipped if file.path in survey.missing]
    pushed_bytes = remote.send(missing, None) if missing else 0
    return Shipped(ship_directory(facts, files), bool(missing), pushed_bytes)


def ship_directory(facts: HostFacts, files: Mapping[str, bytes]) -> str:
    """Where ``ship`` puts these files on the host. Raises ValueError for a path that leads out of it."""
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"not a relative path below the folder: {name!r}")
    contents = sorted((name, _sha256(content)) for name, content in files.items())
    return f"{facts.workdir}/ship/{_short_hash(contents)}"


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
        _wanted(group, facts, wheels_for(locks[group], facts, group))
        for group in dict.fromkeys(groups)
        if group != UV_GROUP
    )
    (uv_wheel,) = wheels_for(locks[UV_GROUP], facts, UV_GROUP)
    uv_path = f"{facts.workdir}/uv/{uv_wheel.version}-{uv_wheel.sha256[:12]}/uv"
    return _Plan(wanted, uv_wheel, uv_path, _shipped_files(facts, files))


def _wanted(group: str, facts: HostFacts, chosen: tuple[LockedWheel, ...]) -> _Wanted:
    made_of = [group, facts.python_path, facts.python_version, [wheel.sha256 for wheel in chosen]]
    directory = f"{facts.workdir}/envs/{group}-{_short_hash(made_of)}"
    versions = {wheel.name: wheel.version for wheel in chosen}
    return _Wanted(Environment(group, directory, f"{directory}/bin/python", versions), chosen)


def _described(wanted: _Wanted) -> dict[str, object]:
    return {"directory": wanted.environment.directory, "versions": wanted.environment.versions}


def _shipped_files(facts: HostFacts, files: Mapping[str, bytes]) -> tuple[tuple[_File, bytes], ...]:
    directory = ship_directory(facts, files)
    return tuple(
        (_File(f"{directory}/{name}", _sha256(content), len(content), content.startswith(b"#!")), content)
        for name, content in sorted(files.items())
    )


def _all_wheels(plan: _Plan) -> list[LockedWheel]:
    several = [plan.uv_wheel, *(wheel for wanted in plan.wanted for wheel in wanted.wheels)]
    return list({wheel.filename: wheel for wheel in several}.values())


def _needed_wheels(plan: _Plan, incomplete: Iterable[_Wanted], survey: _Answer) -> list[LockedWheel]:
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
            remedy=f"free room, or name another folder in asgibench_workdir of {facts.host}",
        )


def _push(
    remote: _Remote,
    plan: _Plan,
    survey: _Answer,
    needed: Sequence[LockedWheel],
    cache: Path,
    report: Callable[[str], None],
) -> int:
    absent = [wheel for wheel in needed if remote.wheel_file(wheel).path in survey.missing]
    fetched = wheels.fetch(absent, remote.facts, cache, report)
    files: list[tuple[_File, bytes | Path]] = [
        (remote.wheel_file(wheel), fetched.paths[wheel.filename]) for wheel in absent
    ]
    files += [(file, content) for file, content in plan.shipped if file.path in survey.missing]
    uv = {"wheel": remote.wheel_file(plan.uv_wheel).path, "path": plan.uv_path}
    if not files and survey.uv:
        return 0
    report(f"sending {len(files)} files ({sum(file.size_bytes for file, _ in files) / 1e6:.1f} MB)")
    return remote.send(files, None if survey.uv else uv)


def _build(remote: _Remote, plan: _Plan, wanted: _Wanted) -> None:
    facts = remote.facts
    request = {
        "action": "build",
        **_described(wanted),
        "python": facts.python_path,
        "uv": plan.uv_path,
        "wheels": remote.wheels_directory,
        "lock": f"{facts.workdir}/envs/.lock",
        "requirements": "".join(
            f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wanted.wheels
        ),
        "timeout_seconds": BUILD_TIMEOUT_SECONDS,
    }
    # Three programs run in a build, and another session's build may have to be waited for.
    answer = remote.ask(request, 6 * BUILD_TIMEOUT_SECONDS)
    if answer.differences:
        raise ProvisionError(
            f"{facts.host}: the environment {wanted.environment.group} does not hold what uv.lock says "
            f"({answer.differences[0]}{', and more' if len(answer.differences) > 1 else ''})",
            remedy=f"run `invoke hosts.clean` for {facts.host}, then the command again",
            detail="\n".join(answer.differences),
        )


def _message(request: Mapping[str, object]) -> bytes:
    source = Path(environments.__file__).read_bytes()
    encoded = msgspec.json.encode(request)
    return b"%d\n%b%d\n%b" % (len(source), source, len(encoded), encoded)


@contextlib.contextmanager
def _stream(message: bytes, contents: Iterable[bytes | Path]) -> Iterator[Path]:
    """A file of the message and the contents, one after the other, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="asgibench-push-") as folder:
        path = Path(folder) / "stream"
        try:
            with path.open("wb") as stream:
                stream.write(message)
                for content in contents:
                    stream.write(content if isinstance(content, bytes) else content.read_bytes())
        except OSError as error:
            raise DiskFull(
                f"controller: could not write {path} ({error})",
                remedy="free room, or name another folder in TMPDIR",
            ) from error
        yield path


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _short_hash(made_of: object) -> str:
    return _sha256(msgspec.json.encode(made_of))[:12]
