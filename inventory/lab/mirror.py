"""The Debian mirror that this machine already uses, read from its apt sources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

RELEASE_NAMES = frozenset({"stable", "oldstable", "testing"})
ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$")


class AptSource(msgspec.Struct, frozen=True):
    """One place that apt fetches from."""

    uri: str
    suite: str
    components: tuple[str, ...]


def find_mirror(etc: Path = Path("/etc")) -> str | None:
    """The mirror this Debian system uses, else None."""
    os_release = etc / "os-release"
    files = [etc / "apt" / "sources.list", *sorted((etc / "apt" / "sources.list.d").glob("*"))]
    texts = {
        file.name: file.read_text()
        for file in files
        if file.suffix in {".list", ".sources"} and file.is_file()
    }
    return debian_mirror(os_release.read_text() if os_release.exists() else "", texts)


def debian_mirror(os_release: str, sources: Mapping[str, str]) -> str | None:
    """The first source of Debian's own main archive; ``sources``: file name -> text of apt's source files.

    An archive that others made for Debian has another path, suite or component, and is passed over.
    """
    facts = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    if facts.get("ID") != "debian":
        return None
    suites = RELEASE_NAMES | {facts.get("VERSION_CODENAME", "").strip('"')}
    for name, text in sources.items():
        for source in parse_deb822(text) if name.endswith(".sources") else parse_one_line(text):
            parts = urlsplit(source.uri)
            is_archive = parts.scheme in {"http", "https"} and parts.path.rstrip("/").endswith("/debian")
            if is_archive and source.suite in suites and "main" in source.components:
                return source.uri.rstrip("/")
    return None


def parse_one_line(text: str) -> Iterator[AptSource]:
    """The sources of a ``.list`` file."""
    for line in text.splitlines():
        found = ONE_LINE.match(line.split("#", 1)[0].strip())
        if found:
            yield AptSource(found[1], found[2], tuple(found[3].split()))


def parse_deb822(text: str) -> Iterator[AptSource]:
    """The sources of a ``.sources`` file."""
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, list[str]] = {}
        for line in stanza.splitlines():
            key, colon, value = line.partition(":")
            if colon and not line.startswith(("#", " ", "\t")):
                fields[key.strip().lower()] = value.split()
        if fields.get("enabled") == ["no"] or "deb" not in fields.get("types", []):
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield AptSource(uri, suite, tuple(fields.get("components", [])))
