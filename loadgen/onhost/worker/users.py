"""A load worker whose requests the users of a locustfile send: Locust spawns and stops them.

The User classes are given the measured server as their ``host``; ``self.environment.asgibench_tokens`` has
the bearer tokens that /api/orders takes, and ``self.environment.asgibench_requests`` is an endless iterator
of PlannedRequests, what the plan asks for, each worker with tokens of its own in turn. Each request comes by
Locust's own ``request`` event into the same slices and the same messages as the engine's.
"""

from __future__ import annotations

import base64
import itertools
import os
import ssl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from locust import events

from bench.wire.load import LoadSpec
from bench.wire.worker import RunOrder
from loadgen.onhost.engine.tally import SliceClock
from loadgen.onhost.worker.recorder import RequestRecorder
from loadgen.onhost.worker.worker import LocustWorker, isolate_from_settings, pin

_TICK_SECONDS = 0.02
_DRAIN_SECONDS = 1.0
# In lower case: these Locust's clients send as they like.
_CLIENTS_OWN_HEADERS = ("user-agent", "accept")


class UserWorker(LocustWorker):
    """Counts what the users of the file do, and stops them so that none is cut off if it can be helped."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._recorder: RequestRecorder | None = None
        environment.events.request.add_listener(self._on_request)

    def begin(self, order: RunOrder) -> None:
        spec = order.spec
        base_url = _base_url(spec)
        for user_class in self._runner.user_classes:
            user_class.host = base_url
        if spec.tls_certificate:
            _trust(spec.tls_certificate, self._runner.user_classes, self._spool_folder)
        self._environment.asgibench_tokens = () if spec.rotate is None else spec.rotate.values
        self._environment.asgibench_requests = _requests(spec, order.index, order.workers)
        self._recorder = RequestRecorder(
            SliceClock(spec.epoch, spec.clock_offsets.get(self._name, 0.0)),
            worker=self._name,
            base_url=base_url,
            counted_paths=spec.counted_paths,
            connections=lambda: int(self._runner.user_count),
            emit=self.take_slice,
            now=time.perf_counter_ns(),
        )
        gevent.spawn(self._watch, self._recorder)

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
        reported, looked_at = 0, time.perf_counter_ns()
        while self._recorder is recorder:
            gevent.sleep(_TICK_SECONDS)
            now = time.perf_counter_ns()
            if self._recorder is not recorder:
                return
            recorder.note_lag(now, now - looked_at - round(_TICK_SECONDS * 1e9))
            looked_at = now
            if self._runner.user_count != reported:
                reported = self._runner.user_count
                self.tell_connections(reported)


class PlannedRequest(NamedTuple):
    """What a client of Locust's is to send."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None  # None: it has none


def _requests(spec: LoadSpec, index: int, workers: int) -> Iterator[PlannedRequest]:
    """The spec's request, endlessly.

    Worker ``index`` takes every ``workers``-th value of a rotating header.
    """
    headers = {name: text for name, text in spec.headers.items() if name.lower() not in _CLIENTS_OWN_HEADERS}
    body = base64.b64decode(spec.body) or None
    rotate = spec.rotate
    if rotate is None:
        return itertools.repeat(PlannedRequest(spec.method, spec.path, headers, body))
    values = rotate.values[index::workers] or rotate.values
    return itertools.cycle(
        [
            PlannedRequest(spec.method, spec.path, headers | {rotate.header: rotate.prefix + one}, body)
            for one in values
        ]
    )


def _trust(certificate: str, user_classes: Iterable[Any], folder: Path) -> None:
    """Have both of Locust's clients trust this certificate, and no other: HttpUser trusts what requests does.

    FastHttpUser would trust any server unless told not to.
    """
    path = folder / "certificate.pem"
    path.write_text(certificate)
    os.environ["REQUESTS_CA_BUNDLE"] = str(path)

    def context(**_: Any) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(cadata=certificate)
        return made

    for user_class in user_classes:
        user_class.insecure = False
        user_class.ssl_context_factory = staticmethod(context)


def _base_url(spec: LoadSpec) -> str:
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return f"{'https' if spec.tls else 'http'}://{host}:{spec.port}"


def measure_users() -> None:
    """Make this process a load worker whose users, those of the locustfile that calls this, are measured."""

    @events.init.add_listener  # type: ignore[untyped-decorator]
    def become_worker(environment: Any, **_: Any) -> None:
        pin()
        shares = tuple((one.__name__, one.weight, one.fixed_count) for one in environment.user_classes)
        UserWorker(environment).serve(shares)

    isolate_from_settings()
