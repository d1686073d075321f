"""What an app notes of what it saw, for the probe that asked: a file for each token, a line for each note."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bench.wire.codec import decode_line, encode_line
from bench.wire.proving import WITNESS_VARIABLE, Script, Seen, script_file

WHOLE_BYTES = 200
"""Of a body that is noted as it is."""


def script_of(token: str) -> Script:
    """What a probe has written for the app to do. Raises OSError, WireError."""
    folder = Path(os.environ.get(WITNESS_VARIABLE, "."))
    return decode_line(Script, (folder / script_file(token)).read_bytes())


def note(token: str, what: Literal["scope", "received", "sent", "raised", "end"], detail: object) -> None:
    """Add a line to the file of ``token``, whose name is nothing but letters, digits and dashes."""
    folder = os.environ.get(WITNESS_VARIABLE)
    if not folder or not token.replace("-", "").isalnum():
        return
    plain = plain_value(detail)
    line = encode_line(Seen(what, plain if isinstance(plain, dict) else {"value": plain}, time.monotonic()))
    with (Path(folder) / token).open("ab") as file:
        file.write(line)


def plain_value(value: object) -> object:
    """As JSON has it: bytes as text, or as length, hash and beginning where they are many."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(inner) for inner in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        content = bytes(value)
        if len(content) <= WHOLE_BYTES:
            return content.decode("latin-1")
        digest = hashlib.sha256(content).hexdigest()
        return f"{len(content)} bytes, sha256 {digest}, {content[:40].decode('latin-1')}"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return f"<{type(value).__name__}>"
