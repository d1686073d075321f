"""How much a link carries: a receiver and a sender over TCP. Shipped: standard library only.

On the server's host, where the measured server will listen::

    link_probe.py serve --address A --port P --seconds LIFETIME

prints ``listening`` and ends by itself after LIFETIME. It serves only those that have the token, which both
ends find in ASGIBENCH_LINK_TOKEN.

On a load host::

    link_probe.py measure --address A --port P --seconds S [--upload] [--at T]

prints a LinkMeasured (bench/wire/links.py). It begins at T on the host's own monotonic clock, in seconds,
else at once.

Packets are messages of one byte that go to and fro over many connections at once.

Bytes are those of the TCP streams, headers left out, counted where they arrive, after a run-up. Where the
busiest thread at either end has nearly a whole core, it was the probe that was measured, and the link carries
more.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.wire.codec import decode_line, encode_line
from bench.wire.links import LinkMeasured, LinkOrder, LinkPart, PacketRate, StreamEnd, Transfer

STREAMS = 4
# Small messages under way at once: as many connections as a benchmark has, or nearly.
PACKET_STREAMS = 32
CHUNK_BYTES = 1 << 18
# Slow start, and the bucket of a token-bucket shaper, are over by then.
RUN_UP_SECONDS = 0.25
PINGS = 100
CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 10.0
HELLO_BYTES = 4096
# In struct tcp_info of linux/tcp.h, where the kernel is new enough to fill it.
MIN_RTT_OFFSET = 148


class ThreadUse:
    """Core share of the calling thread since it was made, with what it waited for a core (Linux)."""

    def __init__(self) -> None:
        self._began, self._cpu, self._wait = time.monotonic(), time.thread_time(), run_wait_seconds()

    def share(self) -> float:
        elapsed = max(time.monotonic() - self._began, 1e-9)
        used = time.thread_time() - self._cpu + run_wait_seconds() - self._wait
        return min(1.0, used / elapsed)


def run_wait_seconds() -> float:
    """How long this thread has been ready to run without a core; 0.0 where the system doesn't tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class ProcessUse:
    """Core share of this whole process since it was made: its threads take turns, so that none looks busy."""

    def __init__(self) -> None:
        self._began, self._cpu, self._wait = time.monotonic(), time.process_time(), run_wait_seconds()

    def share(self) -> float:
        elapsed = max(time.monotonic() - self._began, 1e-9)
        used = time.process_time() - self._cpu + run_wait_seconds() - self._wait
        return min(1.0, used / elapsed)


class Count:
    """Bytes that arrived from the run-up's end on for ``seconds``; the first byte of any stream starts it.

    The senders go on beyond it, so that a stream that stalls at its end counts as what it is.
    """

    def __init__(self, seconds: float, first: float | None = None) -> None:
        self._seconds = seconds
        self._first = first
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int, now: float) -> None:
        with self._lock:
            if self._first is None:
                self._first = now
            if RUN_UP_SECONDS <= now - self._first < RUN_UP_SECONDS + self._seconds:
                self._bytes += size

    def bytes_per_second(self) -> float:
        return self._bytes / self._seconds


# ---------------------------------------------------------------- streams


def send_stream(peer: socket.socket, seconds: float) -> None:
    data = bytes(CHUNK_BYTES)
    deadline = time.monotonic() + seconds + 2 * RUN_UP_SECONDS
    with contextlib.suppress(ConnectionError, TimeoutError):
        while time.monotonic() < deadline:
            peer.send(data)


def receive_stream(peer: socket.socket, count: Count) -> bytes:
    """The stream's last bytes."""
    buffer, tail = bytearray(CHUNK_BYTES), b""
    while size := peer.recv_into(buffer):
        count.add(size, time.monotonic())
        tail = (tail + bytes(buffer[max(0, size - HELLO_BYTES) : size]))[-HELLO_BYTES:]
    return tail


def stream_end(tail: bytes) -> StreamEnd:
    """From the last bytes of a stream. Raises ValueError."""
    return decode_line(StreamEnd, tail[tail.rindex(b"{") :])


# ---------------------------------------------------------------- serve


def answer(peer: socket.socket, token: str) -> None:
    with peer:
        peer.settimeout(PATIENCE_SECONDS)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A WireError is a ValueError.
        with contextlib.suppress(OSError, ValueError):
            order = read_order(peer)
            if not hmac.compare_digest(order.token.encode(), token.encode()):
                return
            peer.sendall(b"+")
            SERVED[order.part](peer, order.seconds)


def read_order(peer: socket.socket) -> LinkOrder:
    received = b""
    while not received.endswith(b"\n"):
        chunk = peer.recv(1)
        if not chunk or len(received) > HELLO_BYTES:
            raise ValueError("no order")
        received += chunk
    return decode_line(LinkOrder, received)


def serve_pings(peer: socket.socket, seconds: float) -> None:
    while data := peer.recv(1):
        peer.sendall(data)


def serve_packets(peer: socket.socket, seconds: float) -> None:
    use = ProcessUse()
    serve_pings(peer, seconds)
    peer.sendall(encode_line(StreamEnd(use.share())))


def serve_download(peer: socket.socket, seconds: float) -> None:
    use = ThreadUse()
    send_stream(peer, seconds)
    peer.sendall(encode_line(StreamEnd(use.share())))


def serve_upload(peer: socket.socket, seconds: float) -> None:
    use = ThreadUse()
    count = Count(seconds)
    receive_stream(peer, count)
    peer.sendall(encode_line(StreamEnd(use.share(), count.bytes_per_second())))


SERVED: dict[LinkPart, Callable[[socket.socket, float], None]] = {
    "ping": serve_pings,
    "download": serve_download,
    "upload": serve_upload,
    "packets": serve_packets,
}


def serve(address: str, port: int, lifetime_seconds: float, token: str) -> None:
    family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    deadline = time.monotonic() + lifetime_seconds
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
        print("listening", flush=True)
        while (left := deadline - time.monotonic()) > 0:
            listener.settimeout(left)
            with contextlib.suppress(TimeoutError):
                peer, _ = listener.accept()
                threading.Thread(target=answer, args=(peer, token), daemon=True).start()


# ---------------------------------------------------------------- measure


class Stranger(Exception):
    """Something else listens there."""


def ordered(address: str, port: int, order: LinkOrder) -> socket.socket:
    peer = socket.create_connection((address, port), CONNECT_SECONDS)
    try:
        peer.settimeout(PATIENCE_SECONDS)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(encode_line(order))
        if peer.recv(1) != b"+":
            raise Stranger
    except BaseException:
        peer.close()
        raise
    return peer


def round_trip_seconds(peer: socket.socket) -> float:
    """The shortest of many; by the kernel's own reading where it has one, without Python's part."""
    shortest = float("inf")
    for _ in range(PINGS):
        began = time.perf_counter()
        peer.sendall(b".")
        peer.recv(1)
        shortest = min(shortest, time.perf_counter() - began)
    kernel = kernel_round_trip_seconds(peer)
    return shortest if kernel is None else min(shortest, kernel)


def kernel_round_trip_seconds(peer: socket.socket) -> float | None:
    if not sys.platform.startswith("linux"):
        return None
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MIN_RTT_OFFSET + 4)
    if len(info) < MIN_RTT_OFFSET + 4:
        return None
    (microseconds,) = struct.unpack_from("=I", info, MIN_RTT_OFFSET)
    return microseconds / 1e6 if 0 < microseconds < 2**32 - 1 else None


def download(peer: socket.socket, count: Count) -> float:
    """Receive into ``count``; the busier end's thread."""
    use = ThreadUse()
    tail = receive_stream(peer, count)
    return max(use.share(), stream_end(tail).busiest_thread)


def upload(peer: socket.socket, seconds: float) -> StreamEnd:
    """Send; what arrived, and the busier end's thread."""
    use = ThreadUse()
    send_stream(peer, seconds)
    peer.shutdown(socket.SHUT_WR)
    share = use.share()
    received = b""
    while chunk := peer.recv(HELLO_BYTES):
        received += chunk
    theirs = stream_end(received)
    return StreamEnd(max(share, theirs.busiest_thread), theirs.bytes_per_second)


def exchange(peers: Sequence[socket.socket], seconds: float) -> float:
    """Send a byte on each, and another when it comes back; how many came back each second after a run-up."""
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer, selectors.EVENT_READ)
            peer.sendall(b".")
        began, exchanged = time.monotonic(), 0
        while (now := time.monotonic()) < began + RUN_UP_SECONDS + seconds:
            for key, _ in selector.select(seconds):
                peer = key.fileobj  # type: ignore[assignment]
                if not peer.recv(HELLO_BYTES):
                    raise ConnectionError("closed early")
                peer.sendall(b".")
                exchanged += now >= began + RUN_UP_SECONDS
    return exchanged / seconds


@contextlib.contextmanager
def streams(
    address: str, port: int, order: LinkOrder, at: float, count: int = STREAMS
) -> Iterator[list[socket.socket]]:
    """The receiver's first byte starts its clock: orders are given when it is time."""
    with contextlib.ExitStack() as stack:
        time.sleep(max(0.0, min(at - time.monotonic(), PATIENCE_SECONDS)))
        yield [stack.enter_context(ordered(address, port, order)) for _ in range(count)]


def measure_download(address: str, port: int, order: LinkOrder, at: float) -> Transfer:
    # With a moment agreed on, the intervals of several hosts are the same one.
    count = Count(order.seconds, at or None)
    with streams(address, port, order, at) as peers, ThreadPoolExecutor(STREAMS) as pool:
        busiest = max(pool.map(lambda peer: download(peer, count), peers))
    return Transfer(count.bytes_per_second(), busiest, order.seconds)


def measure_upload(address: str, port: int, order: LinkOrder) -> Transfer:
    with streams(address, port, order, 0.0) as peers, ThreadPoolExecutor(STREAMS) as pool:
        found = list(pool.map(lambda peer: upload(peer, order.seconds), peers))
    return Transfer(
        sum(one.bytes_per_second for one in found), max(one.busiest_thread for one in found), order.seconds
    )


def measure_packets(address: str, port: int, order: LinkOrder) -> PacketRate:
    with streams(address, port, order, 0.0, PACKET_STREAMS) as peers:
        use = ProcessUse()
        each_way = exchange(peers, order.seconds)
        busiest = use.share()
        for peer in peers:
            peer.shutdown(socket.SHUT_WR)
        for peer in peers:
            received = b""
            while chunk := peer.recv(HELLO_BYTES):
                received += chunk
            busiest = max(busiest, stream_end(received).busiest_thread)
    return PacketRate(each_way, busiest, order.seconds)


def measure(options: argparse.Namespace, token: str) -> LinkMeasured:
    place = (options.address, options.port)
    with ordered(*place, LinkOrder(token, "ping")) as peer:
        round_trip = round_trip_seconds(peer)
    down = measure_download(*place, LinkOrder(token, "download", options.seconds), options.at)
    up = measure_upload(*place, LinkOrder(token, "upload", options.seconds)) if options.upload else None
    packets = None if options.at else measure_packets(*place, LinkOrder(token, "packets", options.seconds))
    return LinkMeasured("", down, up, round_trip, packets)


def problem_of(error: Exception) -> str:
    if isinstance(error, Stranger):
        return "stranger"
    if isinstance(error, socket.gaierror):
        return f"resolve: {error.strerror}"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError | ValueError):
        return f"lost: {error}"
    return f"unreachable: {getattr(error, 'strerror', None) or error}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a link; see the top of this file.")
    parser.add_argument("do", choices=("serve", "measure"))
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--upload", action="store_true")
    parser.add_argument("--at", type=float, default=0.0)
    options = parser.parse_args()
    token = os.environ["ASGIBENCH_LINK_TOKEN"]
    if options.do == "serve":
        serve(options.address, options.port, options.seconds, token)
        return
    try:
        found = measure(options, token)
    except (OSError, ValueError, Stranger) as error:
        found = LinkMeasured(problem_of(error))
    sys.stdout.write(encode_line(found).decode())


if __name__ == "__main__":
    main()
