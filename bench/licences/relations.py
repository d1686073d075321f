"""What each package of a server's environment is there for: the server, or the test app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from bench.wire.installed import InstalledPackage

Relation = Literal["server", "needed", "beside", "app"]
"""The server's own package; what it requires; what its entry installs beside it, and what that requires (an
event loop, a parser); the test app's packages and what these alone require."""


def relations(
    packages: Sequence[InstalledPackage],
    server: str,
    app: Iterable[str],
    environment: Mapping[str, str],
) -> dict[str, Relation]:
    """By normalised name. ``environment`` is what markers see on the host."""
    by_name = {str(canonicalize_name(one.name)): one for one in packages if one.name}
    own = canonicalize_name(server)
    needed = _reached(by_name, (own,), environment)
    for_app = _reached(by_name, (canonicalize_name(one) for one in app), environment) - needed
    chosen = by_name.keys() - needed - for_app
    beside = _reached(by_name, chosen, environment) - needed
    found: dict[str, Relation] = {}
    for name in by_name:
        if name == own:
            found[name] = "server"
        elif name in needed:
            found[name] = "needed"
        else:
            found[name] = "beside" if name in beside else "app"
    return found


def _reached(
    packages: Mapping[str, InstalledPackage], roots: Iterable[str], environment: Mapping[str, str]
) -> set[str]:
    """``roots`` and all that they require, by what is installed."""
    waiting: list[tuple[str, str]] = [(name, "") for name in roots]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        name, extra = one
        if one in seen or name not in packages:
            continue
        seen.add(one)
        for requirement in _required(packages[name], extra, environment):
            required = canonicalize_name(requirement.name)
            waiting += [(required, more) for more in ("", *requirement.extras)]
    return {name for name, _ in seen}


def _required(package: InstalledPackage, extra: str, environment: Mapping[str, str]) -> Iterable[Requirement]:
    for text in package.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or marker.evaluate({**environment, "extra": extra}):
            yield requirement
