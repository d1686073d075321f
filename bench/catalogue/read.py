"""The catalogue: servers.toml and profiles.toml, with a user's own file added, as specs. Renders commands."""

from __future__ import annotations

import difflib
import re
import string
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bench.catalogue.versions import FLAGS_WORD, for_version
from bench.errors import CatalogueError, UsageError
from bench.plan.rate import parse_rates
from bench.spec import Profile, ServerSpec, Settings, VersionRange

APP = "testapp.app:app"
SERVERS_FILE = Path(__file__).with_name("servers.toml")
PROFILES_FILE = Path(__file__).with_name("profiles.toml")
FILE_KEYS = ("servers", "default_servers", "profiles")
ACCESS_LOG_WORD = "{access_log}"
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9.+-]*")  # it becomes part of folder names
ADDRESS_PLACEHOLDERS = ("app", "host", "bracketed_host", "escaped_host", "port", "workers")
# What every server is expected to do by itself: no flag, but those that don't say so in unhonoured_settings.
UNASKED_SETTINGS = ("tcp_nodelay",)
SETTING_PLACEHOLDERS = ("loop", "http_parser", "backlog", "keep_alive_seconds")

Entry = TypeVar("Entry", ServerSpec, Profile)


class Catalogue(msgspec.Struct, frozen=True):
    """The servers that can be compared, in the order of the files; ``defaults`` when none is chosen."""

    servers: tuple[ServerSpec, ...]
    defaults: tuple[str, ...]

    def server(self, name: str) -> ServerSpec:
        """Raises UsageError naming the nearest."""
        for spec in self.servers:
            if spec.name == name:
                return spec
        names = [spec.name for spec in self.servers]
        nearest = difflib.get_close_matches(name, names, n=1)
        guess = f"did you mean {nearest[0]}? " if nearest else ""
        raise UsageError(f"there is no server {name!r}", remedy=f"{guess}There are {', '.join(names)}")


def load_catalogue(endpoints: Collection[str], extra: Path | None = None) -> Catalogue:
    """What is shipped, and what the user's own file adds. Its ``default_servers`` replace ours.

    ``endpoints`` are the names that an entry may have as unsupported.

    Raises CatalogueError naming the file and the entry.
    """
    servers: dict[str, ServerSpec] = {}
    defaults: tuple[str, ...] = ()
    for path in _files(SERVERS_FILE, extra):
        content = _read(path)
        for name, table in _tables(content, "servers", path):
            spec = _entry(name, _completed(name, table, servers, path), ServerSpec, path)
            _check_server(spec, endpoints, path)
            _check_family(spec, servers, path)
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
            _check_profile(profile, path)
            _add(profiles, profile, path)
    return profiles


def command_of(
    spec: ServerSpec,
    *,
    host: str,
    port: int,
    workers: int,
    config_path: PurePosixPath | str,
    program_directory: PurePosixPath | str,
) -> tuple[str, ...]:
    """The argument vector that starts the server, on any host.

    ``host`` is an address without brackets; ``config_path`` is where ``config_text`` is written;
    ``program_directory`` has the programs of the server's environment. The server needs the folder that holds
    ``testapp`` as its working directory or in PYTHONPATH.
    Raises UsageError for more workers than the server runs.
    """
    if spec.max_workers is not None and workers > spec.max_workers:
        raise UsageError(
            f"{spec.name} runs {spec.max_workers} worker process(es) at most, not {workers}",
            remedy="choose fewer workers",
        )
    values = _values(spec, host, port, workers, str(config_path))
    program, *arguments = _with_access_log(spec)
    path = PurePosixPath(program_directory) / program
    return (str(path), *(argument.format_map(values) for argument in arguments))


def config_text(spec: ServerSpec, *, host: str, port: int, workers: int) -> str:
    """What is to be written to ``config_path`` before the start; empty where the server needs none."""
    return spec.config_file.format_map(_values(spec, host, port, workers, ""))


def _values(spec: ServerSpec, host: str, port: int, workers: int, config_path: str) -> dict[str, str | int]:
    settings: dict[str, str | int] = msgspec.structs.asdict(spec.settings)
    return settings | {
        "app": APP,
        "host": host,
        "bracketed_host": f"[{host}]" if ":" in host else host,
        "escaped_host": host.replace(":", r"\:"),
        "port": port,
        "workers": workers,
        "config_file": config_path,
    }


def _with_access_log(spec: ServerSpec) -> Iterator[str]:
    for word in spec.command:
        if word == ACCESS_LOG_WORD:
            yield from spec.access_log_on if spec.settings.access_log else spec.access_log_off
        else:
            yield word


def _files(shipped: Path, extra: Path | None) -> tuple[Path, ...]:
    return (shipped,) if extra is None else (shipped, extra)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path} can't be read ({error.strerror})", remedy="see its path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path} is not TOML ({error})", remedy="mend it there") from error
    for key in content:
        if key not in FILE_KEYS:
            raise CatalogueError(f"{path}: unknown key {key!r}", remedy=f"it takes {', '.join(FILE_KEYS)}")
    return content


def _tables(content: dict[str, Any], key: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    tables = content.get(key, {})
    if not isinstance(tables, dict):
        raise CatalogueError(f"{path}: {key} is no table", remedy=f"write each entry as [{key}.NAME]")
    for name, table in tables.items():
        if NAME_PATTERN.fullmatch(name) is None:
            raise CatalogueError(
                f"{path}: {name!r} is no name",
                remedy="use small letters, digits, '.', '+' and '-', beginning with a letter or a digit",
            )
        if not isinstance(table, dict) or "name" in table:
            raise CatalogueError(
                f"{path}: {name} must be a table without a key 'name'", remedy="mend it there"
            )
        yield name, table


def _completed(
    name: str, table: dict[str, Any], servers: Mapping[str, ServerSpec], path: Path
) -> dict[str, Any]:
    """With what it takes over from the entry that it is ``like``."""
    if "like" not in table:
        return table
    model = servers.get(table["like"]) if isinstance(table["like"], str) else None
    if model is None:
        raise CatalogueError(
            f"{path}: {name}: there is no server {table['like']!r} to be like",
            remedy=f"before it there are {', '.join(servers)}",
        )
    own = {field: value for field, value in table.items() if field != "like"}
    taken: dict[str, Any] = {**msgspec.to_builtins(model), "title": ""}
    if isinstance(own.get("settings"), dict):
        own["settings"] = taken["settings"] | own["settings"]
    return {field: value for field, value in (taken | own).items() if field != "name"}


def _entry(name: str, table: dict[str, Any], kind: type[Entry], path: Path) -> Entry:
    try:
        return msgspec.convert({"name": name, **table}, kind)
    except msgspec.ValidationError as error:
        fields = ", ".join(field for field in kind.__struct_fields__ if field != "name")
        raise CatalogueError(f"{path}: {name}: {error}", remedy=f"it takes {fields}") from error


def _add(entries: dict[str, Entry], entry: Entry, path: Path) -> None:
    if entry.name in entries:
        raise CatalogueError(
            f"{path}: {entry.name} is in the catalogue already", remedy="give yours another name"
        )
    entries[entry.name] = entry


def _default_names(content: dict[str, Any], servers: Collection[str], path: Path) -> tuple[str, ...]:
    try:
        names = msgspec.convert(content.get("default_servers", ()), tuple[str, ...])
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{path}: default_servers: {error}", remedy="list names of servers") from error
    for name in names:
        if name not in servers:
            raise CatalogueError(
                f"{path}: default_servers: there is no server {name!r}",
                remedy=f"there are {', '.join(servers)}",
            )
    return names


def _check_server(spec: ServerSpec, endpoints: Collection[str], path: Path) -> None:
    if not spec.command or not spec.environment_group:
        raise CatalogueError(
            f"{path}: {spec.name} has an empty command or environment_group", remedy="say how it is started"
        )
    _check_ranges(spec, path)
    for one in spec.version_ranges:
        _check_filled(_in_range(spec, one), path)
    if not spec.version_ranges:
        _check_filled(spec, path)
    _check_keys(spec, "unsupported_endpoints", spec.unsupported_endpoints, set(endpoints), path)


def _in_range(spec: ServerSpec, one: VersionRange) -> ServerSpec:
    every = msgspec.structs.replace(one, versions="")
    return for_version(msgspec.structs.replace(spec, version_ranges=(every,)), "0")


def _check_ranges(spec: ServerSpec, path: Path) -> None:
    if (FLAGS_WORD in spec.command) != any(one.flags for one in spec.version_ranges):
        raise CatalogueError(
            f"{path}: {spec.name}: flags of a version range must have a place in the command",
            remedy=f"write both flags and the whole word {FLAGS_WORD}, or neither",
        )
    for one in spec.version_ranges:
        try:
            SpecifierSet(one.versions)
        except InvalidSpecifier as error:
            raise CatalogueError(
                f"{path}: {spec.name}: {error}", remedy='write versions as ">=0.22,<0.30"'
            ) from error


def _check_family(spec: ServerSpec, servers: Mapping[str, ServerSpec], path: Path) -> None:
    """An entry of another set stands beside one of the current set, so that --set finds it."""
    if spec.family and (spec.version_set == "current" or spec.family not in servers):
        raise CatalogueError(
            f"{path}: {spec.name}: family {spec.family!r} with version_set {spec.version_set!r}",
            remedy="family is for the set paper: it names the server before it that this one stands beside",
        )
    for other in servers.values():
        if spec.family and (other.family, other.version_set) == (spec.family, spec.version_set):
            raise CatalogueError(
                f"{path}: {spec.name}: {other.name} stands beside {spec.family} already",
                remedy="leave family out, and choose yours by its name",
            )


def _check_filled(spec: ServerSpec, path: Path) -> None:
    """As it is started by some version."""
    used = _placeholders(spec, path)
    _check_settings(spec, used, path)
    if ("config_file" in used) != bool(spec.config_file):
        raise CatalogueError(
            f"{path}: {spec.name}: a config_file must have a text, and a place in the command",
            remedy="write both config_file and {config_file}, or neither",
        )


def _check_settings(spec: ServerSpec, used: set[str], path: Path) -> None:
    """No setting is dropped without a word."""
    fields = Settings.__struct_fields__
    known = {*fields, *UNASKED_SETTINGS}
    _check_keys(spec, "unhonoured_settings", spec.unhonoured_settings, known, path)
    for field in fields:
        if field in used or field in spec.unhonoured_settings or getattr(spec.settings, field) == "":
            continue
        raise CatalogueError(
            f"{path}: {spec.name}: the setting {field} reaches neither its command nor its config_file",
            remedy=f"use {{{field}}} there, or say in unhonoured_settings what the server does instead",
        )


def _check_keys(spec: ServerSpec, field: str, keys: Iterable[str], known: set[str], path: Path) -> None:
    for key in keys:
        if key not in known:
            raise CatalogueError(
                f"{path}: {spec.name}: {field}: there is no {key!r}",
                remedy=f"there are {', '.join(sorted(known))}",
            )


def _placeholders(spec: ServerSpec, path: Path) -> set[str]:
    known = {*ADDRESS_PLACEHOLDERS, *SETTING_PLACEHOLDERS}
    used: set[str] = set()
    for text in (*spec.command, *spec.access_log_on, *spec.access_log_off):
        if text == ACCESS_LOG_WORD:
            used.add("access_log")
        else:
            used |= _placeholders_in(text, known | {"config_file"}, spec, path)
    return used | _placeholders_in(spec.config_file, known, spec, path)


def _placeholders_in(text: str, known: set[str], spec: ServerSpec, path: Path) -> set[str]:
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise CatalogueError(
            f"{path}: {spec.name}: {text!r}: {error}", remedy="double the braces that are no placeholder"
        ) from error
    for name in names - known:
        raise CatalogueError(
            f"{path}: {spec.name}: unknown placeholder {{{name}}} in {text!r}",
            remedy=f"there are {', '.join(sorted(known))}, and the whole word {ACCESS_LOG_WORD}",
        )
    return names


def _check_profile(profile: Profile, path: Path) -> None:
    counts = {
        "connections": profile.connections,
        "warmup_seconds": profile.warmup_seconds,
        "window_seconds": profile.window_seconds,
        "blocks": profile.blocks,
        "load_workers": 1 if profile.load_workers is None else profile.load_workers,
        "load_workers_in_all": 1 if profile.load_workers_in_all is None else profile.load_workers_in_all,
        "clients": len(profile.clients),
        "load_on": len(profile.load_on),
        "server_workers": min(profile.server_workers, default=0),
    }
    rests = {
        "idle_rest_seconds": profile.idle_rest_seconds,
        "after_rest_seconds": profile.after_rest_seconds,
    }
    wrong = [field for field, count in counts.items() if count < 1]
    wrong += [field for field, seconds in rests.items() if seconds < 0]
    if wrong:
        raise CatalogueError(f"{path}: {profile.name}: {', '.join(wrong)} too small", remedy="mend it there")
    try:
        parse_rates(profile.rates)
    except UsageError as error:
        raise CatalogueError(f"{path}: {profile.name}: {error.message}", remedy=error.remedy) from error
