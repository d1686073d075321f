"""Server push: an answer to a request that the client has not made."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, advertised, broken, works
from remote.onhost.proving.alpn import selected_alpn
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http2 import ENABLE_PUSH, Http2Client, get
from remote.onhost.proving.over_any import ask
from remote.onhost.proving.witness import answer, query_of, script, story

EXTENSION = "http.response.push"


def probe(order: ProbeOrder) -> Found:
    pushed = script(*answer("pushed"))
    push = Step("send", {"type": EXTENSION, "path": f"/?{query_of(order, pushed)}", "headers": []})
    asked, unwanted = script(push, *answer()), script(push, *answer())
    if not order.tls:
        got = ask(order, asked)
        saw = story(order, asked)
        refused = saw.refused(EXTENSION)
        how = f"sending one anyway raises {refused}" if refused else "sent anyway, nothing is pushed"
        where = "in the scope of HTTP/1.1, which has none" if EXTENSION in saw.extensions else "no HTTP/2"
        return absent(f"{where}; {how}", *got.evidence, saw.exhibit())
    with open_connection(order, alpn=("h2", "http/1.1")) as wire:
        if selected_alpn(wire) != "h2":
            return absent("no HTTP/2 to push over", *wire.evidence())
        client = Http2Client(wire, settings={ENABLE_PUSH: 1})
        stream = client.request(get(order, asked))
        client.answer(stream)
        client.read_until(
            lambda: any(client.streams[one].ended for one, _ in client.streams[stream].pushed), 0.5
        )
        promised = client.streams[stream].pushed
        bodies = [bytes(client.streams[one].body) for one, _ in promised]
    with open_connection(order, alpn=("h2",)) as other:
        # RFC 9113, 8.4: no push to a client that has set SETTINGS_ENABLE_PUSH to 0.
        control = Http2Client(other, settings={ENABLE_PUSH: 0})
        quiet = control.request(get(order, unwanted))
        control.answer(quiet)
        control.read_until(lambda: bool(control.streams[quiet].pushed), 0.3)
    saw = story(order, asked)
    evidence = (
        *client.evidence(),
        saw.exhibit(),
        story(order, pushed, seconds=0.2).exhibit("the app saw of the pushed request"),
        *control.evidence("control, SETTINGS_ENABLE_PUSH 0"),
    )
    is_in_scope = EXTENSION in saw.extensions
    if control.streams[quiet].pushed or control.terminated:
        return broken("the control fails: a push to a client that has forbidden it", *evidence)
    if b"pushed" in bodies:
        where = "in the scope, and" if is_in_scope else "not in the scope, yet"
        return works(
            f"{where} PUSH_PROMISE and the pushed answer came; none where the client forbids it", *evidence
        )
    if is_in_scope:
        return advertised(
            f"in the scope, and nothing is pushed: {len(promised)} promises, {bodies}", *evidence
        )
    refused = saw.refused(EXTENSION)
    how = f"sending one anyway raises {refused}" if refused else "sent anyway, nothing is pushed"
    return absent(f"not in the scope; {how}", *evidence)


FEATURE = Feature(
    "server-push", "Server push", "RFC 9113, 8.4; ASGI extension: HTTP/2 Server Push", ("h2",), probe, "plain"
)
