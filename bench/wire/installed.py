"""Between the controller and installed.py on a host: what lies in environments, by its own metadata.

One request is a line on standard input, one answer a line on standard output.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadInstalled:
    """Answered with InstalledPackages. Nothing is imported or run of what is read."""

    directories: tuple[str, ...]  # of virtual environments, absolute


@dataclass(frozen=True, slots=True)
class LicenceFile:
    path: str  # within the distribution's .dist-info, without ``licenses/``
    text: str  # its beginning, if it is longer than a licence is


@dataclass(frozen=True, slots=True)
class CompiledFile:
    path: str  # from site-packages
    size_bytes: int


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One .dist-info as it lies there. A field that its metadata leave out is empty."""

    folder: str  # the name of its .dist-info
    name: str
    version: str
    requires: tuple[str, ...]  # each a Requires-Dist
    requires_python: str
    licence_expression: str  # License-Expression
    licence: str  # License, its lines as they stand
    classifiers: tuple[str, ...]
    licence_files: tuple[LicenceFile, ...]
    files: int  # of those that its RECORD names, the ones that are there; without bytecode
    size_bytes: int  # of these
    compiled: tuple[CompiledFile, ...]  # those of them that are machine code
    problems: tuple[str, ...]  # what of it can't be read, and why


@dataclass(frozen=True, slots=True)
class InstalledPackages:
    environments: dict[str, tuple[InstalledPackage, ...]]  # by directory
