"""Ansible's programs: which ones are there, and how they are run so that their answers can be read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = "ansible-inventory"
TIMEOUT_SECONDS = 120.0  # a dynamic inventory asks its cloud


def installed_programs() -> tuple[Path, ...]:
    """Every ``ansible-inventory`` on PATH and beside our own Python, in the order to be tried."""
    return find_programs([Path(entry) for entry in os.get_exec_path()], Path(sys.executable).parent)


def find_programs(search_path: Sequence[Path], own_directory: Path) -> tuple[Path, ...]:
    """Every ``ansible-inventory`` in the order to be tried: the user's own, which has their collections and
    cloud plugins, before the one in ``own_directory``."""
    own = own_directory / PROGRAM
    others = [
        directory / PROGRAM
        for directory in search_path
        if os.access(directory / PROGRAM, os.X_OK)
        and not (own.exists() and own.samefile(directory / PROGRAM))
    ]
    return (*others, own) if os.access(own, os.X_OK) else tuple(others)


def run_program(
    argv: Sequence[str], settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it with ``settings`` besides ``ansible_environment``, without a terminal.

    Raises OSError, and TimeoutExpired after ``TIMEOUT_SECONDS``.
    """
    return subprocess.run(
        argv,
        env={**ansible_environment(os.environ), **(settings or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=TIMEOUT_SECONDS,
        # Without a terminal it can't stop to ask for a vault password.
        start_new_session=True,
    )


def ansible_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's settings for Ansible's programs, but for what would change the form of the answer."""
    return {
        **environ,
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
        "ANSIBLE_DUPLICATE_YAML_DICT_KEY": "warn",  # an error would refuse what a merge says anew
        "ANSIBLE_INVENTORY_EXPORT": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_VERBOSITY": "0",
        "ANSIBLE_DEBUG": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_DEVEL_WARNING": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        # It refuses to start in a locale that this system lacks or that isn't UTF-8.
        "LC_ALL": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
    }
