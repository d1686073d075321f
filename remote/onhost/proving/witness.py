"""What the app saw of one request: the file that it wrote under the request's token."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.wire.codec import decode_line, encode_line
from bench.wire.proving import Exhibit, ProbeOrder, Script, Seen, Step

WAIT_SECONDS = 2.0
RETRY_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Story:
    """All that the app noted of one request, in its order; nothing where the request did not reach it."""

    lines: tuple[Seen, ...]
    asked: Script | None = None  # what the app was told to do

    @property
    def scope(self) -> dict[str, object]:
        return next((one.detail for one in self.lines if one.what == "scope"), {})

    @property
    def extensions(self) -> dict[str, object]:
        found = self.scope.get("extensions")
        return found if isinstance(found, dict) else {}

    @property
    def reached(self) -> bool:
        return bool(self.lines)

    def received(self, kind: str = "") -> tuple[dict[str, object], ...]:
        """The events that came to the app, of one type or of all."""
        return tuple(
            one.detail for one in self.lines if one.what == "received" and kind in ("", one.detail["type"])
        )

    @property
    def body(self) -> str:
        """Of the request, as latin-1."""
        return "".join(str(one.get("body", "")) for one in self.received("http.request"))

    def refused(self, kind: str) -> str:
        """What sending a message of this type raised; "" where it raised nothing."""
        for one in self.lines:
            if one.what == "sent" and one.detail.get("type") == kind and "raised" in one.detail:
                return str(one.detail["raised"])
        return ""

    @property
    def first_at(self) -> float:
        """When the app saw the first of it; only to be compared."""
        return min((one.at for one in self.lines), default=0.0)

    def exhibit(self, label: str = "the app saw") -> Exhibit:
        """With what the app was told to do first."""
        told = [] if self.asked is None else [b"told to " + encode_line(self.asked).rstrip()]
        seen = [encode_line(one).rstrip() for one in self.lines] or [b"(nothing)"]
        return Exhibit.of(label, b"\n".join([*told, *seen]))


def script(*steps: Step) -> Script:
    """With a token of its own."""
    return Script(secrets.token_hex(8), steps)


def query_of(order: ProbeOrder, asked: Script) -> str:
    """The query of a request for it; from now on the app finds it there."""
    (Path(order.witness) / asked.file_name).write_bytes(encode_line(asked))
    return asked.query


def answer(
    body: str = "ok", *headers: tuple[str, str], status: int = 200, start: dict[str, object] | None = None
) -> tuple[Step, ...]:
    """The steps of a usual answer, with its length. ``start`` is added to its first message."""
    named = [["content-type", "text/plain"], ["content-length", str(len(body))], *map(list, headers)]
    begin = {"type": "http.response.start", "status": status, "headers": named, **(start or {})}
    return Step("send", begin), Step("send", {"type": "http.response.body", "body": body})


def story(order: ProbeOrder, asked: Script, seconds: float = WAIT_SECONDS) -> Story:
    """What the app saw of ``asked``, once it has ended; what there is of it after ``seconds``."""
    return replace(story_of(order, asked.token, seconds), asked=asked)


def story_of(order: ProbeOrder, token: str, seconds: float = WAIT_SECONDS) -> Story:
    deadline = time.monotonic() + seconds
    while True:
        found = _read(Path(order.witness) / token)
        if any(one.what == "end" for one in found) or time.monotonic() > deadline:
            return Story(found)
        time.sleep(RETRY_SECONDS)


def _read(path: Path) -> tuple[Seen, ...]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return ()
    return tuple(decode_line(Seen, line) for line in lines if line.endswith(b"\n"))
