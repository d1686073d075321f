"""The catalogue: servers.toml and profiles.toml, with a user's own file added, as specs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.catalogue.checks import check_family, check_profile, check_server
from bench.catalogue.serving import LISTEN_WORD, PROTOCOL_WORD
from bench.errors import CatalogueError, UsageError
from bench.nearest import guess, nearest
from bench.spec import Profile, ServerSpec

SERVERS_FILE = Path(__file__).with_name("servers.toml")
PROFILES_FILE = Path(__file__).with_name("profiles.toml")
FILE_KEYS = ("servers", "default_servers", "profiles")
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9.+-]*")  # it becomes part of folder names

Entry = TypeVar("Entry", ServerSpec, Profile)


class Catalogue(msgspec.Struct, frozen=True):
    """The servers that can be compared."""

    servers: tuple[ServerSpec, ...]  # in the order of the files
    defaults: tuple[str, ...]  # names of those that are taken when none is chosen

    def server(self, name: str) -> ServerSpec:
        """The entry of that name. Raises UsageError that names the nearest one."""
        for spec in self.servers:
            if spec.name == name:
                return spec
        names = [spec.name for spec in self.servers]
        raise UsageError(
            f"there is no server {name!r}", remedy=f"{guess(name, names)}There are {', '.join(names)}"
        )


def load_catalogue(endpoints: Collection[str], extra: Path | None = None) -> Catalogue:
    """The shipped servers and those of the user's own file, whose ``default_servers`` replace ours.

    ``endpoints`` are the names that an entry may have as unsupported.

    Raises CatalogueError naming the file and the entry.
    """
    servers: dict[str, ServerSpec] = {}
    defaults: tuple[str, ...] = ()
    for path in _files(SERVERS_FILE, extra):
        content = _read(path)
        for name, table in _tables(content, "servers", path):
            spec = _entry(name, _completed(name, table, servers, path), ServerSpec, path)
            check_server(spec, endpoints, path)
            check_family(spec, servers, path)
            _add(servers, spec, path)
        defaults = _default_names(content, servers, path) or defaults
    return Catalogue(tuple(servers.values()), defaults)


def load_profiles(extra: Path | None = None) -> dict[str, Profile]:
    """The profiles that are shipped, and those of the user's own file (the same as for servers), by name.

    Raises CatalogueError naming the file and the entry.
    """
    profiles: dict[str, Profile] = {}
    for path in _files(PROFILES_FILE, extra):
        for name, table in _tables(_read(path), "profiles", path):
            profile = _entry(name, table, Profile, path)
            check_profile(profile, path)
            _add(profiles, profile, path)
    return profiles


def _files(shipped: Path, extra: Path | None) -> tuple[Path, ...]:
    return (shipped,) if extra is None else (shipped, extra)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(
            f"the catalogue {path} can't be read ({error.strerror})",
            remedy="Give --catalogue the path of a TOML file; docs/catalogue.md shows one",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path} is not TOML ({error})", remedy="Correct it there") from error
    for key in content:
        if key not in FILE_KEYS:
            raise CatalogueError(f"{path}: unknown key {key!r}", remedy=f"It takes {', '.join(FILE_KEYS)}")
    return content


def _tables(content: dict[str, Any], key: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    tables = content.get(key, {})
    if not isinstance(tables, dict):
        raise CatalogueError(f"{path}: {key} is no table", remedy=f"Write each entry as [{key}.NAME]")
    for name, table in tables.items():
        if NAME_PATTERN.fullmatch(name) is None:
            raise CatalogueError(
                f"{path}: {name!r} is no name",
                remedy="Use small letters, digits, '.', '+' and '-', beginning with a letter or a digit",
            )
        if not isinstance(table, dict) or "name" in table:
            raise CatalogueError(
                f"{path}: {name} must be a table without a key 'name'", remedy="Correct it there"
            )
        yield name, table


def _completed(
    name: str, table: dict[str, Any], servers: Mapping[str, ServerSpec], path: Path
) -> dict[str, Any]:
    """The table with what it takes over from the entry that it is ``like``. Raises CatalogueError."""
    if "like" not in table:
        return table
    model = servers.get(table["like"]) if isinstance(table["like"], str) else None
    if model is None:
        raise CatalogueError(
            f"{path}: {name}: there is no server {table['like']!r} to be like",
            remedy=f"Before it there are {', '.join(servers)}",
        )
    own = {field: value for field, value in table.items() if field != "like"}
    taken: dict[str, Any] = {**msgspec.to_builtins(model), "title": "", "set_up": ""}
    taken |= _serving_taken(model, own)
    if own.keys() & {"environment_group", "requirements"}:
        taken |= {"environment_group": "", "requirements": ()}
    if isinstance(own.get("settings"), dict):
        own["settings"] = taken["settings"] | own["settings"]
    return {field: value for field, value in (taken | own).items() if field != "name"}


def _serving_taken(model: ServerSpec, own: Mapping[str, Any]) -> dict[str, Any]:
    """What is taken over of how the model serves: nothing that another command or environment may lack."""
    taken: dict[str, Any] = {}
    if "command" in own and LISTEN_WORD not in own["command"]:
        taken["listen"] = {}
    if "command" in own and PROTOCOL_WORD not in own["command"]:
        taken["protocols"] = {}
        return taken
    is_elsewhere = bool(own.keys() & {"environment_group", "requirements"})
    taken["protocols"] = {
        name: msgspec.to_builtins(setup)
        for name, setup in model.protocols.items()
        if (name == "http/1.1" or not is_elsewhere) and not (setup.config_file and "config_file" in own)
    }
    return taken


def _entry(name: str, table: dict[str, Any], kind: type[Entry], path: Path) -> Entry:
    try:
        return msgspec.convert({"name": name, **table}, kind)
    except msgspec.ValidationError as error:
        fields = [field for field in kind.__struct_fields__ if field != "name"]
        fields += ["like"] if kind is ServerSpec else []
        wrong = next((field for field in table if field not in fields), "")
        meant = nearest(wrong, fields) if wrong else ""
        raise CatalogueError(
            f"{path}: {name}: {error}",
            remedy=(f"Did you mean {meant}? " if meant else "") + f"It takes {', '.join(fields)}",
        ) from error


def _add(entries: dict[str, Entry], entry: Entry, path: Path) -> None:
    if entry.name in entries:
        raise CatalogueError(
            f"{path}: {entry.name} is in the catalogue already", remedy="Give yours another name"
        )
    entries[entry.name] = entry


def _default_names(content: dict[str, Any], servers: Collection[str], path: Path) -> tuple[str, ...]:
    try:
        names = msgspec.convert(content.get("default_servers", ()), tuple[str, ...])
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{path}: default_servers: {error}", remedy="List names of servers") from error
    for name in names:
        if name not in servers:
            raise CatalogueError(
                f"{path}: default_servers: there is no server {name!r}",
                remedy=f"There are {', '.join(servers)}",
            )
    return names
