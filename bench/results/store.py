"""Results on disk: ``results/<name>/``. Every file appears whole or not at all.

    plan.json hosts.json summary.json report.html report.csv
    runs/<run id>/run.json histogram.json samples-<host>.jsonl.gz ... checksums.json
    attempts/<run id>-1/   the same, of a void try at that run: another was made

A file is written under a temporary name in its own folder, synced and renamed; a run's folder likewise,
so a reader never meets half a run. Names that begin with a dot are unfinished and are never read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import DiskFull, ResultError, UsageError
from bench.nearest import guess
from bench.plan.plan import PLAN_VERSION, Environment, Plan
from bench.results.run import RESULT_VERSION, RunResult, borne_run
from bench.results.summary import SUMMARY_VERSION, Summary
from bench.wire.slices import Pairs

CHECKSUMS = "checksums.json"
RUN = "run.json"
HOSTS_FILE = "hosts.json"
HISTOGRAMS = "histogram.json"
NAMED_AT_MOST = 8
"""Names of results in a message."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_T = TypeVar("_T")


class _Versioned(msgspec.Struct):
    version: int


@dataclass(frozen=True)
class Store:
    """One benchmark's results. Makes no folder by itself: see ``create``, ``open`` and ``at``."""

    directory: Path

    @classmethod
    def create(cls, root: Path, name: str, plan: Plan) -> Store:
        """Make ``root/name`` with its plan.

        Raises UsageError if the name can't be a folder's or is taken, DiskFull, ResultError.
        """
        _check_name(name)
        directory = root / name
        unfinished = root / f".partial-{name}"
        with _writing(directory):
            root.mkdir(parents=True, exist_ok=True)
            _remove(unfinished)
            (unfinished / "runs").mkdir(parents=True)
            _write_new(unfinished / "plan.json", _encode(plan))
            _sync(unfinished)
            try:
                unfinished.rename(directory)
            except OSError as error:
                _remove(unfinished)
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise _taken(directory) from error
                raise
            _sync(root)
        return cls(directory)

    @classmethod
    def check_free(cls, root: Path, name: str) -> None:
        """Raises UsageError where ``create`` would: the name can't be a folder's, or is taken."""
        _check_name(name)
        if (root / name).exists():
            raise _taken(root / name)

    @classmethod
    def open(cls, root: Path, name: str) -> Store:
        """The results ``root/name``. Raises UsageError, naming those that exist, if there are none."""
        _check_name(name)
        if not (root / name / "plan.json").is_file():
            known = result_names(root)
            listed = f"There are {', '.join(known) or 'none yet'}"
            if len(known) > NAMED_AT_MOST:
                listed = f"`./invoke results` lists all {len(known)}"
            raise UsageError(f"no results named {name} in {root}", remedy=guess(name, known) + listed)
        return cls(root / name)

    @classmethod
    def at(cls, directory: Path) -> Store:
        """Results that lie anywhere, a copied folder say. Raises ResultError if it holds no plan.json."""
        if not (directory / "plan.json").is_file():
            raise ResultError(
                f"{directory} holds no results: plan.json is missing",
                remedy="Give the folder of one benchmark, such as results/<name>",
            )
        return cls(directory)

    @property
    def name(self) -> str:
        return self.directory.resolve().name

    @property
    def runs_directory(self) -> Path:
        return self.directory / "runs"

    @property
    def attempts_directory(self) -> Path:
        return self.directory / "attempts"

    def read_plan(self) -> Plan:
        return _decode(self.directory / "plan.json", Plan, PLAN_VERSION)

    def write_environment(self, environment: Environment) -> None:
        """Write hosts.json. Passwords are left out: results are handed around."""
        hosts = tuple(host.without_secrets() for host in environment.hosts)
        without_passwords = msgspec.structs.replace(environment, hosts=hosts)
        self.write_file(HOSTS_FILE, _encode(without_passwords))

    def read_environment(self) -> Environment:
        return _decode(self.directory / HOSTS_FILE, Environment, None)

    def write_run(self, result: RunResult, files: Mapping[str, bytes]) -> Path:
        """Save one run with its other files (name -> content); returns the run's folder.

        Raises ResultError if the run is there already or a name is unusable, DiskFull if there is no room.
        """
        return self._write_folder(self.runs_directory, result.run_id, result, files)

    def write_attempt(self, result: RunResult, files: Mapping[str, bytes]) -> Path:
        """Save a try that is void and that another is made for, where no reader takes it for a run.

        Raises as ``write_run``.
        """
        return self._write_folder(self.attempts_directory, _attempt_name(result), result, files)

    def read_attempts(self, run_id: str) -> tuple[RunResult, ...]:
        """The tries at a run that ``write_attempt`` saved, in their order. Raises as ``read_runs``."""
        folders = [one for one in _folders(self.attempts_directory) if one.name.rpartition("-")[0] == run_id]
        return tuple(sorted((_read_run(one, _attempt_name) for one in folders), key=lambda one: one.attempt))

    def _write_folder(self, parent: Path, name: str, result: RunResult, files: Mapping[str, bytes]) -> Path:
        for one in (name, *files):
            _check_file_name(one)
        contents = {**files, RUN: _encode(result)}
        if CHECKSUMS in files or RUN in files:
            raise ResultError(f"{RUN} and {CHECKSUMS} of a run are written by the store itself")
        folder = parent / name
        unfinished = parent / f".partial-{name}"
        if folder.exists():
            raise ResultError(
                f"run {result.run_id} is saved already ({folder})",
                remedy="Delete its folder, and --resume measures it again",
            )
        with _writing(folder, leftover=unfinished):
            _remove(unfinished)
            unfinished.mkdir(parents=True)
            for one, content in contents.items():
                _write_new(unfinished / one, content)
            sums = {one: hashlib.sha256(contents[one]).hexdigest() for one in sorted(contents)}
            _write_new(unfinished / CHECKSUMS, _encode(sums))
            _sync(unfinished)
            unfinished.rename(folder)
            _sync(parent)
        return folder

    def discard(self) -> None:
        """Remove a benchmark that has measured nothing, no void try either: its name is free again."""
        if not self.done_run_ids() and not _folders(self.attempts_directory):
            _remove(self.directory)

    def done_run_ids(self) -> frozenset[str]:
        """The runs that are saved whole."""
        return frozenset(folder.name for folder in _folders(self.runs_directory))

    def read_runs(self) -> tuple[RunResult, ...]:
        """Every saved run in the order of the plan, each file checked against its checksum.

        Raises ResultError naming the file that is missing, altered, unreadable or of another version.
        """
        runs = (_read_run(folder, lambda run: run.run_id) for folder in _folders(self.runs_directory))
        return tuple(sorted(runs, key=lambda run: run.position))

    def read_histograms(self, run_id: str) -> dict[str, Pairs]:
        """Of one run: ``good``, ``waited`` and others by name, in ns; {} where it was saved with none.

        Raises ResultError where the file is damaged.
        """
        path = self.runs_directory / run_id / HISTOGRAMS
        return _decode(path, dict[str, Pairs], None) if path.is_file() else {}

    def write_summary(self, summary: Summary) -> None:
        self.write_file("summary.json", _encode(summary))

    def read_summary(self) -> Summary:
        return _decode(self.directory / "summary.json", Summary, SUMMARY_VERSION)

    def write_file(self, name: str, content: bytes) -> Path:
        """Write or replace ``name`` in the results' folder; returns its path."""
        _check_file_name(name)
        path = self.directory / name
        unfinished = self.directory / f".partial-{name}"
        with _writing(path, leftover=unfinished):
            _write_new(unfinished, content)
            unfinished.replace(path)
            _sync(self.directory)
        return path


def _attempt_name(run: RunResult) -> str:
    return f"{run.run_id}-{run.attempt}"


def _folders(parent: Path) -> list[Path]:
    """Those that are whole."""
    if not parent.is_dir():
        return []
    return [one for one in sorted(parent.iterdir()) if one.is_dir() and not one.name.startswith(".")]


def _read_run(folder: Path, name_of: Callable[[RunResult], str]) -> RunResult:
    """``name_of`` says what the run's folder is called."""
    sums = _checksums(folder)
    for name in sums:
        _read_checked(folder, name, sums)
    run = _decode(folder / RUN, RunResult, RESULT_VERSION)
    if folder.name != name_of(run):
        raise ResultError(f"{folder / RUN} is of run {run.run_id}", remedy=_measure_again(folder))
    return borne_run(run)


def result_names(root: Path) -> tuple[str, ...]:
    """The names of the results that lie in ``root``."""
    if not root.is_dir():
        return ()
    return tuple(sorted(path.parent.name for path in root.glob("[!.]*/plan.json")))


@contextmanager
def _writing(path: Path, leftover: Path | None = None) -> Iterator[None]:
    """Turn the system's errors into ours, and leave nothing half-written behind."""
    try:
        yield
    except OSError as error:
        if leftover is not None:
            _remove(leftover)
        if error.errno in _NO_ROOM:
            raise DiskFull(
                f"no room to write {path}",
                remedy="Free space there; what was saved before is whole, so --resume goes on from it",
            ) from error
        raise ResultError(
            f"can't write {path}: {error.strerror}", remedy="Make the results' folder writable"
        ) from error


def _write_new(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    """A rename outlives a power cut only once its folder is synced too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _encode(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1) + b"\n"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultError(f"can't read {path}: {error.strerror}", remedy=_measure_again(path)) from error


def _decode(path: Path, kind: type[_T], version: int | None) -> _T:
    content = _read(path)
    try:
        if version is not None:
            found = msgspec.json.decode(content, type=_Versioned).version
            if found != version:
                raise ResultError(
                    f"{path} is of version {found}; this asgibench reads version {version}",
                    remedy="Read it with the asgibench that wrote it, or measure again",
                )
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise ResultError(f"{path} is damaged: {error}", remedy=_measure_again(path)) from error


def _checksums(folder: Path) -> dict[str, str]:
    sums = _decode(folder / CHECKSUMS, dict[str, str], None)
    if RUN not in sums:
        raise ResultError(f"{folder / CHECKSUMS} names no {RUN}", remedy=_measure_again(folder))
    return sums


def _read_checked(folder: Path, name: str, sums: Mapping[str, str]) -> bytes:
    content = _read(folder / name)
    if hashlib.sha256(content).hexdigest() != sums[name]:
        raise ResultError(
            f"{folder / name} is not what was saved: its checksum differs", remedy=_measure_again(folder)
        )
    return content


def _measure_again(path: Path) -> str:
    folder = path if path.parent.name == "runs" else path.parent
    if folder.parent.name == "runs":
        return f"Restore it from a copy, or delete {folder} and measure that run again with --resume"
    return "Restore it from a copy"


def _taken(directory: Path) -> UsageError:
    name = directory.name
    return UsageError(
        f"results named {name} exist already ({directory})",
        remedy=f"Go on with them by --name {name} --resume, or give another --name",
    )


def _check_name(name: str) -> None:
    if not _is_plain(name):
        raise UsageError(
            f"results can't be named {name!r}",
            remedy="Use letters, digits, dots and dashes; no slash, no leading dot",
        )


def _check_file_name(name: str) -> None:
    if not _is_plain(name):
        raise ResultError(f"a file of the results can't be named {name!r}")


def _is_plain(name: str) -> bool:
    """A name for a file that stays in its folder on Linux and macOS, with room for a prefix."""
    forbidden = set("/\\\0\n\r")
    return (
        bool(name)
        and not name.startswith(".")
        and not forbidden & set(name)
        and len(name.encode(errors="surrogateescape")) <= 200
    )
