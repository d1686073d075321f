"""Keys that stand twice in one mapping of a YAML file.

Ansible takes the last of them with a warning, and gives the same warning where a mapping says anew what it
merges (``<<: *site``), which is in order: so the files that it warns of are looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.errors import InventoryError

# As ansible-core 2.19 and later say it, and as earlier ones do.
_WARNED = (
    re.compile(r"duplicate mapping key .*?Origin: (.+?):\d+:\d+$", re.DOTALL | re.MULTILINE),
    re.compile(r"constructing a mapping from (.+?), line \d+, column \d+, found\s+a\s+duplicate", re.DOTALL),
)


def refuse_duplicates(stderr: str) -> None:
    """Raises InventoryError for a key that stands twice in a file that Ansible warns of in ``stderr``."""
    files = dict.fromkeys(name for pattern in _WARNED for name in pattern.findall(stderr))
    for file in map(Path, files):
        for key, line in duplicates(_text_of(file)):
            raise InventoryError(
                f"{file}: line {line}: duplicate mapping key '{key}'", remedy="Take one of the two out"
            )


def duplicates(text: str) -> Iterator[tuple[str, int]]:
    """(key, line of its second place) of each key that stands twice in one mapping; merges are none."""
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return  # Ansible has read it in another way
    waiting, seen = [one for one in documents if one is not None], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _twice_in(node)
            waiting += [one for pair in node.value for one in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _twice_in(node: yaml.MappingNode) -> Iterator[tuple[str, int]]:
    found: set[tuple[str, str]] = set()
    for key, _ in node.value:
        name = (key.tag, str(key.value))
        if name in found:
            yield str(key.value), key.start_mark.line + 1
        found.add(name)


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
