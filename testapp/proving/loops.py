"""Waiting, in whichever of the two kinds of event loops a server runs. Shipped; standard library only."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


def running_loop() -> asyncio.AbstractEventLoop | None:
    """None: it is trio that runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _trio() -> Any:
    return importlib.import_module("trio")


def loop_identity() -> int:
    """The same number within one event loop."""
    loop = running_loop()
    return id(_trio().lowlevel.current_trio_token() if loop is None else loop)


async def sleep(seconds: float) -> None:
    if running_loop() is None:
        await _trio().sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def within(seconds: float, wait: Callable[[], Awaitable[Any]]) -> Any:
    """What it waits for. Raises TimeoutError."""
    if running_loop() is None:
        with _trio().move_on_after(seconds) as scope:
            found = await wait()
        if scope.cancelled_caught:
            raise TimeoutError
        return found
    async with asyncio.timeout(seconds):
        return await wait()


async def together(*several: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """All of them at once, to their ends."""
    if running_loop() is None:
        async with _trio().open_nursery() as nursery:
            for one in several:
                nursery.start_soon(one)
    else:
        async with asyncio.TaskGroup() as group:
            for one in several:
                group.create_task(one())
