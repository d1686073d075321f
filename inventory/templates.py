"""Values that `ansible-inventory` leaves as they stand, filled in by Ansible: templates and inline vaults.

`ansible HOSTS -m debug` does it on this machine, without a connection. Costs a second or two, and is run only
where a variable that we read needs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import InventoryError
from inventory.listing import Listing
from inventory.programs import installed_programs, run_program
from inventory.values import is_unfilled
from inventory.variables import READ_KEYS

PROGRAM = "ansible"
FORM_OF_ANSWER = {
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "ANSIBLE_STDOUT_CALLBACK": "default",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_CALLBACK_FORMAT_PRETTY": "1",
    "ANSIBLE_LOG_PATH": "",
}
PASSWORD_REMEDY = "Name the file with the vault's password in ANSIBLE_VAULT_PASSWORD_FILE"
ANSWER = re.compile(r"^(\S+) \| (SUCCESS|FAILED|UNREACHABLE)!? => ", re.MULTILINE)


def fill_in(path: Path, listing: Listing, hosts: Sequence[str]) -> Listing:
    """``listing`` with every templated or vaulted value that we read of ``hosts`` as Ansible makes it.

    Raises InventoryError naming host and key where it can't be made.
    """
    unfilled = {
        host: keys
        for host in hosts
        if (keys := [key for key in READ_KEYS if is_unfilled(listing.variables.get(host, {}).get(key))])
    }
    if not unfilled:
        return listing
    answers = parse_answers(_run(path, unfilled))
    variables = dict(listing.variables)
    for host, keys in unfilled.items():
        status, told = answers.get(host, ("FAILED", {"msg": f"{PROGRAM} said nothing of this host"}))
        if status != "SUCCESS":
            raise _refusal(path, host, keys, variables[host], str(told.get("msg", "")))
        variables[host] = {**variables[host], **{key: told["msg"][key] for key in keys}}
    return Listing(listing.groups, variables)


def parse_answers(stdout: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """``{host: (SUCCESS or FAILED, its JSON)}`` of an ad-hoc command's output."""
    decoder = json.JSONDecoder()
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for match in ANSWER.finditer(stdout):
        try:
            found[match[1]] = (match[2], decoder.raw_decode(stdout, match.end())[0])
        except ValueError:
            found[match[1]] = ("FAILED", {"msg": "its answer can't be read"})
    return found


def _run(path: Path, unfilled: Mapping[str, Sequence[str]]) -> str:
    program = _program()
    keys = sorted({key for keys in unfilled.values() for key in keys})
    wanted = {key: f"{{{{ lookup('ansible.builtin.vars', '{key}', default='') }}}}" for key in keys}
    argv = [str(program), ",".join(unfilled), "-i", str(path), "-m", "ansible.builtin.debug"]
    try:
        done = run_program([*argv, "-a", json.dumps({"msg": wanted})], FORM_OF_ANSWER)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InventoryError(
            f"{path}: {program} can't fill its templates in ({error.__class__.__name__})",
            remedy="Write the values themselves, or install ansible-core anew",
        ) from error
    return done.stdout


def _program() -> Path:
    for one in installed_programs():
        if os.access(one.with_name(PROGRAM), os.X_OK):
            return one.with_name(PROGRAM)
    raise InventoryError(f"{PROGRAM} is not installed", remedy="Run ./invoke, which installs it")


def _refusal(
    path: Path, host: str, keys: Sequence[str], values: Mapping[str, Any], words: str
) -> InventoryError:
    """The key that the words are about, if that can be told; else all of them."""
    about = re.search(r"'(\w+)' is undefined", words)
    named = [key for key in keys if about and about[1] in str(values[key])] or list(keys)
    is_vault = "vault" in words.lower() or "decrypt" in words.lower()
    text = " ".join(words.split())[:300]
    what = "decrypted" if is_vault else "filled in"
    return InventoryError(
        f"{path}: host {host}: {', '.join(named)}: can't be {what} ({text})",
        remedy=PASSWORD_REMEDY if is_vault else "Define what it refers to, or write the value itself",
    )
