"""The agent: samples one run after another, and answers every request."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.wire.agent import (
    Answer,
    Begin,
    Begun,
    End,
    Ended,
    EndReason,
    Gauge,
    Peek,
    Peeked,
    Refusal,
    decode_request,
)
from bench.wire.codec import WireError
from remote.onhost.agent.readers import Reader
from remote.onhost.agent.refusal import RequestRefused, storage_remedy
from remote.onhost.agent.run import SampledRun
from remote.onhost.agent.yardstick import Yardstick

MAX_SECONDS = 86_400.0


def check_begin(request: Begin) -> None:
    """Raises RequestRefused where a field is out of its range."""
    _check_name(request.run, "run")
    if not request.targets:
        raise RequestRefused("request", "targets is empty", "Give one name and process number at least")
    for name, pid in request.targets.items():
        _check_name(name, "a target's name")
        for one in (pid, *request.also.get(name, ())):
            if one < 1:
                raise RequestRefused("request", f"target {name} is {one!r}", "Give a process number")
    for name in request.also.keys() - request.targets.keys():
        raise RequestRefused("request", f"{name} is no target", "Name it among the targets too")
    _check_range("interval_seconds", request.interval_seconds, 0.01, 60.0)
    _check_range("full_interval_seconds", request.full_interval_seconds, 0.01, 3600.0)
    _check_range("max_seconds", request.max_seconds, 0.01, MAX_SECONDS)


def _check_range(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RequestRefused("request", f"{key} is {value!r}", f"Give a number from {low} to {high}")


def _check_name(name: str, what: str) -> None:
    is_allowed = 0 < len(name) <= 200 and not name.startswith(".")
    if not is_allowed or not all(sign.isalnum() or sign in "._+-" for sign in name):
        raise RequestRefused("request", f"{what} is {name!r}", "Use letters, digits and . _ + -")


class Agent:
    """Samples one run after another."""

    def __init__(self, reader: Reader, directory: Path) -> None:
        self._reader = reader
        self._directory = directory
        self._yardstick = Yardstick()
        self._run: SampledRun | None = None
        # How the last run ended, until the next begins: an answer that was lost is asked for again.
        self._last: Ended | Refusal | None = None
        self.is_quitting = False

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next sample, None between runs."""
        return None if self._run is None else self._run.schedule.deadline

    def sample(self) -> None:
        if self._run is None:
            return
        try:
            reason = self._run.sample()
        except OSError as error:
            self._last = _storage_failure(self._run, error)
            self._run.abandon()
            self._run = None
            return
        if reason is not None:
            self._finish(self._run, reason)

    def _finish(self, run: SampledRun, reason: EndReason) -> Ended | Refusal:
        ended: Ended | Refusal
        try:
            ended = run.finish(reason)
        except OSError as error:
            ended = _storage_failure(run, error)
        self._run, self._last = None, ended
        return ended

    def answer(self, line: bytes) -> Answer:
        """The answer to one request; never raises."""
        try:
            request = decode_request(line)
            if isinstance(request, Begin):
                return self._begin(request)
            if isinstance(request, Gauge):
                return self._yardstick.gauge(request.core)
            return self._peek() if isinstance(request, Peek) else self._end(request)
        except RequestRefused as refused:
            return refused.as_answer
        except WireError as error:
            return Refusal("request", str(error), "See bench/wire/agent.py for what the agent understands")

    def _begin(self, request: Begin) -> Begun:
        if self._run is not None:
            raise RequestRefused("busy", f"{self._run.name} is being sampled", "End it first")
        check_begin(request)
        try:
            self._run = SampledRun(request, self._reader, self._directory)
        except OSError as error:
            text = f"{error.filename or self._directory}: {error.strerror or error}"
            raise RequestRefused("storage", text, storage_remedy(error)) from error
        self._last = None
        return Begun(str(self._run.file.path), self._run.processes())

    def _peek(self) -> Peeked:
        if self._run is None:
            raise RequestRefused("idle", f"no run is being sampled{self._last_words()}", "Begin one")
        return Peeked(self._run.trees_now())

    def _last_words(self) -> str:
        return f"; {self._last.run} stopped: {self._last.reason}" if isinstance(self._last, Ended) else ""

    def _end(self, request: End) -> Ended | Refusal:
        if self._run is not None:
            return self._finish(self._run, "asked")
        if self._last is None:
            raise RequestRefused("idle", "no run to end", "Begin one")
        return self._last

    def stop(self) -> None:
        """At a signal."""
        self.is_quitting = True
        self._yardstick.close()
        if self._run is not None:
            self._finish(self._run, "signal")


def _storage_failure(run: SampledRun, error: OSError) -> Refusal:
    print(f"{run.name}: {error}", file=sys.stderr, flush=True)
    text = f"{error.filename or run.file.path}: {error.strerror or error}"
    return Refusal("storage", text, storage_remedy(error), run.name)
