"""The controller's cache of wheels: pip downloads each once, and each is checked against the lock's hash.

``<cache>/<sha256>/<filename>``. Threads and other processes share it, and one of them downloads at a
time. A wheel is hashed each time it is handed out, so a damaged file is downloaded again.

pip, because it finds the index, mirror, proxy, credentials and certificates that the user has set for it
(``pip config``, ``PIP_INDEX_URL``). It gets the host's platform and Python instead of the controller's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import DiskFull, ProvisionError
from remote.provision.lockfile import LockedWheel, wheel_platforms, wheel_tags

# pip gives up by itself, after retries of its own; this ends one that no longer does anything.
PIP_TIMEOUT_SECONDS = 600
SLOWEST_BYTES_PER_SECOND = 20_000
PIP_DOWNLOAD = ("-P", "-m", "pip", "download", "--disable-pip-version-check", "--no-input")
READABLE = ("--no-color", "--progress-bar=off")
# The lock has decided all that these would have pip decide.
AS_LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--ignore-requires-python")


class Fetched(msgspec.Struct, frozen=True):
    """Where each wheel lies, by filename, and what it took."""

    paths: dict[str, Path]
    downloaded: int
    downloaded_bytes: int

    @property
    def cached(self) -> int:
        """How many wheels were there already."""
        return len(self.paths) - self.downloaded


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_CACHE_HOME/asgibench/wheels``, else the same below ``~/.cache``."""
    named = environment.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "asgibench" / "wheels"


def fetch(
    wheels: Sequence[LockedWheel], facts: HostFacts, cache: Path, report: Callable[[str], None]
) -> Fetched:
    """Have every wheel in ``cache``. ``facts`` are of the host that they were chosen for.

    Raises ProvisionError (with pip's own words) and DiskFull.
    """
    unique = list(dict.fromkeys(wheels))
    try:
        downloaded = _download_absent(unique, facts, cache, report)
    except OSError as error:
        raise _local_error(error, cache) from error
    paths = {wheel.filename: _place(cache, wheel) for wheel in unique}
    return Fetched(paths, len(downloaded), _total_bytes(downloaded))


def _download_absent(
    wheels: Sequence[LockedWheel], facts: HostFacts, cache: Path, report: Callable[[str], None]
) -> list[LockedWheel]:
    absent = _absent(wheels, cache)
    if not absent:
        return []
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        absent = _absent(absent, cache)
        for batch in _batches(absent):
            report(f"downloading {len(batch)} wheels ({_total_bytes(batch) / 1e6:.1f} MB)")
            _download(batch, facts, cache)
            for wheel in batch:
                report(f"downloaded {wheel.filename} ({wheel.size_bytes / 1e6:.1f} MB)")
    return absent


def _batches(wheels: Sequence[LockedWheel]) -> Iterator[list[LockedWheel]]:
    """One batch, or more where groups lock several versions of a package: pip takes one in a call."""
    versions: dict[str, list[LockedWheel]] = defaultdict(list)
    for wheel in wheels:
        versions[wheel.name].append(wheel)
    for batch in itertools.zip_longest(*versions.values()):
        yield [wheel for wheel in batch if wheel is not None]


def _download(batch: Sequence[LockedWheel], facts: HostFacts, cache: Path) -> None:
    """Download into a folder beside the places, then move each wheel into its own."""
    with tempfile.TemporaryDirectory(prefix="partial-", dir=cache) as folder:
        downloads = Path(folder) / "wheels"
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(
            "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in batch)
        )
        _run_pip(["--dest", str(downloads), "--requirement", str(requirements)], batch, facts)
        # By hash, because an index may spell a file's name otherwise than the lock does.
        found = {_sha256(path): path for path in downloads.iterdir()}
        for wheel in batch:
            if wheel.sha256 not in found:
                raise _pip_error(batch, f"{wheel.filename} did not come with the lock's SHA-256", "")
            place = _place(cache, wheel)
            place.parent.mkdir(exist_ok=True)
            found[wheel.sha256].replace(place)


def _run_pip(arguments: Sequence[str], batch: Sequence[LockedWheel], facts: HostFacts) -> None:
    argv = [sys.executable, *PIP_DOWNLOAD, *READABLE, *AS_LOCKED, *_target(facts), *arguments]
    # A user's constraints are for environments of theirs, and would forbid what the lock demands.
    environment = {**os.environ, "PIP_CONSTRAINT": os.devnull}
    timeout_seconds = PIP_TIMEOUT_SECONDS + _total_bytes(batch) / SLOWEST_BYTES_PER_SECOND
    try:
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise _pip_error(batch, f"stopped after {timeout_seconds:.0f} s", _text(error.stderr)) from error
    if done.returncode == 0:
        return
    words = _text(done.stderr)
    if f"[Errno {errno.ENOSPC}]" in words:
        raise DiskFull(
            "controller: no room for pip's download",
            remedy="Free room, or name other folders in TMPDIR and XDG_CACHE_HOME",
            detail=words[-4000:],
        )
    raise _pip_error(batch, _cause(words) or f"status {done.returncode}", words)


def _target(facts: HostFacts) -> list[str]:
    """pip's options for the host, which give it the tags that the wheels were chosen by."""
    best = next(wheel_tags(facts))
    options = ["--implementation", "cp", "--python-version", best.interpreter.removeprefix("cp")]
    options += ["--abi", best.abi]
    return options + [f"--platform={platform}" for platform in wheel_platforms(facts)]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    # flock belongs to the open file, so it holds between threads as well as between processes.
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place(cache: Path, wheel: LockedWheel) -> Path:
    return cache / wheel.sha256 / wheel.filename


def _absent(wheels: Sequence[LockedWheel], cache: Path) -> list[LockedWheel]:
    return [wheel for wheel in wheels if not _is_whole(_place(cache, wheel), wheel)]


def _is_whole(place: Path, wheel: LockedWheel) -> bool:
    try:
        return _sha256(place) == wheel.sha256
    except FileNotFoundError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _total_bytes(wheels: Sequence[LockedWheel]) -> int:
    return sum(wheel.size_bytes for wheel in wheels)


def _text(stderr: bytes | None) -> str:
    return (stderr or b"").decode(errors="replace").strip()


def _cause(words: str) -> str:
    """The last error that pip names, else its last line."""
    lines = words.splitlines()
    errors = [line for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [""])[-1].removeprefix("ERROR: ").rstrip(". ")


def _pip_error(batch: Sequence[LockedWheel], cause: str, words: str) -> ProvisionError:
    wanted = batch[0].filename if len(batch) == 1 else f"{len(batch)} wheels"
    return ProvisionError(
        f"controller: pip could not download {wanted} ({cause})",
        remedy="See that its package index is reached and has the files that uv.lock names "
        f"(`pip download -vv {batch[0].name}` shows its answers); "
        "`pip config` sets index-url, proxy and cert",
        detail=words[-4000:],
    )


def _local_error(error: OSError, cache: Path) -> DiskFull | ProvisionError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"controller: no room for wheels in {cache}",
            remedy="Free room, or name another folder in XDG_CACHE_HOME",
        )
    return ProvisionError(
        f"controller: the wheel cache {cache} can't be used ({error})",
        remedy="Make it writable, or name another folder in XDG_CACHE_HOME",
    )
