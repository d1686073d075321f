"""A load worker that runs a user's own locustfile: its users send, and Locust spawns and stops them.

Shipped, with worker.py, recorder.py, engine.py and histogram.py beside it; standard library and Locust.
Contract: that of locustfile.py, and ASGIBENCH_LOCUSTFILE, the path of the user's file. Its User classes are
loaded from there and given the measured server as their ``host``; ``self.environment.asgibench_tokens`` has
the bearer tokens that /api/orders takes, and ``self.environment.asgibench_requests`` is an endless iterator
of what the plan asks for: ``(path, headers)``, each worker with tokens of its own in turn. Each request comes
by Locust's own ``request`` event into the same slices and the same messages as the engine's. The process ends
when its master does (within 6 s) or when told.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
from locust import User, events

from loadgen.onhost.engine import SliceClock
from loadgen.onhost.worker.recorder import RequestRecorder
from loadgen.onhost.worker.worker import LoadWorker, core_wait_seconds, leave_locusts_settings, pin

_MODULE = "users_locustfile"
_TICK_SECONDS = 0.02
_DRAIN_SECONDS = 1.0


class UserWorker(LoadWorker):
    """Counts what the users of the file do, and stops them so that none is cut off if it can be helped."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._recorder: RequestRecorder | None = None
        self._core_wait_mark = 0.0
        environment.events.request.add_listener(self._on_request)

    def begin(self, spec: dict[str, Any], index: int, workers: int) -> None:
        base_url = _base_url(spec)
        for user_class in self._runner.user_classes:
            user_class.host = base_url
        self._environment.asgibench_tokens = tuple((spec.get("rotate") or {}).get("values", ()))
        self._environment.asgibench_requests = _requests(spec, index, workers)
        self._core_wait_mark = core_wait_seconds()
        offset_seconds = spec.get("clock_offsets", {}).get(self._name, 0.0)
        self._recorder = RequestRecorder(
            SliceClock(spec["epoch"], offset_seconds),
            base_url=base_url,
            counted_paths=spec.get("counted_paths", ()),
            connections=lambda: int(self._runner.user_count),
            emit=self._emit,
            now=time.perf_counter_ns(),
        )
        gevent.spawn(self._watch, self._recorder)

    def _emit(self, slice_: dict[str, Any]) -> None:
        waited = core_wait_seconds()
        slice_["core_wait_seconds"] = waited - self._core_wait_mark
        self._core_wait_mark = waited
        self.take_slice(slice_)

    def end(self) -> None:
        gevent.spawn(self._end)

    def _end(self) -> None:
        recorder, runner = self._recorder, self._runner
        if recorder is None:
            return
        # Locust's way to let each user end its task; without a timeout it would cut them off.
        runner.environment.stop_timeout = 2 * _DRAIN_SECONDS
        stopping = gevent.spawn(runner.stop_users, runner.user_classes_count)
        stopping.join(timeout=_DRAIN_SECONDS)
        cut_off = runner.user_count
        stopping.kill()
        runner.user_greenlets.kill(timeout=_DRAIN_SECONDS)
        runner.environment.stop_timeout = 0.0
        self._recorder = None
        self.take_totals(recorder.close(time.perf_counter_ns(), cut_off))

    def _on_request(
        self,
        response_time: float | None = None,
        response_length: int | None = None,
        exception: Any = None,
        response: Any = None,
        url: Any = None,
        **_: Any,
    ) -> None:
        if self._recorder is not None:
            self._recorder.record(
                time.perf_counter_ns(),
                response_time_ms=response_time,
                length_bytes=response_length,
                exception=exception,
                status=getattr(response, "status_code", None),
                url=str(url),
            )

    def _watch(self, recorder: RequestRecorder) -> None:
        """While the run lasts: see how late we are, end slices in which nothing happened, tell of users."""
        told, looked_at = 0, time.perf_counter_ns()
        while self._recorder is recorder:
            gevent.sleep(_TICK_SECONDS)
            now = time.perf_counter_ns()
            if self._recorder is not recorder:
                return
            recorder.note_lag(now, now - looked_at - round(_TICK_SECONDS * 1e9))
            looked_at = now
            if self._runner.user_count != told:
                told = self._runner.user_count
                self.tell_connections(told)


def _requests(spec: dict[str, Any], index: int, workers: int) -> Iterator[tuple[str, dict[str, str]]]:
    """The spec's path and rotating header, endlessly; worker ``index`` takes every ``workers``-th value."""
    rotate = spec.get("rotate")
    if rotate is None:
        return itertools.repeat((spec["path"], {}))
    values = rotate["values"][index::workers] or rotate["values"]
    return itertools.cycle([(spec["path"], {rotate["header"]: rotate["prefix"] + one}) for one in values])


def _base_url(spec: dict[str, Any]) -> str:
    host = f"[{spec['host']}]" if ":" in spec["host"] else spec["host"]
    return f"{'https' if spec.get('tls') else 'http'}://{host}:{spec['port']}"


def _load_users(path: Path) -> dict[str, Any]:
    """The User classes of the file by name. Raises whatever the file raises, ImportError if it has none."""
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    classes: list[Any] = [one for one in vars(module).values() if inspect.isclass(one)]
    users = {one.__name__: one for one in classes if issubclass(one, User) and not one.abstract}
    if not users:
        raise ImportError(f"{path.name} has no User class that isn't abstract")
    return users


@events.init.add_listener  # type: ignore[untyped-decorator]
def _become_worker(environment: Any, **_: Any) -> None:
    pin()
    worker = UserWorker(environment)
    shares = [[one.__name__, one.weight, one.fixed_count] for one in environment.user_classes]
    worker.serve(user_classes=shares)


leave_locusts_settings()
# Locust takes the User classes that it finds in this module.
globals().update(_load_users(Path(os.environ["ASGIBENCH_LOCUSTFILE"])))
