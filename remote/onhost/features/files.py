"""A file that the server is to send for the app, and whether its content came over the wire."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Found, absent, advertised, broken, works
from remote.onhost.proving.over_any import ask, ask_leniently
from remote.onhost.proving.witness import script, story

FILE_BYTES = 50_000


def probe_of_file(order: ProbeOrder, extension: str, message: Callable[[str], dict[str, object]]) -> Found:
    """The body's hash is held against the file's. ``message`` makes what the app sends of the file's path."""
    content = secrets.token_bytes(FILE_BYTES)
    path = Path(order.witness) / f"file-{secrets.token_hex(4)}"
    path.write_bytes(content)
    asked, empty = script(*_steps(message(str(path)))), script(*_steps(None))
    got, control = ask_leniently(order, asked), ask(order, empty)
    saw = story(order, asked)
    right, came = hashlib.sha256(content).hexdigest(), hashlib.sha256(got.body).hexdigest()
    evidence = (
        *got.evidence,
        saw.exhibit(),
        *control.named("control, an empty body in place of the file"),
    )
    is_in_scope = extension in saw.extensions
    if control.body:
        return broken("the control fails: a body that the app did not send", *evidence)
    if came == right:
        where = "in the scope, and" if is_in_scope else "not in the scope, yet"
        return works(f"{where} the body has the file’s hash, {right[:12]}…", *evidence)
    if is_in_scope:
        raised = saw.refused(extension)
        why = f"; sending it raises {raised}" if raised else ""
        return advertised(f"in the scope, and the file does not come: {got.told}{why}", *evidence)
    refused = saw.refused(extension)
    how = f"sending it anyway raises {refused}" if refused else f"sent anyway, what comes is {got.told}"
    return absent(f"not in the scope; {how}", *evidence)


def _steps(message: dict[str, object] | None) -> tuple[Step, ...]:
    """Of an answer whose body is what the message stands for; where sending that raises, an empty one."""
    headers = [["content-type", "application/octet-stream"]]
    start = Step("send", {"type": "http.response.start", "status": 200, "headers": headers})
    if message is None:
        return start, Step("send", {"type": "http.response.body", "body": ""})
    return start, Step("send", message), Step("otherwise", {"type": "http.response.body", "body": ""})
