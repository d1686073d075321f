"""The second way onto a host: our own files, the same tree there as here, in a folder named by its content.

What is there already is not sent again. A program of the tree is run by its module's name, with the tree on
PYTHONPATH.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from bench.environment.hosts import HostFacts
from bench.wire.environments import HostFile, SurveyHost
from remote.provision.supply import HostSupply
from remote.runner import Runner

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bench/wire", "remote/onhost", "loadgen/onhost", "testapp")
PACKAGES = ("bench", "remote", "loadgen")
SUFFIXES = (".py", ".sql")


class Shipped(msgspec.Struct, frozen=True):
    """Our own files on a host, below ``directory``."""

    directory: str
    changed: bool
    pushed_bytes: int


def shipped_program(python: str, directory: str, module: str) -> tuple[list[str], dict[str, str]]:
    """The command and the variables that run a program of the tree in ``directory`` on a host.

    Nothing of the user's own is imported: neither from their site-packages nor from the working folder.
    """
    return [python, "-s", "-P", "-m", module], {"PYTHONPATH": directory}


def travelling_files() -> dict[str, bytes]:
    """{path below the shipped folder: content} of all that runs on hosts."""
    packages = [ROOT / name / "__init__.py" for name in PACKAGES]
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sorted([*packages, *files])}


def ship(connection: Runner, facts: HostFacts, files: Mapping[str, bytes]) -> Shipped:
    """Have ``files`` (relative path: content) in one folder of the host, named by their content.

    What is there already is not sent again. A file that starts with ``#!`` can be run. Raises ProvisionError
    and DiskFull.
    """
    supply = HostSupply(connection, facts)
    shipped = shipped_files(facts, files)
    survey = supply.survey(SurveyHost((), None, (), tuple(file for file, _ in shipped)))
    missing = [(file, content) for file, content in shipped if file.path in survey.missing]
    pushed_bytes = supply.send(missing, None) if missing else 0
    return Shipped(ship_directory(facts, files), bool(missing), pushed_bytes)


def ship_directory(facts: HostFacts, files: Mapping[str, bytes]) -> str:
    """Where ``ship`` puts these files on the host. Raises ValueError for a path that leads out of it."""
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"not a relative path below the folder: {name!r}")
    contents = sorted((name, _sha256(content)) for name, content in files.items())
    return f"{facts.workdir}/ship/{short_hash(contents)}"


def shipped_files(facts: HostFacts, files: Mapping[str, bytes]) -> tuple[tuple[HostFile, bytes], ...]:
    """Each file as it is to lie on the host, with its content."""
    directory = ship_directory(facts, files)
    return tuple(
        (HostFile(f"{directory}/{name}", _sha256(content), len(content), content.startswith(b"#!")), content)
        for name, content in sorted(files.items())
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def short_hash(made_of: object) -> str:
    """For a folder's name: differs where anything differs that it is made of."""
    return _sha256(msgspec.json.encode(made_of))[:12]
