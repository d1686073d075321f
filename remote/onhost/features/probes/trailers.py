"""Trailers: header fields behind an answer's body."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, advertised, broken, works
from remote.onhost.proving.over_any import ask_leniently
from remote.onhost.proving.witness import script, story

EXTENSION = "http.response.trailers"
NAME, VALUE = "x-checksum", "abc123"


def steps(with_trailers: bool) -> tuple[Step, ...]:
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [["content-type", "text/plain"], ["trailer", NAME]],
        "trailers": with_trailers,
    }
    body = Step("send", {"type": "http.response.body", "body": "ok"})
    last = Step("send", {"type": EXTENSION, "headers": [[NAME, VALUE]]})
    return (Step("send", start), body, last) if with_trailers else (Step("send", start), body)


def probe(order: ProbeOrder) -> Found:
    asked, without = script(*steps(True)), script(*steps(False))
    got = ask_leniently(order, asked, ("te", "trailers"))
    control = ask_leniently(order, without, ("te", "trailers"))
    saw = story(order, asked)
    evidence = (*got.evidence, saw.exhibit(), *control.named("control, no trailers sent"))
    is_in_scope = EXTENSION in saw.extensions
    if control.trailers:
        return broken("the control fails: trailers that the app did not send", *evidence)
    if (NAME, VALUE) in got.trailers and got.body == b"ok":
        where = "in the scope, and on the wire" if is_in_scope else "on the wire, though not in the scope"
        return works(f"{where} ({got.protocol})", *evidence)
    if is_in_scope:
        return advertised(f"in the scope, and none comes ({got.protocol}): {got.told}", *evidence)
    refused = saw.refused(EXTENSION)
    how = f"sending them anyway raises {refused}" if refused else f"sent anyway, none comes: {got.told}"
    return absent(f"not in the scope; {how}", *evidence)


FEATURE = Feature(
    "trailers", "Trailers", "RFC 9110, 6.5; ASGI extension: HTTP Trailers", ("plain", "h2"), probe
)
