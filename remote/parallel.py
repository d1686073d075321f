"""The same work on several hosts at once, with every host's outcome kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from bench.errors import AsgibenchError, SeveralHostsFailed

Item = TypeVar("Item")
Value = TypeVar("Value")


@contextlib.contextmanager
def prompt_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that Ctrl-C leaves at once; its threads end when the hosts are given back."""
    pool = ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="host")
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def wait_for_all(**parts: Future[Any]) -> None:
    """Wait until every part is done: none is left half-started unseen.

    One failure is raised as it is, several as SeveralHostsFailed naming each part.
    """
    wait(parts.values())
    failures: dict[str, tuple[str, AsgibenchError]] = {}
    for name, future in parts.items():
        error = future.exception()
        if isinstance(error, AsgibenchError):
            # A host that is lost fails in the same way for every part.
            failures.setdefault(str(error), (name, error))
        elif error is not None:
            raise error
    if len(failures) == 1:
        raise next(iter(failures.values()))[1]
    if failures:
        raise SeveralHostsFailed(list(failures.values()))


def outcomes(
    work: Callable[[Item], Value], items: Iterable[Item], name: Callable[[Item], str]
) -> tuple[dict[str, Value], dict[str, AsgibenchError]]:
    """Run ``work`` on every item in a thread each; (values, errors) by name, each in the items' order."""
    things = list(items)
    futures: list[tuple[str, Future[Value]]] = []
    with prompt_pool(len(things)) as pool:
        futures = [(name(one), pool.submit(work, one)) for one in things]
        wait([future for _, future in futures])
    values: dict[str, Value] = {}
    errors: dict[str, AsgibenchError] = {}
    for key, future in futures:
        error = future.exception()
        if error is None:
            values[key] = future.result()
        elif isinstance(error, AsgibenchError):
            errors[key] = error
        else:
            raise error
    return values, errors


def on_all(
    work: Callable[[Item], Value], items: Iterable[Item], name: Callable[[Item], str]
) -> dict[str, Value]:
    """Like ``outcomes``; one failure is raised as it is, several as SeveralHostsFailed naming each."""
    values, errors = outcomes(work, items, name)
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        raise SeveralHostsFailed(list(errors.items()))
    return values
