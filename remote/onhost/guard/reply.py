"""How one request is answered."""

from __future__ import annotations

from bench.wire.codec import encode_line
from bench.wire.guard import GuardFailure
from remote.onhost.guard.peer import Peer


class Reply:
    """Called once, with the verb's answer or with a failure; a relay that has gone meanwhile is no error."""

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer = peer
        self._number = number

    def __call__(self, answer: object) -> None:
        self._peer.send(encode_line(answer, id=self._number, ok=True))

    def fail(self, failure: GuardFailure) -> None:
        self._peer.send(encode_line(failure, id=self._number, ok=False))
