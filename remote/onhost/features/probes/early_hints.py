"""Early hints: an answer 103 before the answer."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, advertised, broken, works
from remote.onhost.proving.over_any import ask_leniently
from remote.onhost.proving.witness import answer, script, story

EXTENSION = "http.response.early_hint"
LINK = "</style.css>; rel=preload; as=style"
HINT = Step("send", {"type": EXTENSION, "links": [LINK]})


def probe(order: ProbeOrder) -> Found:
    asked, without = script(HINT, *answer()), script(*answer())
    got, control = ask_leniently(order, asked), ask_leniently(order, without)
    saw = story(order, asked)
    evidence = (*got.evidence, saw.exhibit(), *control.named("control, no hint sent"))
    is_in_scope = EXTENSION in saw.extensions
    hinted = [dict(headers).get("link") for status, headers in got.informational if status == 103]
    if control.informational:
        return broken("the control fails: a hint that the app did not send", *evidence)
    if LINK in hinted and got.status == 200:
        where = (
            "in the scope, and 103 on the wire" if is_in_scope else "103 on the wire, though not in the scope"
        )
        return works(f"{where} ({got.protocol})", *evidence)
    if is_in_scope:
        return advertised(f"in the scope, and no 103 comes ({got.protocol}): {got.told}", *evidence)
    refused = saw.refused(EXTENSION)
    how = f"sending one anyway raises {refused}" if refused else "sent anyway, no 103 comes"
    return absent(f"not in the scope; {how}", *evidence)


FEATURE = Feature(
    "early-hints", "Early hints", "RFC 8297; ASGI extension: Early Hints", ("plain", "h2"), probe
)
