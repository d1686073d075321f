"""What the load of one endpoint is: the requests, the right answers, and the app's count of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from bench.spec import ENDPOINTS, Endpoint
from bench.wire.load import Expect, LoadSpec, Rotate
from testapp.data import expected_body, tokens

REQUEST_TIMEOUT_SECONDS = 10


class Traffic(msgspec.Struct, frozen=True):
    endpoint: Endpoint
    tokens: tuple[str, ...]
    body_sha256: tuple[str, ...]

    def load_spec(
        self,
        host: str,
        port: int,
        *,
        epoch: float,
        hash_sample_every: int,
        clock_offsets: Mapping[str, float],
    ) -> LoadSpec:
        rotate = None
        if self.endpoint.rotates_tokens or self.endpoint.is_users_own:
            rotate = Rotate("Authorization", self.tokens, prefix="Bearer ")
        return LoadSpec(
            host=host,
            port=port,
            path=self.endpoint.path,
            epoch=epoch,
            headers={"User-Agent": "asgibench", "Accept": "*/*"},
            rotate=rotate,
            expect=Expect(length=self.endpoint.length_bytes, body_sha256=self.body_sha256),
            hash_sample_every=hash_sample_every,
            timeout_seconds=REQUEST_TIMEOUT_SECONDS,
            clock_offsets=dict(clock_offsets),
            counted_paths=tuple(one.path for one in ENDPOINTS),
        )

    def first_request(self) -> tuple[Endpoint, dict[str, str]] | None:
        if self.endpoint.is_users_own:
            return None
        headers = {"Authorization": f"Bearer {self.tokens[0]}"} if self.endpoint.rotates_tokens else {}
        return self.endpoint, headers

    def count_by_app(self, counts: Mapping[str, int], elsewhere: int) -> int | None:
        """The app's own count of the same requests; None where a user's own file asks for others too."""
        if not self.endpoint.is_users_own:
            return counts.get(self.endpoint.name)
        return None if elsewhere else sum(counts.values())


def traffic_of(endpoint: Endpoint, seed: int) -> Traffic:
    """SHA-256 of every right body is computed here from the seed: no server is asked what is right."""
    known = tokens(seed)
    users = range(len(known)) if endpoint.rotates_tokens else ()
    bodies = tuple(hashlib.sha256(expected_body(seed, user)).hexdigest() for user in users)
    return Traffic(endpoint, known, bodies)
