"""The locked version of a server, and its entry as it holds for that version."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bench.errors import CatalogueError, UsageError
from bench.spec import ServerSpec, VersionRange

FLAGS_WORD = "{flags}"
VERSION_WORD = "{version}"


class Lock(msgspec.Struct, frozen=True):
    """The parts of uv.lock that say which version of a package a group has."""

    # {group: {package: version}} of what each group asks for; "" where versions below has the only one.
    groups: dict[str, dict[str, str]]
    versions: dict[str, tuple[str, ...]]  # {package: every version in the lock}

    def version_of(self, spec: ServerSpec) -> str:
        """What the server's environment has of its package. Raises CatalogueError."""
        group = self.groups.get(spec.group)
        if group is None:
            raise CatalogueError(
                f"{spec.name}: uv.lock has no group {spec.group!r}",
                remedy="Add it to pyproject.toml, to the conflicts there too, and run `uv lock`",
            )
        stated = group.get(spec.package)
        if spec.requirements and not stated:
            raise CatalogueError(
                f"{spec.name}: its requirements lock more than one version of {spec.package}",
                remedy="Narrow the requirement to a version that has wheels for every Python",
            )
        found = self.versions.get(spec.package, ())
        if stated:
            return stated
        if len(found) == 1:
            return found[0]
        raise CatalogueError(
            f"{spec.name}: uv.lock does not say which {spec.package} is in {spec.group}",
            remedy=f"List {spec.package} in that group of pyproject.toml and run `uv lock`",
        )


def read_lock(path: Path) -> Lock:
    """Raises CatalogueError if it is not to be read."""
    try:
        packages = tomllib.loads(path.read_text(encoding="utf-8"))["package"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise CatalogueError(f"{path} can't be read ({error})", remedy="Run `uv lock`") from error
    versions: dict[str, tuple[str, ...]] = {}
    for package in packages:
        versions[package["name"]] = (*versions.get(package["name"], ()), str(package.get("version", "")))
    groups: dict[str, Any] = next(
        (one["dev-dependencies"] for one in packages if "dev-dependencies" in one), {}
    )
    return Lock(dict(_groups(groups)), versions)


def _groups(tables: Mapping[str, list[dict[str, Any]]]) -> Iterator[tuple[str, dict[str, str]]]:
    for group, requirements in tables.items():
        yield group, {one["name"]: one.get("version", "") for one in requirements}


def for_version(spec: ServerSpec, version: str) -> ServerSpec:
    """The entry with the flags, the configuration and the limits of this version of its package.

    Raises UsageError if it is outside every range of the entry.
    """
    title = spec.title.replace(VERSION_WORD, version)
    if not spec.version_ranges:
        return msgspec.structs.replace(spec, title=title)
    return msgspec.structs.replace(in_range(spec, _range_of(spec, version)), title=title)


def in_range(spec: ServerSpec, one: VersionRange) -> ServerSpec:
    """The entry as it holds for the versions of ``one``; no range is left in it."""
    command: list[str] = []
    for word in spec.command:
        command.extend(one.flags if word == FLAGS_WORD else (word,))
    return msgspec.structs.replace(
        spec,
        command=tuple(command),
        config_file=one.config_file or spec.config_file,
        unhonoured_settings=spec.unhonoured_settings | one.unhonoured_settings,
        version_ranges=(),
    )


def _range_of(spec: ServerSpec, version: str) -> VersionRange:
    for one in spec.version_ranges:
        if SpecifierSet(one.versions).contains(Version(version), prereleases=True):
            return one
    raise UsageError(
        f"{spec.name}: the catalogue does not know how to start {spec.package} {version}; it knows "
        f"{' and '.join(one.versions for one in spec.version_ranges)}",
        remedy="Lock one of these versions, or read the program's --help and add an entry to version_ranges",
    )
