"""The locks of servers with requirements of their own, kept for later benchmarks and with the results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.catalogue.own_lock import OwnLock, file_name
from bench.errors import ResultError
from bench.plan.endpoints import KnownEndpoints
from bench.plan.make import asked_environments
from bench.plan.plan import Plan
from bench.plan.request import BenchRequest
from bench.results.store import Store
from remote.provision.own_locks import own_locks
from session.resume import latest_name

LOCKS_FOLDER = "locks"


def asked_locks(request: BenchRequest, known: KnownEndpoints) -> tuple[OwnLock, ...]:
    """The lock of each server that is asked for with requirements of its own.

    A benchmark that is gone on with has its own beside its plan. Else it is the one in the results' folder
    ``locks``, where it is put when it is resolved. Raises UsageError, CatalogueError or ProvisionError.
    """
    root = request.results_root
    folders: list[Path] = [root / LOCKS_FOLDER]
    if request.resume:
        folders.insert(0, root / (request.name or latest_name(root)))
    return own_locks(asked_environments(request, known), folders, request.root)


def keep_locks(store: Store, locks: Iterable[OwnLock]) -> None:
    """Write them beside the plan. Raises DiskFull and ResultError."""
    for lock in locks:
        store.write_file(lock.file_name, lock.text)


def kept_locks(store: Store, plan: Plan) -> tuple[OwnLock, ...]:
    """The locks that the plan was made with, from beside it. Raises ResultError if one isn't as it was."""
    found = []
    for group, sha256 in plan.own_locks.items():
        path = store.directory / file_name(group)
        try:
            lock = OwnLock(group, path.read_bytes())
        except OSError as error:
            raise ResultError(
                f"can't read {path}: {error.strerror}",
                remedy="Restore it from a copy, or begin another benchmark",
            ) from error
        if lock.sha256 != sha256:
            raise ResultError(
                f"{path} is not the lock that {plan.name} was planned with: its checksum differs",
                remedy="Restore it from a copy, or begin another benchmark: versions may differ",
            )
        found.append(lock)
    return tuple(found)
