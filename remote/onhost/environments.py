"""Looks for environments and files on a host, writes them and builds them. Standard library only.

It comes over the connection's standard input (remote/bootstrap.py), because it is what puts files there. Its
requests and answers are those of bench/wire/environments.py, one request for each start.

An environment is complete when the file ``.complete`` lies in it, which is written last. It is built at its
final path, because the programs in its bin/ name it. Whatever lies there unfinished is removed first. A lock
file keeps two sessions from building at once; the second one finds the first one's work.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from bench.wire.codec import decode_tagged, encode_line
from bench.wire.environments import (
    ENVIRONMENT_REQUESTS,
    BuildEnvironment,
    EnvironmentBuilt,
    HostFile,
    HostSupplied,
    HostSurvey,
    ProvisionFailure,
    ReceiveFiles,
    SurveyHost,
    WantedEnvironment,
)

MANIFEST = ".complete"
CHUNK_BYTES = 1 << 20
INSTALLED = (
    "import importlib.metadata as m, json;"
    "print(json.dumps([[d.metadata['Name'], d.version] for d in m.distributions()]))"
)
# A host's own settings must not change what is built.
DROPPED_VARIABLES = ("UV_", "PYTHON", "VIRTUAL_ENV", "CONDA_")


class Failure(Exception):
    """Becomes a ProvisionFailure."""

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail


def survey(request: SurveyHost) -> HostSurvey:
    incomplete = [one.directory for one in request.environments if not is_complete(one)]
    has_uv = request.uv is None or os.access(request.uv, os.X_OK)
    looked_at = [*request.files, *(request.wheels if incomplete or not has_uv else ())]
    missing = [file.path for file in looked_at if not is_whole(file)]
    return HostSurvey(tuple(incomplete), has_uv, tuple(missing))


def receive(request: ReceiveFiles, payload: IO[bytes]) -> HostSupplied:
    for file in request.files:
        receive_file(file, payload)
    if request.uv is not None:
        unpack_uv(Path(request.uv.wheel), Path(request.uv.path))
    return HostSupplied()


def build(request: BuildEnvironment) -> EnvironmentBuilt:
    directory = Path(request.environment.directory)
    with locked(Path(request.lock)):
        if is_complete(request.environment):
            return EnvironmentBuilt(())
        try:
            differences = build_anew(directory, request)
        except BaseException:
            # The room it takes may be just what was lacking.
            remove(directory)
            raise
    return EnvironmentBuilt(tuple(differences))


def build_anew(directory: Path, request: BuildEnvironment) -> list[str]:
    # Each build has a cache of its own, so that hard links share no file between environments: the memory of
    # a measured server must not look smaller because another environment's process maps the same file.
    cache = Path(f"{directory}.cache")
    remove(directory)
    remove(cache)
    directory.parent.mkdir(parents=True, exist_ok=True)
    uv = [request.uv, "--quiet", "--no-config", "--offline", "--cache-dir", str(cache)]
    try:
        venv = [*uv, "venv", "--no-project", "--no-python-downloads", "--python", request.python]
        run([*venv, str(directory)], request)
        requirements = directory / "requirements.txt"
        requirements.write_text(request.requirements)
        run([*uv, *install_arguments(directory, request), "-r", str(requirements)], request)
    finally:
        remove(cache)
    versions = request.environment.versions
    differences = compare(installed(directory, request), versions)
    if not differences:
        write_manifest(directory, versions)
    return differences


def install_arguments(directory: Path, request: BuildEnvironment) -> list[str]:
    arguments = ["pip", "install", "--python", str(directory / "bin" / "python")]
    arguments += ["--no-index", "--find-links", request.wheels, "--no-deps", "--require-hashes"]
    return [*arguments, "--only-binary", ":all:", "--compile-bytecode", "--link-mode", "hardlink"]


def installed(directory: Path, request: BuildEnvironment) -> dict[str, str]:
    """What the environment's own Python finds in it: {normalised name: version}."""
    listing = run([str(directory / "bin" / "python"), "-I", "-c", INSTALLED], request)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in json.loads(listing)}


def compare(found: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """A line for each package that is not as wanted."""
    return [
        f"{name}: {found.get(name, 'nothing')} installed, {wanted.get(name, 'nothing')} in the lock"
        for name in sorted({*found, *wanted})
        if plain(found.get(name)) != plain(wanted.get(name))
    ]


def plain(version: str | None) -> str | None:
    """Without the leading zeros that some metadata keeps: 2026.01.04 is 2026.1.4."""
    return None if version is None else re.sub(r"(^|\.)0+(?=\d)", r"\1", version.lower())


def write_manifest(directory: Path, versions: Mapping[str, str]) -> None:
    manifest = {"versions": versions, "entries": entries(directory)}
    with replaced(directory / MANIFEST) as file:
        file.write(json.dumps(manifest).encode())


def is_complete(wanted: WantedEnvironment) -> bool:
    """Whether it was finished, of these versions, and nothing was taken out, exchanged or added since."""
    directory = Path(wanted.directory)
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
        there = entries(directory)
        runs = os.access(directory / "bin" / "python", os.X_OK)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return runs and isinstance(manifest, dict) and manifest == {"versions": wanted.versions, "entries": there}


def entries(directory: Path) -> list[str]:
    """The names in bin/ and in site-packages: a look, not a reading, so that a survey takes milliseconds."""
    folders = [directory / "bin", *directory.glob("lib/python*/site-packages")]
    names = [f"{folder.name}/{path.name}" for folder in folders for path in folder.iterdir()]
    return sorted(name for name in names if not name.endswith("__pycache__"))


def is_whole(file: HostFile) -> bool:
    try:
        with Path(file.path).open("rb") as opened:
            if os.fstat(opened.fileno()).st_size != file.size_bytes:
                return False
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def receive_file(file: HostFile, payload: IO[bytes]) -> None:
    path = Path(file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left_bytes = file.size_bytes
    with replaced(path, executable=file.executable) as partial:
        while left_bytes:
            chunk = payload.read(min(left_bytes, CHUNK_BYTES))
            if not chunk:
                raise Failure("payload", f"the stream ended {left_bytes} bytes before {path.name} did")
            digest.update(chunk)
            partial.write(chunk)
            left_bytes -= len(chunk)
        if digest.hexdigest() != file.sha256:
            raise Failure("payload", f"{path.name} came with another SHA-256 than it was sent with")


def unpack_uv(wheel: Path, path: Path) -> None:
    """The binary out of uv's wheel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
        if len(names) != 1:
            raise Failure("tool", f"{wheel.name} has {len(names)} programs named uv")
        with archive.open(names[0]) as binary, replaced(path, executable=True) as file:
            shutil.copyfileobj(binary, file, CHUNK_BYTES)


@contextlib.contextmanager
def replaced(path: Path, *, executable: bool = False) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` when it is closed without an error."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(name).chmod(0o755 if executable else 0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(directory: Path) -> None:
    if directory.is_dir() and not directory.is_symlink():
        shutil.rmtree(directory)
    else:
        directory.unlink(missing_ok=True)


def run(argv: Sequence[str], request: BuildEnvironment) -> str:
    """What it wrote; raises Failure with its last words."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED_VARIABLES)}
    environment["UV_COMPILE_BYTECODE_TIMEOUT"] = f"{request.timeout_seconds:.0f}"
    try:
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=request.timeout_seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise Failure("tool", f"{argv[0]} took longer than {request.timeout_seconds:g} s") from error
    if done.returncode != 0:
        kind = "disk_full" if os.strerror(errno.ENOSPC) in done.stderr else "tool"
        raise Failure(kind, f"{argv[0]} ended with status {done.returncode}", done.stderr[-4000:])
    return done.stdout


def answer(request: object, payload: IO[bytes]) -> object:
    """``payload`` is what comes behind the request."""
    try:
        if isinstance(request, SurveyHost):
            return survey(request)
        if isinstance(request, ReceiveFiles):
            return receive(request, payload)
        assert isinstance(request, BuildEnvironment)
        return build(request)
    except Failure as failure:
        return ProvisionFailure(failure.kind, str(failure), failure.detail)
    except OSError as error:
        kind = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "system"
        return ProvisionFailure(kind, str(error), "")


def main(arguments: list[str]) -> int:
    stdin = sys.stdin.buffer
    request = decode_tagged(ENVIRONMENT_REQUESTS, "do", stdin.readline())
    done = answer(request, stdin)
    failed = isinstance(done, ProvisionFailure)
    sys.stdout.write(encode_line(done, event="failed" if failed else "done").decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
