"""New results, or earlier ones to go on with: hosts, versions and locustfile must be the same for that."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.judge.reason import Reason
from bench.plan.locustfile import UserLocustfile, source_of
from bench.plan.plan import Plan
from bench.plan.request import BenchRequest, other_than_planned
from bench.results.store import Store, result_names
from bench.results.summary import added_warnings


def open_store(request: BenchRequest, plan: Plan) -> tuple[Store, Plan]:
    """New results for ``plan``; with ``resume`` the earlier ones, and the plan that they were begun with.

    Raises UsageError where there are none, where the name is taken, or where this is another benchmark.
    """
    root = request.results_root
    if not request.resume:
        return Store.create(root, plan.name, plan), plan
    store = Store.open(root, request.name or latest_name(root))
    kept = store.read_plan()
    _check_same_ground(kept, plan)
    _check_same_request(kept, request)
    return store, _with_same_locustfile(kept, plan.locustfile)


def _check_same_ground(kept: Plan, now: Plan) -> None:
    """A benchmark keeps to one environment and one set of versions. Raises UsageError."""
    is_same_file = Path(kept.inventory_path).resolve() == Path(now.inventory_path).resolve()
    if not is_same_file or kept.environment != now.environment:
        began = dict(zip(kept.command, kept.command[1:], strict=False)).get("--hosts", kept.environment)
        was, is_now = kept.environment, now.environment
        if was == is_now:
            was, is_now = kept.inventory_path, now.inventory_path
        raise UsageError(
            f"{kept.name} was measured on {was}, not on {is_now}",
            remedy=f"Go on with --hosts {began}, or begin another benchmark",
        )
    if kept.lock_sha256 != now.lock_sha256:
        raise UsageError(
            f"uv.lock has changed since {kept.name} began", remedy="Begin another benchmark: versions differ"
        )


def _check_same_request(kept: Plan, request: BenchRequest) -> None:
    """What was asked for with --resume is what was planned. Raises UsageError."""
    other = other_than_planned(request, kept.command)
    if other is not None:
        option, planned = other
        was = f"with {option.word} {planned}" if planned else f"without {option.word}"
        raise UsageError(
            f"{kept.name} was planned {was}, and --resume goes on with that plan",
            remedy=f"Leave {option.word} out, or begin another benchmark",
        )


def _with_same_locustfile(plan: Plan, given: UserLocustfile | None) -> Plan:
    """The plan with its locustfile at the path given now. Raises UsageError if it is another file."""
    if given is not None and (plan.locustfile is None or given.sha256 != plan.locustfile.sha256):
        raise UsageError(
            f"{plan.name} was not planned with this {given.name}",
            remedy="Leave --locustfile out to go on with what was planned, or begin another benchmark",
        )
    if plan.locustfile is None:
        return plan
    source_of(given or plan.locustfile)
    return msgspec.structs.replace(plan, locustfile=given or plan.locustfile)


def latest_name(root: Path) -> str:
    """The results in ``root`` that were planned last. Raises UsageError if there are none."""
    names = result_names(root)
    if not names:
        raise UsageError(f"there is nothing in {root} to go on with", remedy="Leave --resume out")
    return max(names, key=lambda name: Store.open(root, name).read_plan().created_at)


def kept_warnings(store: Store) -> tuple[Reason, ...]:
    """The warnings that earlier sessions gave. Raises ResultError where summary.json is damaged."""
    if not (store.directory / "summary.json").is_file():
        return ()
    return added_warnings(store.read_summary())
