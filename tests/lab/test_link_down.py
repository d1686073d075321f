"""A real link between the engine and a server goes down in mid-window and comes back."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.judge.figures import CpuUse, LoadUse, RunFigures
from bench.judge.judge import judge
from bench.results.answers import answers_of
from bench.wire.slices import Slice
from loadgen.stats import cut_window, per_second
from tests.helpers.driven_engine import Driven, Server, ok, serving, spec
from tests.helpers.own_lab import cannot

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
DOWN_FROM, DOWN_SECONDS, WINDOW_SECONDS = 2, 3, 9


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@contextlib.contextmanager
def linked_namespace() -> Iterator[tuple[str, str, str]]:
    """(its name, its address, our end of the link); the other end is within it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        cannot("a link of one's own needs Linux and root")
    number = os.getpid() % 60_000
    name, ours, theirs = f"asgdown{number}", f"agd{number}a", f"agd{number}b"
    address = f"198.19.{number // 256}.{number % 64 * 4}"
    base, last = address.rsplit(".", 1)
    ip("netns", "add", name)
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("addr", "add", f"{base}.{int(last) + 1}/30", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "addr", "add", f"{base}.{int(last) + 2}/30", "dev", theirs)
        ip("-n", name, "link", "set", theirs, "up")
        yield name, f"{base}.{int(last) + 2}", ours
    finally:
        ip("netns", "del", name)


@contextlib.contextmanager
def within(name: str) -> Iterator[None]:
    """This thread is in that namespace; a socket stays in the one that it was made in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as here, Path(f"/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(here.fileno(), NEW_NETWORK) == 0


def drive_over_a_link_that_fails(server: Server, address: str, link: str) -> tuple[Slice, ...]:
    driven = Driven(spec(server.port, host=address, epoch=time.perf_counter() + 0.1, hash_sample_every=1))

    def on_slice(one: Slice) -> None:
        if one.k == DOWN_FROM - 1:
            ip("link", "set", link, "down")
        elif one.k == DOWN_FROM - 1 + DOWN_SECONDS:
            ip("link", "set", link, "up")
        elif one.k == WINDOW_SECONDS - 1:
            driven.run.stop()

    driven.on_slice = on_slice
    driven.drive(20)
    return tuple(driven.slices)


def test_a_link_that_was_down_for_three_seconds_is_named_and_voids_the_run() -> None:
    with linked_namespace() as (name, address, link), contextlib.ExitStack() as stack:
        with within(name):
            server = stack.enter_context(serving(lambda request: [ok()], host=address))
        slices = {"load/0": drive_over_a_link_that_fails(server, address, link)}
    window = cut_window(slices, {"load/0": "load"}, warmup_seconds=0, window_seconds=WINDOW_SECONDS)
    answers = answers_of(window, per_second(slices, warmup_seconds=0, window_seconds=WINDOW_SECONDS))
    assert answers.silence is not None
    # TCP sends again ever more seldom: it may take as long again until the link is found to be back.
    assert DOWN_SECONDS - 0.3 < answers.silence.seconds < 3 * DOWN_SECONDS
    assert answers.silence.since == pytest.approx(DOWN_FROM, abs=0.3)
    assert set(answers.seconds_without) >= {DOWN_FROM + 1}
    judged = judge(
        RunFigures(
            requests=window.requests,
            server=CpuUse(0.97, 1.0),
            load=(LoadUse("load/0", 0.4),),
            connections=20,
            failures=window.failures,
            answers=answers,
            window_seconds=WINDOW_SECONDS,
        )
    )
    (stopped,) = [one for one in judged.as_reasons() if one.code == "StoppedAnswering"]
    assert stopped.invalidates
    assert stopped.text.startswith("the server (or the link to it) stopped answering")
    assert not judged.valid
