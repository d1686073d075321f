"""What a load must hold to before it is driven."""

from __future__ import annotations

import base64
import binascii

from bench.wire.load import LoadSpec


class EngineError(Exception):
    """The run can't be done as asked for; the message says what to change."""


def check_load(load: LoadSpec) -> None:
    """Raises EngineError that names what is wrong."""
    values = len(load.rotate.values) if load.rotate else 1
    if not values:
        raise EngineError("rotate.values is empty: give at least one value, or leave rotate out")
    hashes = len(load.expect.body_sha256)
    if hashes not in (0, 1, values):
        raise EngineError(f"expect.body_sha256 has {hashes} hashes: give 0, 1 or {values}")
    if load.hash_sample_every < 1 or load.timeout_seconds <= 0:
        raise EngineError("hash_sample_every must be at least 1, and timeout_seconds more than 0")
    if load.is_open and not (load.rate_per_second or 0) > 0:
        raise EngineError("an open load needs a rate_per_second of more than 0")
    body_of(load)


def body_of(load: LoadSpec) -> bytes:
    """Raises EngineError where it is not base64."""
    try:
        return base64.b64decode(load.body, validate=True)
    except (ValueError, binascii.Error) as error:
        raise EngineError(f"body must be base64: {error}") from error
