"""What an entry must have to be used: checked as it is read, before any host is touched."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Mapping
from itertools import product
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from bench.catalogue.command import (
    ACCESS_LOG_WORD,
    ADDRESS_PLACEHOLDERS,
    SETTING_PLACEHOLDERS,
    TRANSPORT_PLACEHOLDERS,
)
from bench.catalogue.serving import LISTEN_WORD, PROTOCOL_WORD, for_serving, servings
from bench.catalogue.versions import FLAGS_WORD, in_range
from bench.clients import CLIENTS
from bench.errors import CatalogueError, UsageError
from bench.plan.rate import parse_rates
from bench.plan.serving import check_protocol
from bench.spec import Profile, ServerSpec, Serving, Settings

# No setting is for these: each server is expected to have them on (HTTP/1.1 as the protocol), and one that
# hasn't says so in unhonoured_settings.
UNASKED_SETTINGS = ("tcp_nodelay", "keep_alive", "protocol")


def check_server(spec: ServerSpec, endpoints: Collection[str], path: Path) -> None:
    """``endpoints`` are the names that may be unsupported.

    Raises CatalogueError naming ``path``, the entry and what to write instead.
    """
    if not spec.command:
        raise CatalogueError(f"{path}: {spec.name} has an empty command", remedy="Say how it is started")
    _check_environment(spec, path)
    _check_ranges(spec, path)
    _check_serving(spec, path)
    resolved = [in_range(spec, one) for one in spec.version_ranges] or [spec]
    for one, serving in product(resolved, servings(spec)):
        _check_filled(for_serving(one, serving), serving, path)
    _check_keys(spec, "unsupported_endpoints", spec.unsupported_endpoints, set(endpoints), path)


def _check_environment(spec: ServerSpec, path: Path) -> None:
    if bool(spec.environment_group) == bool(spec.requirements):
        raise CatalogueError(
            f"{path}: {spec.name} must have an environment_group or requirements, not both",
            remedy='Name a group of pyproject.toml, or write requirements = ["PACKAGE>=VERSION"]',
        )
    names = _named_packages(spec, spec.requirements, path)
    if names and spec.package not in names:
        raise CatalogueError(
            f"{path}: {spec.name}: the package {spec.package!r} is not among its requirements",
            remedy=f"Add it there; requirements name {', '.join(names)}",
        )


def _named_packages(spec: ServerSpec, requirements: Iterable[str], path: Path) -> list[str]:
    """The packages that the requirements ask for, normalised. Raises CatalogueError."""
    names: list[str] = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise CatalogueError(
                f"{path}: {spec.name}: {text!r} is no requirement ({str(error).splitlines()[0]})",
                remedy='Write each as "PACKAGE>=VERSION"',
            ) from error
        if requirement.url:
            raise CatalogueError(
                f"{path}: {spec.name}: {text!r} names a URL, and wheels come from a package index alone",
                remedy='Write it as "PACKAGE>=VERSION", and set an index that has it with `pip config`',
            )
        names.append(canonicalize_name(requirement.name))
    return names


def _check_serving(spec: ServerSpec, path: Path) -> None:
    """Tables of what it serves have their places in the command, and environments of its own kind."""
    if (LISTEN_WORD in spec.command) != bool(spec.listen):
        raise CatalogueError(
            f"{path}: {spec.name}: listen must have a place in the command",
            remedy=f"Write both listen and the whole word {LISTEN_WORD}, or neither",
        )
    if PROTOCOL_WORD not in spec.command and any(one.flags for one in spec.protocols.values()):
        raise CatalogueError(
            f"{path}: {spec.name}: flags of protocols must have a place in the command",
            remedy=f"Write the whole word {PROTOCOL_WORD} there",
        )
    if spec.listen and "tcp" not in spec.listen:
        raise CatalogueError(
            f"{path}: {spec.name}: listen has no tcp, on which every server is measured",
            remedy="Say there how it listens on plain TCP",
        )
    for name, setup in spec.protocols.items():
        if setup.environment_group and spec.requirements:
            raise CatalogueError(
                f"{path}: {spec.name}: protocols: {name} has an environment_group, not requirements",
                remedy="The server has requirements: write there those that it takes besides",
            )
        if setup.requirements and spec.environment_group:
            raise CatalogueError(
                f"{path}: {spec.name}: protocols: {name} has requirements, not an environment_group",
                remedy="The server has an environment_group: name another one there",
            )
        _named_packages(spec, setup.requirements, path)


def _check_ranges(spec: ServerSpec, path: Path) -> None:
    if (FLAGS_WORD in spec.command) != any(one.flags for one in spec.version_ranges):
        raise CatalogueError(
            f"{path}: {spec.name}: flags of a version range must have a place in the command",
            remedy=f"Write both flags and the whole word {FLAGS_WORD}, or neither",
        )
    for one in spec.version_ranges:
        try:
            SpecifierSet(one.versions)
        except InvalidSpecifier as error:
            raise CatalogueError(
                f"{path}: {spec.name}: {error}", remedy='Write versions as ">=0.22,<0.30"'
            ) from error


def check_family(spec: ServerSpec, servers: Mapping[str, ServerSpec], path: Path) -> None:
    """An entry of another set names one of the current set, so that --set finds it. Raises CatalogueError."""
    if spec.family and (spec.version_set == "current" or spec.family not in servers):
        raise CatalogueError(
            f"{path}: {spec.name}: family {spec.family!r} with version_set {spec.version_set!r}",
            remedy="Use family in the set paper only: it names an entry before it, of the current set",
        )
    for other in servers.values():
        if spec.family and (other.family, other.version_set) == (spec.family, spec.version_set):
            raise CatalogueError(
                f"{path}: {spec.name}: {other.name} stands beside {spec.family} already",
                remedy="Leave family out, and choose yours by its name",
            )


def _check_filled(spec: ServerSpec, serving: Serving, path: Path) -> None:
    """``spec`` is the entry as it holds for one range of versions, serving so."""
    used = _placeholders(spec, serving, path)
    _check_settings(spec, used, path)
    if ("config_file" in used) != bool(spec.config_file):
        raise CatalogueError(
            f"{path}: {spec.name}: a config_file must have a text, and a place in the command",
            remedy="Write both config_file and {config_file}, or neither",
        )


def _check_settings(spec: ServerSpec, used: set[str], path: Path) -> None:
    """Each setting is used, or the entry says what the server does instead."""
    fields = Settings.__struct_fields__
    known = {*fields, *UNASKED_SETTINGS}
    _check_keys(spec, "unhonoured_settings", spec.unhonoured_settings, known, path)
    for field in fields:
        if field in used or field in spec.unhonoured_settings or getattr(spec.settings, field) == "":
            continue
        raise CatalogueError(
            f"{path}: {spec.name}: the setting {field} reaches neither its command nor its config_file",
            remedy=f"Use {{{field}}} there, or say in unhonoured_settings what the server does instead",
        )


def _check_keys(spec: ServerSpec, field: str, keys: Iterable[str], known: set[str], path: Path) -> None:
    for key in keys:
        if key not in known:
            raise CatalogueError(
                f"{path}: {spec.name}: {field}: there is no {key!r}",
                remedy=f"There are {', '.join(sorted(known))}",
            )


def _placeholders(spec: ServerSpec, serving: Serving, path: Path) -> set[str]:
    known = {*ADDRESS_PLACEHOLDERS, *SETTING_PLACEHOLDERS, *TRANSPORT_PLACEHOLDERS[serving.transport]}
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
            f"{path}: {spec.name}: {text!r}: {error}", remedy="Double the braces that are no placeholder"
        ) from error
    for name in names - known:
        raise CatalogueError(
            f"{path}: {spec.name}: unknown placeholder {{{name}}} in {text!r}",
            remedy=f"There are {', '.join(sorted(known))}, and the whole word {ACCESS_LOG_WORD}",
        )
    return names


def check_profile(profile: Profile, path: Path) -> None:
    """Raises CatalogueError for an unknown client, and for a count or a rate that measures nothing."""
    counts = {
        "connections": profile.connections,
        "warmup_seconds": profile.warmup_seconds,
        "window_seconds": profile.window_seconds,
        "blocks": profile.blocks,
        "load_workers": 1 if profile.load_workers is None else profile.load_workers,
        "load_workers_in_all": 1 if profile.load_workers_in_all is None else profile.load_workers_in_all,
        "clients": len(profile.clients),
        "load_on": len(profile.load_on),
        "tls": len(profile.tls),
        "protocols": len(profile.protocols),
        "server_workers": min(profile.server_workers, default=0),
        "balancers": len(profile.balancers),
    }
    rests = {
        "idle_rest_seconds": profile.idle_rest_seconds,
        "after_rest_seconds": profile.after_rest_seconds,
    }
    wrong = [field for field, count in counts.items() if count < 1]
    wrong += [field for field, seconds in rests.items() if seconds < 0]
    if wrong:
        raise CatalogueError(
            f"{path}: {profile.name}: {', '.join(wrong)} too small", remedy="Correct it there"
        )
    unknown = [name for name in profile.clients if name not in CLIENTS]
    if unknown:
        raise CatalogueError(
            f"{path}: {profile.name}: there is no client {', '.join(unknown)}",
            remedy=f"There are {', '.join(CLIENTS)}",
        )
    try:
        parse_rates(profile.rates)
        for name in profile.protocols:
            check_protocol(name)
    except UsageError as error:
        raise CatalogueError(f"{path}: {profile.name}: {error.message}", remedy=error.remedy) from error
