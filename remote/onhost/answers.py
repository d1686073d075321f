"""Waits until a server is ready, asks for each endpoint once, and says what it answered and did.

Shipped; standard library only. stdin is a ReadyOrder, stdout a ServerReady (bench/wire/answers.py).

Ready means: as many distinct processes as the order wants have answered its ``process_path`` with status 200
and JSON, each over a fresh connection. A bare connect proves nothing: some servers listen before any worker
can answer.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import sys
import time

from bench.wire.answers import AnswerRequest, ReadyOrder, ServerReady, TakenAnswer
from bench.wire.codec import decode_line, encode_line
from bench.wire.observation import Configuration
from bench.wire.websocket import WebSocketError
from remote.onhost.echo import echo
from remote.onhost.observe import observe
from remote.onhost.reach import connect

RETRY_SECONDS = 0.005
ONE_ANSWER_SECONDS = 5.0


class NoAnswer(Exception):
    """Refused, reset, too late, or not HTTP."""


def ask(
    order: ReadyOrder, path: str, headers: dict[str, str], method: str = "GET", content: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own: (status, headers in lower case, body)."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {order.address}:{order.port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content or method != "GET":
        lines.append(f"Content-Length: {len(content)}")
    try:
        with connect(order, ONE_ANSWER_SECONDS) as peer:
            peer.sendall("\r\n".join([*lines, "", ""]).encode() + content)
            received = b"".join(iter(lambda: peer.recv(1 << 18), b""))
    except OSError as error:
        raise NoAnswer(str(error)) from error
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"HTTP/1."):
        raise NoAnswer(f"not an HTTP/1 answer: {received[:80]!r}")
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(first.split()[1]), fields, body


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ask_process(order: ReadyOrder) -> Configuration:
    """What one of the server's processes says of itself. Raises NoAnswer, and ValueError for no JSON."""
    status, _, body = ask(order, order.process_path, {})
    if status != 200:
        raise NoAnswer(f"{order.process_path} answers with status {status}")
    told: Configuration = json.loads(body)
    return told


def wait_until_ready(order: ReadyOrder) -> ServerReady:
    began = time.monotonic()
    deadline = began + order.deadline_seconds
    found: dict[int, Configuration] = {}
    problem = "nothing has answered yet"
    while time.monotonic() < deadline and is_running(order.pid) and len(found) < order.workers:
        try:
            told = ask_process(order)
            found[int(told["pid"] or 0)] = told
            problem = f"{len(found)} of {order.workers} workers have answered"
        except (NoAnswer, ValueError) as error:
            problem = str(error)
            time.sleep(RETRY_SECONDS)
    seconds = time.monotonic() - began
    if len(found) < order.workers:
        return ServerReady(False, seconds, tuple(sorted(found)), problem, merged(found))
    try:
        seen = observe(order, found, lambda: ask_process(order))
    except (NoAnswer, OSError, ValueError) as error:
        return ServerReady(
            False, seconds, tuple(sorted(found)), f"it answers no more: {error}", merged(found)
        )
    told_by = {int(one["pid"] or 0): one for one in seen.configurations}
    return ServerReady(True, seconds, tuple(sorted(told_by)), "", merged(told_by), seen=seen)


def merged(found: dict[int, Configuration]) -> Configuration:
    """One process's words for all of them, but TCP_NODELAY is on only where each of them has it on."""
    if not found:
        return {}
    told = dict(found[min(found)])
    delays = [one.get("tcp_nodelay") for one in found.values()]
    if False in delays:
        told["tcp_nodelay"] = False
    elif None in delays:
        told["tcp_nodelay"] = None
    return told


def take_answer(order: ReadyOrder, request: AnswerRequest) -> TakenAnswer:
    """Raises NoAnswer."""
    if request.protocol == "websocket":
        return take_echo(order, request)
    status, fields, body = ask(
        order,
        request.path,
        request.headers,
        request.method,
        base64.b64decode(request.body),
    )
    return TakenAnswer(
        status=status,
        content_type=fields.get("content-type", ""),
        content_length=fields.get("content-length", ""),
        length=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def take_echo(order: ReadyOrder, request: AnswerRequest) -> TakenAnswer:
    """Over a WebSocket of its own. Raises NoAnswer."""
    try:
        with connect(order, ONE_ANSWER_SECONDS) as peer:
            body = echo(peer, f"{order.address}:{order.port}", request)
    except (OSError, WebSocketError) as error:
        raise NoAnswer(f"{request.path} over WebSocket: {error}") from error
    return TakenAnswer(101, "", "", len(body), hashlib.sha256(body).hexdigest())


def main() -> int:
    order = decode_line(ReadyOrder, sys.stdin.read())
    outcome = wait_until_ready(order)
    if outcome.ready:
        try:
            answers = {request.name: take_answer(order, request) for request in order.requests}
            outcome = dataclasses.replace(outcome, answers=answers)
        except NoAnswer as error:
            outcome = dataclasses.replace(outcome, ready=False, problem=str(error))
    sys.stdout.write(encode_line(outcome).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
