"""Reads what lies in virtual environments from its own metadata. Standard library only.

It comes over the connection's standard input (remote/bootstrap.py) and reads files alone: neither the
environments' Python nor a line of what is installed there is run, so that it takes some 50 ms an environment.
Damaged metadata are no error: what can't be read is said in the package's ``problems``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from bench.wire.codec import decode_line, encode_line
from bench.wire.installed import (
    CompiledFile,
    InstalledPackage,
    InstalledPackages,
    LicenceFile,
    ReadInstalled,
)

LICENCE_NAMES = ("licen", "copying", "unlicen", "notice")
"""How the name of a licence file begins, in small letters."""
LICENCE_BYTES = 64 * 1024
LICENCES_AT_MOST = 50  # of a package
MACHINE_CODE = (".so", ".dylib", ".pyd")


def packages_of(directory: Path) -> tuple[InstalledPackage, ...]:
    """In the order of their names. None where the folder holds no environment."""
    folders = sorted(directory.glob("lib/python*/site-packages/*.dist-info"))
    return tuple(package_of(folder) for folder in folders if folder.is_dir())


def package_of(folder: Path) -> InstalledPackage:
    head, problems = metadata_of(folder)
    files, missing = recorded_files(folder)
    if missing:
        problems += (missing,)
    sizes = [(path, size) for path, size in files if not path.endswith(".pyc")]
    return InstalledPackage(
        folder=folder.name,
        name=field(head, "Name"),
        version=field(head, "Version"),
        requires=fields(head, "Requires-Dist"),
        requires_python=field(head, "Requires-Python"),
        licence_expression=field(head, "License-Expression"),
        licence=field(head, "License"),
        classifiers=fields(head, "Classifier"),
        licence_files=tuple(licence_files(folder, fields(head, "License-File"))),
        files=len(sizes),
        size_bytes=sum(size for _, size in sizes),
        compiled=tuple(CompiledFile(path, size) for path, size in sizes if is_machine_code(path)),
        problems=problems,
    )


def metadata_of(folder: Path) -> tuple[Message, tuple[str, ...]]:
    """The fields before the description, with what is wrong with them."""
    try:
        raw = (folder / "METADATA").read_bytes()
    except OSError as error:
        return Message(), (f"METADATA can't be read: {error.strerror}",)
    problems = []
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        problems.append("METADATA is not in UTF-8")
    head = HeaderParser().parsestr(text)
    problems += [f"METADATA has no {name}" for name in ("Name", "Version") if not field(head, name)]
    return head, tuple(problems)


def field(head: Message, name: str) -> str:
    """The first of that name, its lines without their indentation."""
    lines = str(head.get(name, "")).strip().splitlines()
    return "\n".join(line.strip().removeprefix("|") for line in lines)


def fields(head: Message, name: str) -> tuple[str, ...]:
    return tuple(" ".join(str(value).split()) for value in head.get_all(name, []))


def licence_files(folder: Path, named: tuple[str, ...]) -> Iterator[LicenceFile]:
    """Those that the metadata name, and those that are named like licences."""
    found = {}
    for root in (folder, folder / "licenses"):
        for path in (root / name for name in named):
            # A name must not lead out of the folder.
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                found[path.relative_to(root).as_posix()] = path
    for path in sorted(folder.rglob("*")):
        if path.name.lower().startswith(LICENCE_NAMES) and path.is_file():
            found.setdefault(path.relative_to(folder).as_posix().removeprefix("licenses/"), path)
    for name in sorted(found)[:LICENCES_AT_MOST]:
        with found[name].open("rb") as file:
            yield LicenceFile(name, file.read(LICENCE_BYTES).decode("utf-8", "replace"))


def recorded_files(folder: Path) -> tuple[list[tuple[str, int]], str]:
    """(path from site-packages, size in bytes) of what RECORD names and is there; what is wrong with it."""
    try:
        text = (folder / "RECORD").read_text("utf-8", "replace")
    except OSError as error:
        return [], f"RECORD can't be read: {error.strerror}"
    found, missing = [], 0
    for row in csv.reader(text.splitlines()):
        if not row or not row[0]:
            continue
        try:
            found.append((row[0], (folder.parent / row[0]).stat().st_size))
        except (OSError, ValueError):
            missing += 1
    return found, f"files that RECORD names and are missing: {missing}" if missing else ""


def is_machine_code(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(MACHINE_CODE) or ".so." in name


def main(arguments: list[str]) -> int:
    request = decode_line(ReadInstalled, sys.stdin.buffer.readline())
    found = {directory: packages_of(Path(directory)) for directory in request.directories}
    sys.stdout.write(encode_line(InstalledPackages(found)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
