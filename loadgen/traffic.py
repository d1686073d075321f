"""What the load of one endpoint is: the requests, the right answers, and the app's count of them.

An endpoint stands for a workload of the app, or for a user's own locustfile, of which little is known.
"""

from __future__ import annotations

import base64
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property

from bench.environment.readiness import response_bytes
from bench.errors import UsageError
from bench.spec import Endpoint
from bench.wire.load import SMALL_BODY_BYTES, Expect, LoadSpec, Rotate
from remote.server import FirstRequest
from testapp.data import tokens
from testapp.workload import Workload
from testapp.workloads import WORKLOADS

COMMON_HEADERS = {"User-Agent": "asgibench", "Accept": "*/*"}
REQUEST_TIMEOUT_SECONDS = 10


def bearer(values: tuple[str, ...]) -> Rotate:
    return Rotate("Authorization", values, prefix="Bearer ")


class Traffic(ABC):
    """The requests for one endpoint and what is known of their answers, with the test data of ``seed``."""

    def __init__(self, endpoint: Endpoint, seed: int) -> None:
        self.endpoint = endpoint
        self.seed = seed

    @abstractmethod
    def load_spec(
        self,
        host: str,
        port: int,
        *,
        epoch: float,
        hash_sample_every: int,
        clock_offsets: Mapping[str, float],
    ) -> LoadSpec:
        """A closed loop of these requests to ``host``:``port``.

        ``epoch`` is when second 0 begins, on the controller's monotonic clock. ``clock_offsets`` are as in
        LoadSpec. ``hash_sample_every`` is for bodies that are too long for every one of them to be checked.
        """

    @abstractmethod
    def answer_bytes(self) -> int | None:
        """An answer's length, headers included: the mean of all users'. None: it isn't known."""

    @abstractmethod
    def first_request(self) -> FirstRequest | None:
        """One request whose whole answer is known; None: nothing is known of the answers."""

    @abstractmethod
    def count_by_app(self, counts: Mapping[str, int], elsewhere: int) -> int | None:
        """How many of these requests the app has counted; None: it can't be told.

        ``counts`` are the app's, by workload; ``elsewhere`` is how many requests it doesn't count.
        """


class WorkloadTraffic(Traffic):
    """A workload's requests. Every answer is known."""

    def __init__(self, workload: Workload, endpoint: Endpoint, seed: int) -> None:
        super().__init__(endpoint, seed)
        self.workload = workload

    @cached_property
    def bodies(self) -> tuple[bytes, ...]:
        """The right answers' bodies: one, or one for each token."""
        return self.workload.bodies(self.seed)

    @property
    def has_long_bodies(self) -> bool:
        """They are too long for every one of them to be checked."""
        return max(map(len, self.bodies)) > SMALL_BODY_BYTES

    @cached_property
    def request_body(self) -> bytes:
        return self.workload.request_body(self.seed)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        return tokens(self.seed) if self.workload.rotates_tokens else ()

    @cached_property
    def expect(self) -> Expect:
        return Expect(
            status=self.workload.status,
            length=self.workload.length_bytes,
            body_sha256=tuple(hashlib.sha256(body).hexdigest() for body in self.bodies),
            lengths=tuple(map(len, self.bodies)),
        )

    def load_spec(
        self,
        host: str,
        port: int,
        *,
        epoch: float,
        hash_sample_every: int,
        clock_offsets: Mapping[str, float],
    ) -> LoadSpec:
        return LoadSpec(
            host=host,
            port=port,
            method=self.workload.method,
            path=self.workload.path,
            headers={**COMMON_HEADERS, **dict(self.workload.headers)},
            body=base64.b64encode(self.request_body).decode(),
            rotate=bearer(self.tokens) if self.tokens else None,
            expect=self.expect,
            hash_sample_every=hash_sample_every if self.has_long_bodies else 1,
            timeout_seconds=REQUEST_TIMEOUT_SECONDS,
            epoch=epoch,
            clock_offsets=dict(clock_offsets),
            counted_paths=(self.workload.path,),
        )

    def answer_bytes(self) -> int | None:
        return response_bytes(self.endpoint, round(sum(map(len, self.bodies)) / len(self.bodies)))

    def first_request(self) -> FirstRequest:
        """The first token's."""
        rotate = bearer(self.tokens) if self.tokens else None
        headers = dict(self.workload.headers)
        if rotate is not None:
            headers[rotate.header] = rotate.prefix + rotate.values[0]
        return FirstRequest(
            endpoint=self.endpoint,
            headers=headers,
            body=self.request_body,
            status=self.workload.status,
            right_body=self.bodies[0],
        )

    def count_by_app(self, counts: Mapping[str, int], elsewhere: int) -> int | None:
        return counts.get(self.workload.name)


class LocustfileTraffic(Traffic):
    """A user's own locustfile: it sends what it likes, with the app's tokens at hand."""

    def load_spec(
        self,
        host: str,
        port: int,
        *,
        epoch: float,
        hash_sample_every: int,
        clock_offsets: Mapping[str, float],
    ) -> LoadSpec:
        return LoadSpec(
            host=host,
            port=port,
            path=self.endpoint.path,
            headers=dict(COMMON_HEADERS),
            rotate=bearer(tokens(self.seed)),
            hash_sample_every=hash_sample_every,
            timeout_seconds=REQUEST_TIMEOUT_SECONDS,
            epoch=epoch,
            clock_offsets=dict(clock_offsets),
            counted_paths=tuple(one.path for one in WORKLOADS.values()),
        )

    def answer_bytes(self) -> None:
        return None

    def first_request(self) -> None:
        return None

    def count_by_app(self, counts: Mapping[str, int], elsewhere: int) -> int | None:
        return None if elsewhere else sum(counts.values())


def traffic_of(endpoint: Endpoint, seed: int) -> Traffic:
    """Raises UsageError for an endpoint of an older plan that the app doesn't have any more."""
    if endpoint.is_users_own:
        return LocustfileTraffic(endpoint, seed)
    workload = WORKLOADS.get(endpoint.name)
    if workload is None:
        raise UsageError(
            f"the app has no workload {endpoint.name!r} (any more)",
            remedy=f"There are {', '.join(WORKLOADS)}; begin another benchmark",
        )
    return WorkloadTraffic(workload, endpoint, seed)


def answer_bytes(traffic: Iterable[Traffic]) -> dict[str, int]:
    """An answer's length by endpoint, headers included, where it is known."""
    lengths = {one.endpoint.name: one.answer_bytes() for one in traffic}
    return {name: length for name, length in lengths.items() if length is not None}
