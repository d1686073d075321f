"""The load engine: one plain Python process that drives HTTP/1.1 connections, and checks every answer.

Shipped, with histogram.py beside it; standard library only. Contract: ``python engine.py --control-fd N
[--parent PID]``, where N is one end of a stream socketpair. One JSON object a line both ways, as protocol.md
says: in come ``run``, ``connections`` and ``stop``; out go ``ready``, ``connections``, ``slice``, ``totals``
and ``failed``. The process ends when the other end closes (status 0), and on Linux with its parent.

Times are monotonic nanoseconds. The hot loop is ``Run.serve``: there, a response whose head has been parsed
and validated before in this run (or all of it, when it is small) is recognised by its bytes; everything else
goes through ``ResponseParser``. Either way status, framing and length of every response are checked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import ctypes
import errno
import gc
import hashlib
import itertools
import json
import math
import os
import random
import re
import resource
import select
import selectors
import signal
import socket
import ssl
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from bench.wire.histogram import index_of

READ, WRITE = 1, 4  # the values of EPOLLIN and EPOLLOUT
_AGAIN = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_SECOND = 1_000_000_000
_IDLE_POLL_SECONDS = 0.05
_BUSY_POLL_NANOSECONDS = (
    20_000  # what a server answers within that has tens of thousands of requests a second
)
_BUSY_POLLS_IN_VAIN_MOST = 6
_HOUSEKEEPING_NANOSECONDS = 50_000_000
_REST_NANOSECONDS = 100_000_000  # after a refused connect, and after a connection that failed at once
_SHORT_LIFE_NANOSECONDS = 10_000_000
_DRAIN_SECONDS = 1.0
_HEADS_KEPT = 64
_WHOLE_LIMIT_BYTES = 16_384
_READ_BYTES = 65_536
_SMALL_READ_BYTES = 8_192
_FIRST_READ_BYTES = 4_096  # of a large body: its head, and little to copy
_SINK_BYTES = 1 << 20
_HEAD_LIMIT_BYTES = 65_536
_TRUNCATE = getattr(socket, "MSG_TRUNC", 0) if sys.platform == "linux" else 0
_FILES_BESIDE_CONNECTIONS = 64
_FILES_WANTED = 65_536


class ChannelClosed(Exception):
    """The process that gives the orders has gone."""


class EngineError(Exception):
    """The run can't be done as asked for; the message says what to change."""


class FramingError(Exception):
    """What came is not HTTP/1.1, or not the response to this request."""


# --- what to send, and what to expect ---------------------------------------------------------------------


@dataclass(frozen=True)
class Rotation:
    """One header that carries the next of ``values`` with each request."""

    header: str
    prefix: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Load:
    """A LoadSpec of protocol.md, checked."""

    host: str
    port: int
    tls: bool
    tls_ca_file: str | None
    server_name: str | None
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    rotation: Rotation | None
    keep_alive: bool
    status: int
    length_bytes: int | None
    body_sha256: tuple[str, ...]
    hash_sample_every: int
    timeout_seconds: float
    epoch: float
    clock_offset_seconds: float
    is_open: bool
    rate_per_second: float
    poisson: bool
    seed: int
    max_backlog: int

    @classmethod
    def from_message(cls, spec: dict[str, Any], worker: str) -> Load:
        """Raises EngineError that names what is missing or wrong."""
        try:
            load = cls._read(spec, worker)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise EngineError(f"the LoadSpec is broken: {type(error).__name__}: {error}") from error
        load._check()
        return load

    @classmethod
    def _read(cls, spec: dict[str, Any], worker: str) -> Load:
        rotate, expect = spec.get("rotate"), spec.get("expect", {})
        rotation = rotate and Rotation(rotate["header"], rotate.get("prefix", ""), tuple(rotate["values"]))
        length = expect.get("length")
        return cls(
            host=str(spec["host"]),
            port=int(spec["port"]),
            tls=bool(spec.get("tls", False)),
            tls_ca_file=spec.get("tls_ca_file"),
            server_name=spec.get("server_name"),
            method=str(spec.get("method", "GET")),
            path=str(spec["path"]),
            headers=tuple((str(k), str(v)) for k, v in spec.get("headers", {}).items()),
            body=base64.b64decode(spec.get("body", ""), validate=True),
            rotation=rotation or None,
            keep_alive=bool(spec.get("keep_alive", True)),
            status=int(expect.get("status", 200)),
            length_bytes=None if length is None else int(length),
            body_sha256=tuple(str(digest).lower() for digest in expect.get("body_sha256", ())),
            hash_sample_every=int(spec.get("hash_sample_every", 1000)),
            timeout_seconds=float(spec.get("timeout_seconds", 10)),
            epoch=float(spec["epoch"]),
            clock_offset_seconds=float(spec.get("clock_offsets", {}).get(worker, 0.0)),
            is_open=_one_of("mode", spec.get("mode", "closed"), ("closed", "open")) == "open",
            rate_per_second=float(spec.get("rate_per_second") or 0),
            poisson=_one_of("arrivals", spec.get("arrivals", "constant"), ("constant", "poisson"))
            == "poisson",
            seed=int(spec.get("seed") or 0),
            max_backlog=int(spec.get("max_backlog") or 0),
        )

    def _check(self) -> None:
        values = len(self.rotation.values) if self.rotation else 1
        if self.rotation is not None and not values:
            raise EngineError("rotate.values is empty: give at least one value, or leave rotate out")
        if len(self.body_sha256) not in (0, 1, values):
            raise EngineError(f"expect.body_sha256 has {len(self.body_sha256)} hashes: give 0, 1 or {values}")
        if self.hash_sample_every < 1 or self.timeout_seconds <= 0:
            raise EngineError("hash_sample_every must be at least 1, and timeout_seconds more than 0")
        if self.is_open and not self.rate_per_second > 0:
            raise EngineError("an open load needs a rate_per_second of more than 0")


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{key} is {value!r}, not one of {', '.join(allowed)}")
    return str(value)


def build_requests(load: Load) -> tuple[bytes, ...]:
    """The bytes of each distinct request, in rotation's order. Raises EngineError for unsendable text."""
    host = load.server_name or (f"[{load.host}]" if ":" in load.host else load.host)
    default_port = 443 if load.tls else 80
    headers = {"host": ("Host", host if load.port == default_port else f"{host}:{load.port}")}
    headers |= {name.lower(): (name, value) for name, value in load.headers}
    if load.body or load.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = ("Content-Length", str(len(load.body)))
    if not load.keep_alive:
        headers["connection"] = ("Connection", "close")
    values: tuple[str | None, ...] = load.rotation.values if load.rotation else (None,)
    return tuple(_request_bytes(load, headers, value) for value in values)


def _request_bytes(load: Load, headers: dict[str, tuple[str, str]], value: str | None) -> bytes:
    if load.rotation is not None and value is not None:
        name = load.rotation.header
        headers = {**headers, name.lower(): (name, load.rotation.prefix + value)}
    lines = [f"{load.method} {load.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.values())]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise EngineError("the method, path and headers must not have line breaks in them")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + load.body
    except UnicodeEncodeError as error:
        raise EngineError(f"a header or the path can't be sent as latin-1: {error}") from error


# --- HTTP/1.1 responses -----------------------------------------------------------------------------------

_STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([0-9]{3})(?: (?:[ \t]|[^\x00\s])*)?")
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;.*)?[ \t]*")
_HEAD_END = re.compile(rb"\n\r?\n")


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


class ResponseParser:
    """One response at a time, from bytes in pieces of any size.

    ``feed`` until ``complete``; at the end of the file ``end``. Then ``status``, ``body_length``, ``closes``
    (the connection can't be used again) and ``counted`` (its length was told in the head) hold, and ``head``
    is the final head's bytes, or empty when others came before it. A ``digest`` set before the first byte is
    fed gets the whole body. Interim responses (1xx) are skipped.
    """

    __slots__ = (
        "_pending",
        "_remaining",
        "_request_is_head",
        "_stage",
        "body_length",
        "closes",
        "complete",
        "counted",
        "digest",
        "head",
        "status",
        "untouched",
    )

    def __init__(self, method: str = "GET") -> None:
        self._request_is_head = method == "HEAD"
        self.digest: Digest | None = None
        self._pending = bytearray()
        self.reset()

    def reset(self) -> None:
        """Ready for the next response."""
        self._pending.clear()
        self._remaining = 0
        self._stage: Callable[[bytes, int], int] = self._read_head
        self.body_length = 0
        self.closes = False
        self.complete = False
        self.counted = False
        self.digest = None
        self.head = b""
        self.status = 0
        self.untouched = True

    def feed(self, data: bytes) -> int:
        """Take bytes as they came; returns how many of them belong to this response.

        Raises FramingError when they can't be a response.
        """
        self.untouched = False
        offset, size = 0, len(data)
        while offset < size and not self.complete:
            offset = self._stage(data, offset)
        return offset

    def end(self) -> bool:
        """The connection has ended: is the response complete?"""
        if self._stage == self._read_until_end:
            self.complete = True
        return self.complete

    def _read_head(self, data: bytes, offset: int) -> int:
        block, after = self._take_block(data, offset)
        if block is None:
            return after
        lines = _lines(block)
        matched = _STATUS_LINE.fullmatch(lines[0])
        if matched is None:
            raise FramingError(f"not a status line: {lines[0][:80]!r}")
        self.status = int(matched[3])
        fields = _fields(lines[1:])
        if self.status < 200:
            if self.status == 101 or self.status < 100:
                raise FramingError(f"status {self.status} was not asked for")
            _body_size(fields)
            self.head = b"-"
            return after
        self.head = b"" if self.head else block
        self.closes = matched[1] + matched[2] < b"11" or b"close" in fields.get(b"connection", ())
        self._choose_framing(fields)
        return after

    def _choose_framing(self, fields: dict[bytes, list[bytes]]) -> None:
        size = _body_size(fields)
        if self._request_is_head or self.status in (204, 304):
            size, bodiless = 0, True
        else:
            bodiless = False
        if b"transfer-encoding" in fields and not bodiless:
            self._stage = self._read_chunk_size
        elif size is not None:
            self.counted = True
            self._remaining = size
            self._stage = self._read_counted
            self.complete = not size
        else:
            self.closes = True
            self._stage = self._read_until_end

    def _read_counted(self, data: bytes, offset: int) -> int:
        offset = self._take_body(data, offset)
        self.complete = not self._remaining
        return offset

    def _read_until_end(self, data: bytes, offset: int) -> int:
        self._remaining = len(data) - offset
        return self._take_body(data, offset)

    def _read_chunk_size(self, data: bytes, offset: int) -> int:
        line, after = self._take_line(data, offset)
        if line is None:
            return after
        matched = _CHUNK_SIZE.fullmatch(line)
        if matched is None:
            raise FramingError(f"not a chunk's size: {line[:80]!r}")
        self._remaining = int(matched[1], 16)
        self._stage = self._read_chunk if self._remaining else self._read_trailer
        return after

    def _read_chunk(self, data: bytes, offset: int) -> int:
        offset = self._take_body(data, offset)
        if not self._remaining:
            self._stage = self._read_chunk_end
        return offset

    def _read_chunk_end(self, data: bytes, offset: int) -> int:
        wanted = b"\r\n"[len(self._pending) :]
        piece = data[offset : offset + len(wanted)]
        if not wanted.startswith(piece):
            raise FramingError(f"a chunk ends with {piece!r}")
        self._pending += piece
        if len(self._pending) == 2:
            self._pending.clear()
            self._stage = self._read_chunk_size
        return offset + len(piece)

    def _read_trailer(self, data: bytes, offset: int) -> int:
        block, after = self._take_block(data, offset)
        if block is not None:
            _fields(_lines(block))
            self.complete = True
        return after

    def _take_body(self, data: bytes, offset: int) -> int:
        size = min(self._remaining, len(data) - offset)
        if self.digest is not None:
            self.digest.update(memoryview(data)[offset : offset + size])
        self._remaining -= size
        self.body_length += size
        return offset + size

    def _take_block(self, data: bytes, offset: int) -> tuple[bytes | None, int]:
        """A head or a trailer with its empty line, and the offset after it; None when more is to come."""
        pending = self._pending
        known = len(pending)
        pending += data[offset : offset + _HEAD_LIMIT_BYTES + 1]
        if self._stage == self._read_head and pending[0] < 0x21:
            raise FramingError(f"not a status line: {bytes(pending[:80])!r}")
        if pending[:1] == b"\n" or pending[:2] == b"\r\n":
            end = 1 if pending[:1] == b"\n" else 2
        else:
            matched = _HEAD_END.search(pending, max(0, known - 2))
            end = matched.end() if matched else 0
        return self._cut(end, known, data, offset)

    def _take_line(self, data: bytes, offset: int) -> tuple[bytes | None, int]:
        """A line without its CRLF, and the offset after it; None when more is to come."""
        if not self._pending and (found := data.find(b"\r\n", offset)) >= 0:
            return data[offset:found], found + 2
        known = len(self._pending)
        self._pending += data[offset : offset + _HEAD_LIMIT_BYTES + 1]
        end = self._pending.find(b"\r\n", max(0, known - 1)) + 2
        line, after = self._cut(end if end > 1 else 0, known, data, offset)
        return (None if line is None else line[:-2]), after

    def _cut(self, end: int, known: int, data: bytes, offset: int) -> tuple[bytes | None, int]:
        if not end:
            if len(self._pending) > _HEAD_LIMIT_BYTES:
                raise FramingError(f"a head or a line of more than {_HEAD_LIMIT_BYTES} bytes")
            return None, len(data)
        block = bytes(self._pending[:end])
        self._pending.clear()
        return block, offset + end - known


def _lines(block: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in block.split(b"\n")[:-2]]


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Lower-case name -> the elements of its comma-separated values. Raises FramingError."""
    fields: dict[bytes, list[bytes]] = {}
    for line in _unfold(lines):
        matched = _FIELD.fullmatch(line)
        if matched is None:
            raise FramingError(f"not a header: {line[:80]!r}")
        fields.setdefault(matched[1].lower(), []).extend(
            part.strip().lower() for part in matched[2].split(b",")
        )
    return fields


def _unfold(lines: list[bytes]) -> Iterator[bytes]:
    """Joins the continuation lines of old (RFC 9112, 5.2)."""
    unfolded: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            unfolded.append(line)
        elif unfolded:
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            raise FramingError("a continuation line comes first")
    return iter(unfolded)


def _body_size(fields: dict[bytes, list[bytes]]) -> int | None:
    """What Content-Length says, or None. Raises FramingError when it or Transfer-Encoding makes no sense."""
    if fields.get(b"transfer-encoding", [b"chunked"]) != [b"chunked"]:
        raise FramingError(f"transfer-encoding {fields[b'transfer-encoding']!r}, not chunked")
    lengths = set(fields.get(b"content-length", ()))
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 20:
        raise FramingError(f"content-length makes no sense: {fields[b'content-length']!r}")
    return int(length)


# --- waiting for sockets ----------------------------------------------------------------------------------


class Poller(Protocol):
    """Level-triggered readiness. ``poll`` returns ``[(fd, mask), ...]``; None waits for ever."""

    def register(self, fd: int, mask: int) -> object: ...

    def modify(self, fd: int, mask: int) -> object: ...

    def unregister(self, fd: int) -> object: ...

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]: ...

    def fileno(self) -> int: ...


class SelectorPoller:
    """Where there is no epoll: what ``selectors`` finds best (kqueue on macOS)."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selectors.DefaultSelector() if selector is None else selector

    def register(self, fd: int, mask: int) -> None:
        self._selector.register(fd, _selector_events(mask))

    def modify(self, fd: int, mask: int) -> None:
        self._selector.modify(fd, _selector_events(mask))

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        return [(key.fd, _mask(found)) for key, found in self._selector.select(timeout)]

    def fileno(self) -> int:
        return -1


def _selector_events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)


def _mask(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)


def make_poller() -> Poller:
    return select.epoll() if hasattr(select, "epoll") else SelectorPoller()


class BusyPoll:
    """Looks again and again for some microseconds before it sleeps: to be woken costs more than to look.

    Only while it pays. Each time in vain doubles the number of waits that sleep at once, so a server that
    takes its time costs next to nothing. ``nanoseconds`` is the time spent so: CPU, but not work.
    """

    def __init__(self, poll: Callable[[float], list[tuple[int, int]]]) -> None:
        self._poll = poll
        self._in_vain = self._sleepy_waits = 0
        self.nanoseconds = 0

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """When nothing was ready a moment ago."""
        if self._sleepy_waits:
            self._sleepy_waits -= 1
            return self._poll(timeout)
        poll, clock = self._poll, time.perf_counter_ns
        began = now = clock()
        events: list[tuple[int, int]] = []
        while not events and now - began < _BUSY_POLL_NANOSECONDS:
            events = poll(0)
            now = clock()
        # A longer time is another process's, which had the core meanwhile.
        self.nanoseconds += min(now - began, _BUSY_POLL_NANOSECONDS)
        if events:
            self._in_vain = 0
            return events
        self._in_vain = min(self._in_vain + 1, _BUSY_POLLS_IN_VAIN_MOST)
        self._sleepy_waits = (1 << self._in_vain) - 1
        return poll(timeout)


class PreciseWait:
    """Waits for a poller to the microsecond; epoll alone rounds up to the next millisecond."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._fds = [poller.fileno()] if hasattr(select, "epoll") and poller.fileno() >= 0 else []

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        if not self._fds:
            return self._poller.poll(max(timeout, 0))
        if timeout > 0:
            select.select(self._fds, (), (), timeout)
        return self._poller.poll(0)


# --- what was measured ------------------------------------------------------------------------------------


class Tally:
    """One slice in the making. ``end_nanoseconds`` is the first moment that is no longer in it."""

    __slots__ = (
        "backlog_dropped",
        "backlog_max",
        "bytes_received",
        "connects",
        "end_nanoseconds",
        "failure_histogram",
        "failures",
        "histogram",
        "index",
        "lag_nanoseconds_max",
        "reconnects",
        "send_lag",
        "service_histogram",
    )

    def __init__(self, index: int, end_nanoseconds: int) -> None:
        self.index = index
        self.end_nanoseconds = end_nanoseconds
        self.histogram: defaultdict[int, int] = defaultdict(int)
        self.failure_histogram: defaultdict[int, int] = defaultdict(int)
        self.send_lag: defaultdict[int, int] = defaultdict(int)
        self.service_histogram: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.bytes_received = self.connects = self.reconnects = 0
        self.backlog_dropped = self.backlog_max = self.lag_nanoseconds_max = 0

    def as_slice(
        self, connections: int, cpu_seconds: float, busy_poll_seconds: float = 0.0
    ) -> dict[str, Any]:
        """A Slice of protocol.md, without what only the Locust process knows."""
        return {
            "k": self.index,
            "requests": sum(self.histogram.values()),
            "failures": dict(self.failures),
            "bytes_received": self.bytes_received,
            "connects": self.connects,
            "reconnects": self.reconnects,
            "connections": connections,
            "histogram": _pairs(self.histogram),
            "failure_histogram": _pairs(self.failure_histogram),
            "engine_cpu_seconds": cpu_seconds,
            "engine_busy_poll_seconds": busy_poll_seconds,
            "loop_lag_seconds_max": self.lag_nanoseconds_max / _SECOND,
            "send_lag": _pairs(self.send_lag),
            "service_histogram": _pairs(self.service_histogram),
            "backlog_max": self.backlog_max,
            "backlog_dropped": self.backlog_dropped,
        }


def _pairs(counts: dict[int, int]) -> list[list[int]]:
    return [[index, counts[index]] for index in sorted(counts)]


_SUMMED = (
    "requests",
    "bytes_received",
    "connects",
    "reconnects",
    "engine_cpu_seconds",
    "engine_busy_poll_seconds",
    "backlog_dropped",
)
_GREATEST = ("loop_lag_seconds_max", "backlog_max")
_HISTOGRAMS = ("histogram", "failure_histogram", "send_lag", "service_histogram")


class Totals:
    """The sum of all slices of a run."""

    def __init__(self) -> None:
        self._numbers: dict[str, float] = dict.fromkeys((*_SUMMED, *_GREATEST, "connections"), 0)
        self._failures: defaultdict[str, int] = defaultdict(int)
        self._histograms: dict[str, defaultdict[int, int]] = {name: defaultdict(int) for name in _HISTOGRAMS}

    def add(self, slice_: dict[str, Any]) -> None:
        numbers = self._numbers
        numbers["connections"] = slice_["connections"]
        for name in _SUMMED:
            numbers[name] += slice_[name]
        for name in _GREATEST:
            numbers[name] = max(numbers[name], slice_[name])
        for kind, count in slice_["failures"].items():
            self._failures[kind] += count
        for name in _HISTOGRAMS:
            histogram = self._histograms[name]
            for index, count in slice_[name]:
                histogram[index] += count

    def as_message(self) -> dict[str, Any]:
        histograms = {name: _pairs(counts) for name, counts in self._histograms.items()}
        return {**self._numbers, "failures": dict(self._failures), **histograms}


class SliceClock:
    """Where the seconds of a run begin, on the monotonic clock.

    The wall clock is read once, here: one that is set while a run is under way does no harm.
    """

    def __init__(self, epoch: float, clock_offset_seconds: float) -> None:
        monotonic, wall = time.perf_counter_ns(), time.time_ns()
        self.epoch_nanoseconds = monotonic + round((epoch + clock_offset_seconds) * _SECOND) - wall

    def tally_at(self, now: int) -> Tally:
        """An empty tally for the slice that ``now`` is in."""
        index = max((now - self.epoch_nanoseconds) // _SECOND, -1)
        return Tally(index, self.epoch_nanoseconds + (index + 1) * _SECOND)


# --- open loop: when requests are due ---------------------------------------------------------------------


def due_times(load: Load, epoch: int, begin: int, index: int, workers: int) -> Iterator[int]:
    """The moments at which this worker's requests are due, from ``begin`` on, in nanoseconds and without end.

    Constant arrivals of all workers interleave on one grid: request j of worker i of W is due at
    epoch + (jW + i) / rate. Poisson arrivals are independent, and the same for the same seed.
    """
    interval = workers * _SECOND / load.rate_per_second
    if load.poisson:
        draw = random.Random(f"{load.seed}/{index}/{workers}").expovariate
        due = float(begin)
        while True:
            due += draw(1 / interval)
            yield round(due)
    phase = index * _SECOND / load.rate_per_second
    first = math.ceil((begin - epoch - phase) / interval)
    for j in itertools.count(first):
        yield epoch + round(phase + j * interval)


# --- connections ------------------------------------------------------------------------------------------

UNCONNECTED, RESTING, CONNECTING, HANDSHAKING, IDLE, BUSY = range(6)


class Watched:
    """What a poller's file descriptor stands for. ``fast``: the hot loop may read it itself."""

    __slots__ = ("fast",)

    def __init__(self) -> None:
        self.fast = False

    def on_event(self, mask: int) -> None:
        raise NotImplementedError


class Connection(Watched):
    """One simulated user: a connection that is made again whenever it is needed.

    ``owes`` is true from the moment a request is taken on until it is answered or has failed.
    ``started`` is what its latency is counted from, ``begun`` what its timeout is counted from.
    ``remaining`` is what is missing of a body whose head was recognised in the hot loop.
    """

    __slots__ = (
        "begun",
        "connected_at",
        "ever_connected",
        "fd",
        "index",
        "owes",
        "parser",
        "recv",
        "recv_into",
        "remaining",
        "rest_until",
        "retiring",
        "run",
        "send",
        "socket",
        "started",
        "state",
        "unsent",
    )

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.parser = ResponseParser(run.load.method)
        self.socket: socket.socket | None = None
        self.fd = -1
        self.state = UNCONNECTED
        self.owes = self.retiring = self.ever_connected = False
        self.remaining = self.index = 0
        self.started = self.begun = self.rest_until = self.connected_at = 0
        self.unsent = memoryview(b"")
        self.recv: Callable[[int], bytes]
        self.recv_into: Callable[..., int]
        self.send: Callable[[bytes | memoryview], int]

    def on_event(self, mask: int) -> None:
        self.run.on_connection_event(self, mask)

    def file(self) -> socket.socket:
        """Its socket, where it must have one."""
        assert self.socket is not None
        return self.socket

    def adopt(self, sock: socket.socket) -> None:
        self.socket = sock
        self.recv, self.recv_into, self.send = sock.recv, sock.recv_into, sock.send


# --- one run ----------------------------------------------------------------------------------------------


class Recogniser:
    """Heads, and one whole small response, that this run has parsed and found good.

    ``heads`` maps a head to the length of its whole response; ``read_bytes`` is what to ask for first.
    """

    __slots__ = ("_digest", "_reads_small", "heads", "read_bytes", "whole")

    def __init__(self, load: Load) -> None:
        self._digest = load.body_sha256[0] if len(load.body_sha256) == 1 else None
        self._reads_small = not load.tls  # a TLS record must be read whole: what stays behind wakes nobody
        self.whole: bytes | None = None
        self.heads: dict[bytes, int] = {}
        self.read_bytes = _READ_BYTES

    def remember(self, parser: ResponseParser, data: bytes) -> None:
        """After a good response, whose last piece was ``data``."""
        head = parser.head
        if not (parser.counted and head) or parser.closes:
            return
        if len(self.heads) >= _HEADS_KEPT:
            self.heads.clear()
        total = self.heads[head] = len(head) + parser.body_length
        if self._reads_small:
            self.read_bytes = _read_bytes_for(total)
        if len(data) == total <= _WHOLE_LIMIT_BYTES and self._digest is not None:
            self.whole = data if hashlib.sha256(data[len(head) :]).hexdigest() == self._digest else None


def _read_bytes_for(total_bytes: int) -> int:
    """A buffer costs what it is large; and of a large body only the head is to be copied."""
    if total_bytes <= _SMALL_READ_BYTES // 2:
        return _SMALL_READ_BYTES
    return _READ_BYTES if total_bytes <= _READ_BYTES else _FIRST_READ_BYTES


class Run:
    """One load on one target: connections, requests, answers, slices.

    ``emit`` gets the slices as they end. ``set_connections`` may be called at any time. ``stop`` lets the
    requests in flight be answered; then ``serve`` returns and ``totals`` is complete. A response is read by
    the hot loop as long as nothing about it is out of the ordinary; the methods below do all the rest.
    """

    def __init__(
        self,
        load: Load,
        poller: Poller,
        watched: dict[int, Watched],
        emit: Callable[[dict[str, Any]], None],
        *,
        index: int = 0,
        workers: int = 1,
    ) -> None:
        """Raises EngineError: unknown host, no such CA file, a request that can't be sent."""
        self.load = load
        self.over = False
        self._poller, self._wait, self._busy_poll = poller, PreciseWait(poller), BusyPoll(poller.poll)
        self._watched = watched
        self._emit = emit
        self._requests = build_requests(load)
        self._next_index = itertools.cycle(_rotated(len(self._requests), index, workers)).__next__
        self._family, self._address = _resolve(load.host, load.port)
        self._tls = _tls_context(load) if load.tls else None
        self._countdown = 1  # to the next response whose body is hashed
        self._recogniser = Recogniser(load)
        self._slots: list[Connection] = []
        self._leaving: set[Connection] = set()
        self._open_sockets = 0
        self._idle: deque[Connection] = deque()
        self._backlog: deque[int] = deque()
        self._sent = self._completed = self._in_flight_at_stop = self._backlog_at_stop = 0
        self._give_up_at: int | None = None
        self._begun_at = self._housekeeping_at = time.perf_counter_ns()
        self._cpu_seconds, self._busy_poll_seconds = time.process_time(), 0.0
        self._clock = SliceClock(load.epoch, load.clock_offset_seconds)
        self._tally = self._clock.tally_at(self._begun_at)
        self._totals = Totals()
        self._due = self._due_times(index, workers) if load.is_open else iter(())
        self._next_due = next(self._due, 0)

    def _due_times(self, index: int, workers: int) -> Iterator[int]:
        return due_times(self.load, self._clock.epoch_nanoseconds, self._begun_at, index, workers)

    def serve(self) -> None:
        """Drive the run until it is over: the hot loop, two system calls and little Python a request.

        Whatever is slow waits for the batch's end, so nothing is opened or closed while it is gone through.
        """
        watched: dict[int, Any] = self._watched
        clock, poll, is_open = time.perf_counter_ns, self._poller.poll, self.load.is_open
        poll_busily, wait_precisely = self._busy_poll.wait, self._wait.poll
        requests, next_index, heads = self._requests, self._next_index, self._recogniser.heads
        request, rotates = requests[0], len(requests) > 1
        request_bytes = len(request)
        sink, sink_flags = bytearray(_SINK_BYTES), 0 if self._tls else _TRUNCATE
        slow: list[tuple[Any, Any, bytes, int]] = []  # connection, mask or kind of failure, data, now
        while not self.over:
            if is_open:
                events = wait_precisely(self._seconds_to_next_due())
            else:
                events = poll(0) or poll_busily(_IDLE_POLL_SECONDS)
            woke = clock()
            tally, whole, read_bytes = self._tally, self._recogniser.whole, self._recogniser.read_bytes
            counts, slice_end, countdown = tally.histogram, tally.end_nanoseconds, self._countdown
            received = sent = 0
            for fd, mask in events:
                connection = watched[fd]
                if not connection.fast:
                    slow.append((connection, mask, b"", 0))
                    continue
                try:
                    remaining = connection.remaining
                    if not remaining:
                        data = connection.recv(read_bytes)
                        now = clock()
                        size = len(data)
                        received += size
                        if data != whole:
                            remaining = heads.get(data[: data.find(b"\r\n\r\n") + 4], -1) - size
                            if remaining < 0:
                                connection.fast = False
                                slow.append((connection, None, data, now))
                                continue
                            connection.remaining = remaining
                            if remaining and size < read_bytes:
                                continue
                    if remaining:
                        size = connection.recv_into(sink, min(remaining + 1, _SINK_BYTES), sink_flags)
                        now = clock()
                        received += size
                        if 0 < size < remaining:
                            connection.remaining = remaining - size
                            continue
                        connection.remaining = 0
                        if size != remaining:
                            slow.append((connection, "bad_framing" if size else "closed_early", b"", now))
                            continue
                except _AGAIN:
                    continue
                except OSError as error:
                    slow.append((connection, failure_kind(error), b"", clock()))
                    continue
                if now >= slice_end:
                    tally.bytes_received += received
                    received = 0
                    tally = self._roll(now)
                    counts, slice_end = tally.histogram, tally.end_nanoseconds
                latency = now - connection.started
                shift = latency.bit_length() - 10  # index_of, inlined
                counts[(shift << 9) + (latency >> shift) if shift > 0 else latency] += 1
                if is_open:
                    tally.service_histogram[index_of(now - connection.begun)] += 1
                    self._free(connection)
                    continue
                connection.started = now
                if rotates:
                    connection.index = index = next_index()
                    request = requests[index]
                    request_bytes = len(request)
                countdown -= 1
                if not countdown:
                    countdown = self._sample(connection)
                try:
                    size = connection.send(request)
                except _AGAIN:
                    size = 0
                except OSError as error:
                    slow.append((connection, failure_kind(error), b"", now))
                    continue
                sent += 1
                if size != request_bytes:
                    self._keep_unsent(connection, request, size)
            tally.bytes_received += received
            self._sent += sent
            self._countdown = countdown
            if slow:
                for connection, what, data, now in slow:
                    self._go_on(connection, what, data, now)
                slow.clear()
            now = clock()
            if now - woke > self._tally.lag_nanoseconds_max:
                self._tally.lag_nanoseconds_max = now - woke
            if is_open or now >= self._housekeeping_at:
                self._after_batch(now)

    def _go_on(self, connection: Watched, what: int | str | None, data: bytes, now: int) -> None:
        """What the hot loop left: an event's mask, a failure's kind, or data it doesn't recognise (None)."""
        if isinstance(what, int):
            connection.on_event(what)
        elif isinstance(connection, Connection) and connection.owes:
            if what is None:
                connection.parser.reset()
                self._take(connection, data, now)
            else:
                self._fail(connection, what, now)

    def _after_batch(self, now: int) -> None:
        if self.load.is_open and self._give_up_at is None:
            self._send_what_is_due(now)
        if now >= self._housekeeping_at:
            self._keep_house(now)

    def _keep_house(self, now: int) -> None:
        tally = self._roll(now)
        self._housekeeping_at = min(now + _HOUSEKEEPING_NANOSECONDS, tally.end_nanoseconds)
        timeout = round(self.load.timeout_seconds * _SECOND)
        for connection in (*self._slots, *self._leaving):
            if connection.state == RESTING:
                if now >= connection.rest_until:
                    self._begin_request(connection, now, now)
            elif connection.owes and now - max(connection.started, connection.begun) > timeout:
                self._fail(connection, "timeout", now)
        if self._give_up_at is not None:
            self._housekeeping_at = now  # after each batch from here on
            self._end_when_drained(now)

    def _roll(self, now: int) -> Tally:
        """Emit the slices that are over; returns the one that ``now`` is in."""
        while now >= self._tally.end_nanoseconds:
            self._emit_tally()
            self._tally = self._clock.tally_at(self._tally.end_nanoseconds)
        return self._tally

    def _emit_tally(self) -> None:
        cpu_seconds = time.process_time()
        busy_poll_seconds = self._busy_poll.nanoseconds / _SECOND
        slice_ = self._tally.as_slice(
            self._open_sockets, cpu_seconds - self._cpu_seconds, busy_poll_seconds - self._busy_poll_seconds
        )
        self._cpu_seconds, self._busy_poll_seconds = cpu_seconds, busy_poll_seconds
        self._completed += slice_["requests"] + sum(slice_["failures"].values())
        self._totals.add(slice_)
        self._emit(slice_)

    # How many connections

    def set_connections(self, count: int) -> None:
        """Hold so many connections from now on; those that are too many end when they are answered.

        Raises EngineError when the system doesn't allow so many open files.
        """
        if self._give_up_at is not None:
            return
        _allow_open_files(count + _FILES_BESIDE_CONNECTIONS)
        while len(self._slots) > count:
            self._retire(self._slots.pop())
        now = time.perf_counter_ns()
        while len(self._slots) < count:
            connection = Connection(self)
            self._slots.append(connection)
            if not self.load.is_open:
                self._begin_request(connection, now, now)
            elif self.load.keep_alive:
                connection.begun = now
                self._connect(connection, now)
            else:
                self._idle.append(connection)

    def _retire(self, connection: Connection) -> None:
        connection.retiring = True
        connection.fast = False
        if connection.owes and connection.state == BUSY:
            self._leaving.add(connection)
        else:
            self._close(connection)
            connection.owes = False

    def stop(self) -> None:
        """Send nothing any more, wait for what is in flight; ``serve`` returns when that is done."""
        if self._give_up_at is not None:
            return
        patience_seconds = min(_DRAIN_SECONDS, self.load.timeout_seconds)
        self._housekeeping_at = time.perf_counter_ns()
        self._give_up_at = self._housekeeping_at + round(patience_seconds * _SECOND)
        self._backlog_at_stop = len(self._backlog)
        while self._slots:
            self._retire(self._slots.pop())

    def _end_when_drained(self, now: int) -> None:
        if self._leaving and now < (self._give_up_at or 0):
            return
        self._in_flight_at_stop = len(self._leaving)
        for connection in self._leaving:
            self._close(connection)
        self._leaving.clear()
        self._emit_tally()
        self.over = True

    def abandon(self) -> None:
        """Close everything at once and measure no more: the run has failed."""
        for connection in (*self._slots, *self._leaving):
            self._close(connection)
        self.over = True

    def totals(self) -> dict[str, Any]:
        """Totals of protocol.md; complete once the run is over."""
        return {
            **self._totals.as_message(),
            "sent": self._sent,
            "completed": self._completed,
            "in_flight_at_stop": self._in_flight_at_stop,
            "backlog_at_stop": self._backlog_at_stop,
        }

    # Open loop

    def _seconds_to_next_due(self) -> float:
        if self._give_up_at is not None or self._backlog:
            return _IDLE_POLL_SECONDS
        return min((self._next_due - time.perf_counter_ns()) / _SECOND, _IDLE_POLL_SECONDS)

    def _send_what_is_due(self, now: int) -> None:
        backlog, tally = self._backlog, self._tally
        while backlog and (connection := self._take_idle()):
            self._begin_request(connection, backlog.popleft(), now)
        while self._next_due <= now:
            if not backlog and (connection := self._take_idle()):
                self._begin_request(connection, self._next_due, now)
            elif len(backlog) < self.load.max_backlog:
                backlog.append(self._next_due)
                tally.backlog_max = max(tally.backlog_max, len(backlog))
            else:
                tally.backlog_dropped += 1
            self._next_due = next(self._due)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.popleft()
            if not (connection.owes or connection.retiring) and connection.state in (IDLE, UNCONNECTED):
                return connection
        return None

    def _free(self, connection: Connection) -> None:
        """Answered, and without a request until one is due."""
        connection.owes = connection.fast = False
        connection.state = UNCONNECTED if connection.socket is None else IDLE
        self._idle.append(connection)

    # A connection's life

    def on_connection_event(self, connection: Connection, mask: int) -> None:
        state = connection.state
        if state == BUSY:
            if connection.unsent and mask & WRITE:
                self._send_more(connection)
            if mask & ~WRITE and connection.state == BUSY:
                self._receive(connection)
        elif state == CONNECTING:
            self._end_connecting(connection)
        elif state == HANDSHAKING:
            self._shake_hands(connection)
        elif state == IDLE:
            self._close(connection)  # the server has ended it, or talks out of turn: not a request's failure

    def _begin_request(self, connection: Connection, started: int, now: int) -> None:
        connection.owes = True
        connection.started, connection.begun = started, now
        connection.index = self._next_index()
        if connection.socket is None:
            self._connect(connection, now)
        else:
            self._transmit(connection, now)

    def _connect(self, connection: Connection, now: int) -> None:
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError as error:
            raise EngineError(
                f"no socket to be had for a connection: {error}. Use fewer connections"
            ) from error
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.adopt(sock)
        connection.state = CONNECTING
        status = sock.connect_ex(self._address)
        self._watch(connection, WRITE)
        if status not in (0, errno.EINPROGRESS):
            self._fail(connection, failure_kind(OSError(status, ""), connecting=True), now)

    def _watch(self, connection: Connection, mask: int) -> None:
        connection.fd = connection.file().fileno()
        self._watched[connection.fd] = connection
        self._poller.register(connection.fd, mask)

    def _end_connecting(self, connection: Connection) -> None:
        now = time.perf_counter_ns()
        status = connection.file().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._fail(connection, failure_kind(OSError(status, ""), connecting=True), now)
        elif self._tls is None:
            self._poller.modify(connection.fd, READ)
            self._connected(connection, now)
        else:
            name = self.load.server_name or self.load.host
            plain = connection.file()
            connection.adopt(
                self._tls.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            )
            connection.state = HANDSHAKING
            self._shake_hands(connection)

    def _shake_hands(self, connection: Connection) -> None:
        sock = connection.file()
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._poller.modify(connection.fd, READ)
        except ssl.SSLWantWriteError:
            self._poller.modify(connection.fd, WRITE)
        except ssl.SSLCertVerificationError as error:
            raise EngineError(
                f"the server's certificate is not trusted ({error.verify_message}): set tls_ca_file"
            ) from error
        except OSError as error:
            self._fail(connection, failure_kind(error), time.perf_counter_ns())
        else:
            self._poller.modify(connection.fd, READ)
            self._connected(connection, time.perf_counter_ns())

    def _connected(self, connection: Connection, now: int) -> None:
        self._open_sockets += 1
        self._tally.connects += 1
        if connection.ever_connected and self.load.keep_alive:
            self._tally.reconnects += 1
        connection.ever_connected = True
        connection.connected_at = now
        if connection.owes:
            self._transmit(connection, now)
        else:
            connection.state = IDLE
            self._idle.append(connection)

    def _transmit(self, connection: Connection, now: int) -> None:
        connection.state = BUSY
        connection.begun = now
        connection.parser.reset()
        connection.fast = True
        if self.load.is_open:
            self._tally.send_lag[index_of(now - connection.started)] += 1
        self._countdown -= 1
        if not self._countdown:
            self._countdown = self._sample(connection)
        request = self._requests[connection.index]
        try:
            size = connection.send(request)
        except _AGAIN:
            size = 0
        except OSError as error:
            self._fail(connection, failure_kind(error), now)
            return
        self._sent += 1
        if size != len(request):
            self._keep_unsent(connection, request, size)

    def _sample(self, connection: Connection) -> int:
        """The next response on it has its body hashed; returns the requests until another one has."""
        if self.load.body_sha256:
            connection.fast = False
            connection.parser.reset()
            connection.parser.digest = hashlib.sha256()
        return self.load.hash_sample_every

    def _keep_unsent(self, connection: Connection, request: bytes, size: int) -> None:
        connection.fast = False
        connection.unsent = memoryview(request)[size:]
        self._poller.modify(connection.fd, READ | WRITE)

    def _send_more(self, connection: Connection) -> None:
        try:
            size = connection.send(connection.unsent)
        except _AGAIN:
            return
        except OSError as error:
            self._fail(connection, failure_kind(error), time.perf_counter_ns())
            return
        connection.unsent = connection.unsent[size:]
        if not connection.unsent:
            self._poller.modify(connection.fd, READ)

    # Answers that the hot loop leaves to the parser

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.recv(
                min(connection.remaining + 1, _READ_BYTES) if connection.remaining else _READ_BYTES
            )
        except _AGAIN:
            return
        except OSError as error:
            self._fail(connection, failure_kind(error), time.perf_counter_ns())
            return
        now = time.perf_counter_ns()
        self._tally.bytes_received += len(data)
        if connection.remaining:
            self._take_rest(connection, data, now)
        else:
            self._take(connection, data, now)

    def _take_rest(self, connection: Connection, data: bytes, now: int) -> None:
        """More of a body whose head the hot loop recognised, on a connection that has left it since."""
        connection.remaining -= len(data)
        if not data:
            self._fail(connection, "closed_early", now)
        elif connection.remaining < 0:
            self._fail(connection, "bad_framing", now)
        elif not connection.remaining:
            self._succeed(connection, now)
            self._go_idle_or_on(connection, now, reusable=True)

    def _take(self, connection: Connection, data: bytes, now: int) -> None:
        parser = connection.parser
        try:
            complete = parser.feed(data) == len(data) if data else parser.end()
        except FramingError:
            self._fail(connection, "bad_framing", now)
            return
        if parser.complete and complete:
            self._settle(connection, data, now)
        elif not data:
            self._fail(connection, "closed_early", now)
        elif parser.complete:
            self._fail(connection, "bad_framing", now)  # there is more than the response
        else:
            connection.fast = False

    def _settle(self, connection: Connection, data: bytes, now: int) -> None:
        parser = connection.parser
        kind = self._verdict(connection)
        if kind is None:
            self._succeed(connection, now)
            self._recogniser.remember(parser, data)
        else:
            self._count_failure(connection, kind, now)
        reusable = self.load.keep_alive and not parser.closes and not connection.unsent
        self._go_idle_or_on(connection, now, reusable=reusable)

    def _verdict(self, connection: Connection) -> str | None:
        load, parser = self.load, connection.parser
        if parser.status != load.status:
            return "bad_status"
        if load.length_bytes is not None and parser.body_length != load.length_bytes:
            return "bad_length"
        if parser.digest is not None:
            hashes = load.body_sha256
            if parser.digest.hexdigest() != hashes[connection.index if len(hashes) > 1 else 0]:
                return "bad_body"
        return None

    def _succeed(self, connection: Connection, now: int) -> None:
        tally = self._roll(now)
        tally.histogram[index_of(now - connection.started)] += 1
        if self.load.is_open:
            tally.service_histogram[index_of(now - connection.begun)] += 1

    def _count_failure(self, connection: Connection, kind: str, now: int) -> None:
        tally = self._roll(now)
        tally.failures[kind] += 1
        tally.failure_histogram[index_of(now - connection.started)] += 1

    def _go_idle_or_on(self, connection: Connection, now: int, *, reusable: bool) -> None:
        """After an answer, good or bad."""
        if not reusable:
            self._close(connection)
        if connection.retiring:
            self._leave(connection)
        elif self.load.is_open:
            self._free(connection)
        else:
            self._begin_request(connection, now, now)

    def _fail(self, connection: Connection, kind: str, now: int) -> None:
        """Without an answer: the connection is closed, and what it owed is counted."""
        young = connection.state != BUSY or now - connection.connected_at < _SHORT_LIFE_NANOSECONDS
        owed = connection.owes
        if owed:
            self._count_failure(connection, kind, now)
        self._close(connection)
        connection.owes = False
        if connection.retiring:
            self._leave(connection)
        elif self.load.is_open:
            self._idle.append(connection)
        elif young:
            connection.state = RESTING
            connection.rest_until = now + _REST_NANOSECONDS
        else:
            self._begin_request(connection, now, now)

    def _leave(self, connection: Connection) -> None:
        self._close(connection)
        connection.owes = False
        self._leaving.discard(connection)

    def _close(self, connection: Connection) -> None:
        sock, connection.socket = connection.socket, None
        if sock is not None:
            if connection.state in (IDLE, BUSY):
                self._open_sockets -= 1
            self._poller.unregister(connection.fd)
            del self._watched[connection.fd]
            sock.close()
        connection.state = UNCONNECTED
        connection.fast = False
        connection.remaining = 0
        connection.unsent = memoryview(b"")


def failure_kind(error: OSError, *, connecting: bool = False) -> str:
    """The kind of protocol.md that a socket's error is counted as."""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed_early"
    return "refused" if connecting else "reset"


def _rotated(count: int, index: int, workers: int) -> tuple[int, ...]:
    start = count * index // workers
    return (*range(start, count), *range(start))


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EngineError(
            f"{host!r} can't be resolved: {error}. Set asgibench_address to one that can"
        ) from error
    return found[0][0], found[0][4]


def _tls_context(load: Load) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    try:
        if load.tls_ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(load.tls_ca_file)
    except OSError as error:
        raise EngineError(f"the CA file {load.tls_ca_file} can't be used: {error}") from error
    return context


def _allow_open_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    wanted = max(count, _FILES_WANTED)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if wanted < count:
        raise EngineError(f"{count} open files are needed and {hard} allowed: raise the limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# --- talking to the Locust process ------------------------------------------------------------------------


class Channel(Watched):
    """JSON objects, one a line, over a stream socket that never blocks."""

    __slots__ = ("_handle", "_incoming", "_outgoing", "_poller", "_socket")

    def __init__(self, sock: socket.socket, poller: Poller, handle: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._socket = sock
        self._poller = poller
        self._handle = handle
        self._incoming = bytearray()
        self._outgoing = bytearray()
        sock.setblocking(False)
        poller.register(sock.fileno(), READ)

    def send(self, message: dict[str, Any]) -> None:
        waiting = bool(self._outgoing)
        self._outgoing += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if not waiting:
            self._flush()
            if self._outgoing:
                self._poller.modify(self._socket.fileno(), READ | WRITE)

    def on_event(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
            if not self._outgoing:
                self._poller.modify(self._socket.fileno(), READ)
        if mask & ~WRITE:
            self._read()

    def _flush(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except _AGAIN:
            pass
        except OSError as error:
            raise ChannelClosed from error

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except _AGAIN:
            return
        except OSError:
            data = b""
        if not data:
            raise ChannelClosed
        self._incoming += data
        *lines, rest = self._incoming.split(b"\n") if b"\n" in data else [self._incoming]
        self._incoming = rest
        for line in lines:
            self._handle(json.loads(line))


class Engine:
    """Run after run, as the channel says, until it closes."""

    def __init__(self, sock: socket.socket, poller: Poller) -> None:
        self._poller = poller
        self._watched: dict[int, Watched] = {}
        self._channel = Channel(sock, poller, self._obey)
        self._watched[sock.fileno()] = self._channel
        self._run: Run | None = None

    def serve(self) -> None:
        """Returns when the channel is closed."""
        while True:
            try:
                if self._run is None:
                    for fd, mask in self._poller.poll(None):
                        self._watched[fd].on_event(mask)
                else:
                    self._drive(self._run)
            except EngineError as error:
                self._abandon()
                self._channel.send({"event": "failed", "message": str(error)})
            except ChannelClosed:
                self._abandon()
                return

    def _drive(self, run: Run) -> None:
        run.serve()
        self._run = None
        self._channel.send({"event": "totals", "totals": run.totals()})
        gc.collect()

    def _obey(self, message: dict[str, Any]) -> None:
        match message["do"]:
            case "run":
                self._abandon()
                self._run = self._new_run(message)
                self._channel.send({"event": "ready"})
            case "connections" if self._run is not None:
                self._run.set_connections(message["connections"])
                self._channel.send({"event": "connections", "connections": message["connections"]})
            case "stop" if self._run is not None:
                self._run.stop()

    def _new_run(self, message: dict[str, Any]) -> Run:
        load = Load.from_message(message["spec"], message["worker"])
        place = {"index": message["index"], "workers": message["workers"]}
        return Run(load, self._poller, self._watched, self._emit, **place)

    def _emit(self, slice_: dict[str, Any]) -> None:
        self._channel.send({"event": "slice", "slice": slice_})
        gc.collect(0)

    def _abandon(self) -> None:
        if self._run is not None:
            self._run.abandon()
            self._run = None


def _die_with(parent: int) -> None:
    """Where the kernel can (Linux), a kill of the parent is one of ours; else the closed channel must do."""
    if sys.platform == "linux":
        pr_set_pdeathsig, pr_set_timerslack = 1, 29
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
        libc.prctl(pr_set_timerslack, 1)
    if parent and os.getppid() != parent:
        sys.exit(0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The load engine; started by locustfile.py")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, default=0, help="end at once if this is no longer the parent")
    options = parser.parse_args(arguments)
    _die_with(options.parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end comes with the channel's, after the last slice
    gc.collect()
    gc.freeze()
    gc.disable()  # collected once a slice instead, when there is time
    Engine(socket.socket(fileno=options.control_fd), make_poller()).serve()


if __name__ == "__main__":
    main()
