"""What `ansible-inventory --list` says of one file.

It is run as a program: its command line and JSON are stable, its Python interface isn't. It ends with status
0 on some broken input, so that it is told to be strict, and what it only warns of is an error here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import InventoryError
from inventory.duplicates import refuse_duplicates
from inventory.programs import PROGRAM, TIMEOUT_SECONDS, installed_programs, run_program

IMPLIED_GROUPS = ("all", "ungrouped")


class Listing(msgspec.Struct, frozen=True):
    """``groups``: every group's hosts, child groups' included. ``variables``: each host's, as Ansible merges
    those of its groups, files and plugins."""

    groups: dict[str, tuple[str, ...]]
    variables: dict[str, dict[str, Any]]


class AnsibleSaid(Exception):
    """Its own text in full, as the cause of the error that says it in a line: --debug shows it."""


def list_inventory(path: Path) -> Listing:
    """Run the program once on ``path``; raises InventoryError when it can't be run or read."""
    programs = installed_programs()
    if not programs:
        raise InventoryError(f"{PROGRAM} is not installed", remedy="Run ./invoke, which installs it")
    done = _run(programs, path)
    if done.returncode != 0:
        cause = _cause(path, done.stderr)
        raise InventoryError(
            f"{path}: {cause or f'{PROGRAM} ended with status {done.returncode}'}",
            remedy=_remedy(done.stderr),
            detail="" if cause else done.stderr[-4000:],
        ) from AnsibleSaid(done.stderr[-4000:])
    refuse_duplicates(done.stderr)
    skipped = re.search(r"Skipping (unexpected key .*|key .*|'.*)", done.stderr)
    if skipped:
        raise InventoryError(
            f"{path}: {' '.join(skipped.group(1).split())}",
            remedy="Correct the key, or take it out",
        ) from AnsibleSaid(done.stderr[-4000:])
    return parse_listing(path, done.stdout)


def parse_listing(path: Path, stdout: str) -> Listing:
    """The JSON of ``ansible-inventory --list``; raises InventoryError when it is something else."""
    try:
        raw = json.loads(stdout)
        variables = raw.pop("_meta")["hostvars"]
        # A group without a host has no entry of its own.
        names = dict.fromkeys(
            [*raw, *(child for group in raw.values() for child in group.get("children", ()))]
        )
        groups = {name: tuple(dict.fromkeys(_members(raw, name, set()))) for name in names}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InventoryError(
            f"{path}: the answer of {PROGRAM} can't be read ({type(error).__name__}: {error})",
            remedy=f"See what `{PROGRAM} --list -i {path}` prints",
            detail=stdout[-4000:],
        ) from error
    return Listing(groups, {host: _plain(values) for host, values in variables.items()})


def _members(raw: Mapping[str, Any], group: str, seen: set[str]) -> Iterator[str]:
    if group in seen:
        return
    seen.add(group)
    entry = raw.get(group, {})
    yield from entry.get("hosts", ())
    for child in entry.get("children", ()):
        yield from _members(raw, child, seen)


def _plain(value: Any) -> Any:
    """Without Ansible's wrapping of values that it must never template."""
    if isinstance(value, dict):
        if set(value) == {"__ansible_unsafe"}:
            return value["__ansible_unsafe"]
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _run(programs: Sequence[Path], path: Path) -> subprocess.CompletedProcess[str]:
    for number, program in enumerate(programs, start=1):
        try:
            done = run_program([str(program), "--list", "-i", str(path)])
        except subprocess.TimeoutExpired as error:
            raise InventoryError(
                f"{path}: {program} took longer than {TIMEOUT_SECONDS:g} s",
                remedy="See what its inventory plugin or script waits for",
            ) from error
        except OSError as error:
            if number == len(programs):
                raise InventoryError(
                    f"{path}: {program} can't be run ({error})", remedy="Install ansible-core anew"
                ) from error
            continue
        # A version manager's shim, or a script whose Python has gone, stands on PATH without being there.
        if done.returncode not in (126, 127) or number == len(programs):
            return done
    raise AssertionError("programs is empty")


def _cause(path: Path, stderr: str) -> str:
    """The one line that matters among every plugin's complaint, in one line; "" if none stands out."""
    complaints = re.findall(r"[Ff]ailed to parse .*?with '?([\w.]+)'? plugin: (.+)", stderr)
    telling = [(plugin, text) for plugin, text in complaints if "no root 'plugin' key" not in text]
    if path.suffix in (".yml", ".yaml", ".json"):
        telling = [one for one in telling if one[0] in ("auto", "yaml")] or telling
    else:
        telling = [one for one in telling if one[0] == "ini"] or telling
    if not telling:
        errors = re.findall(r"(?:\[ERROR\]|ERROR!?): *(.+)", stderr)
        return errors[0].strip() if errors else ""
    line = re.search(rf"Origin: {re.escape(str(path))}:(\d+)", stderr)
    where = f"line {line.group(1)}: " if line else ""
    return where + str(telling[0][1]).strip().rstrip(".")


def _remedy(stderr: str) -> str:
    if "vault" in stderr.lower():
        return "Name the file with the vault's password in ANSIBLE_VAULT_PASSWORD_FILE"
    if "unknown plugin" in stderr:
        return f"Install the plugin's collection for the {PROGRAM} on your PATH, with ansible-galaxy"
    return "Correct the file; inventory/cloud.example.yml shows the form"
