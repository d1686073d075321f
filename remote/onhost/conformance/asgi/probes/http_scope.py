"""The scope of an HTTP request: every key, its type, and what it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from remote.onhost.conformance.asgi.exchange import AsgiExchange, AsgiObserved, Asked
from remote.onhost.conformance.asgi.probe import (
    ANSWER,
    READ,
    AsgiProbe,
    AsgiVerdict,
    allowed,
    ask,
    conforms,
    may_refuse,
    same_address,
    violates,
    weak,
)
from testapp.proving.asgi import STARTED_KEY, STARTED_VALUE
from testapp.proving.steps import MARK

RULE = "ASGI HTTP, HTTP Connection Scope"
LEAK = "asgibench.leak"
Check = Callable[[AsgiObserved], AsgiVerdict]


def told(name: str, value: object) -> str:
    return f"{name} is {value!r:.160}"


def is_exactly(name: str, *right: object) -> Check:
    """A key that must be there, with one of these values and its type."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        if name not in observed.scope:
            return violates(f"{name} is missing")
        value = observed.scope[name]
        fits = any(value == one and type(value) is type(one) for one in right)
        return (conforms if fits else violates)(told(name, value))

    return judge


def is_optional(name: str, *right: object, absent: tuple[object, ...] = ()) -> Check:
    """A key that may be missing, or have a value that stands for that."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        if name not in observed.scope:
            return allowed(f"{name} is missing")
        if observed.scope[name] in absent:
            return allowed(told(name, observed.scope[name]))
        return is_exactly(name, *right)(observed)

    return judge


def path_is(path: str, raw: bytes | None = None) -> Check:
    """Whatever its raw_path is must be ``raw``, where there is one."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        verdict = is_exactly("path", path)(observed)
        raw_path = observed.scope.get("raw_path")
        if verdict.judgement == "conforms" and raw is not None and raw_path not in (None, raw):
            return violates(f"{verdict.why}, and raw_path is {raw_path!r}")
        return verdict

    return judge


def _any_path(observed: AsgiObserved) -> AsgiVerdict:
    value = observed.scope.get("path")
    return (allowed if isinstance(value, str) else violates)(told("path", value))


def _is_dict(observed: AsgiObserved) -> AsgiVerdict:
    kind = observed.noted("scope")[0].more["kind"]
    keys = [key for key in observed.scope if not isinstance(key, str)]
    if kind != "dict" or keys:
        return violates(f"the scope is a {kind}" + (f" with the keys {keys!r}" if keys else ""))
    return conforms("a dict whose keys are texts")


def _asgi_version(observed: AsgiObserved) -> AsgiVerdict:
    asgi = observed.scope.get("asgi")
    if not isinstance(asgi, dict):
        return violates(told("asgi", asgi))
    if "version" not in asgi:
        return allowed("asgi has no version: that stands for 2.0")
    version = asgi["version"]
    is_known = isinstance(version, str) and re.fullmatch(r"[23]\.\d", version)
    return (conforms if is_known else violates)(told('asgi["version"]', version))


def _spec_version(observed: AsgiObserved) -> AsgiVerdict:
    asgi = observed.scope.get("asgi", {})
    if "spec_version" not in asgi:
        return allowed("it says none: that stands for 2.0")
    version = asgi["spec_version"]
    is_known = isinstance(version, str) and re.fullmatch(r"2\.[0-5]", version)
    return (conforms if is_known else violates)(told('asgi["spec_version"]', version))


def _method_case(observed: AsgiObserved) -> AsgiVerdict:
    method = observed.scope.get("method")
    if method == "PATCH":
        return conforms("the app sees PATCH")
    return violates(f"the app sees {method!r}, not uppercased")


def headers_of(observed: AsgiObserved) -> list[tuple[Any, Any]]:
    """Raises ValueError where they are no pairs."""
    return [(name, value) for name, value in observed.scope["headers"]]


def values_of(observed: AsgiObserved, name: bytes) -> list[Any]:
    return [value for key, value in headers_of(observed) if key.lower() == name]


def _header_types(observed: AsgiObserved) -> AsgiVerdict:
    wrong = [pair for pair in headers_of(observed) if any(type(one) is not bytes for one in pair)]
    return violates(f"not byte strings: {wrong!r:.160}") if wrong else conforms("pairs of byte strings")


def _header_case(observed: AsgiObserved) -> AsgiVerdict:
    names = [name for name, _ in headers_of(observed)]
    upper = [name for name in names if name != name.lower()]
    return weak(f"not in small letters: {upper!r:.160}") if upper else conforms("names are in small letters")


def header_is(name: bytes, *right: bytes) -> Check:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        values = values_of(observed, name)
        return (conforms if values == list(right) else violates)(told(name.decode(), values))

    return judge


def _latin1(observed: AsgiObserved) -> AsgiVerdict:
    values = values_of(observed, b"x-latin")
    return (conforms if values == [b"caf\xe9"] else violates)(told("x-latin", values))


def _order(observed: AsgiObserved) -> AsgiVerdict:
    names = [name.lower() for name, _ in headers_of(observed) if name.lower() in (b"x-b", b"x-a", b"x-c")]
    if sorted(names) != [b"x-a", b"x-b", b"x-c"]:
        return violates(f"the app sees {names!r}")
    in_order = names == [b"x-b", b"x-a", b"x-c"]
    return conforms("in the order of the request") if in_order else allowed(f"in another order: {names!r}")


def _end(name: str, observed: AsgiObserved, address: str, port: int) -> AsgiVerdict:
    value = observed.scope.get(name)
    if value is None:
        return allowed(f"{name} is not told")
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    if not is_pair or type(value[0]) is not str or type(value[1]) is not int:
        return violates(f"{told(name, value)}: not a text and an integer")
    fits = same_address(value[0], address) and value[1] == port
    return conforms(told(name, value)) if fits else violates(f"{told(name, value)}, not {address}:{port}")


def _client(observed: AsgiObserved) -> AsgiVerdict:
    return _end("client", observed, *observed.exchange.client)


def _server(observed: AsgiObserved) -> AsgiVerdict:
    return _end("server", observed, observed.exchange.place.address, observed.exchange.place.port)


def _state(observed: AsgiObserved) -> AsgiVerdict:
    if "state" not in observed.scope:
        return allowed("there is none: the server does not support it")
    state = observed.scope["state"]
    fits = isinstance(state, dict) and state.get(STARTED_KEY) == STARTED_VALUE
    return (conforms if fits else violates)(told("state", state))


def _ask_twice(exchange: AsgiExchange) -> None:
    """The second on a connection of its own."""
    ask(exchange)
    if "state" in AsgiObserved(exchange, exchange.notes()).scope:
        _ask_again(exchange)


def _ask_again(exchange: AsgiExchange) -> None:
    """On the same connection."""
    begin = len(exchange.wire.received)
    exchange.wire.send(exchange.further("second", [*READ, *ANSWER]))
    exchange.until_ended(name="second")
    exchange.facts["second"] = bytes(exchange.wire.received[begin:])


def _state_copied(observed: AsgiObserved) -> AsgiVerdict:
    if "state" not in observed.scope:
        return allowed("there is none: the server does not support it")
    state = AsgiObserved(observed.exchange, observed.exchange.notes("second")).scope.get("state")
    if not isinstance(state, dict):
        return violates(f"the next request has the state {state!r:.120}")
    if LEAK in state:
        return violates("what a request set is in the state of the next one")
    return conforms("what a request set is not in the state of the next one")


def _mark_and_ask_again(exchange: AsgiExchange) -> None:
    ask(exchange)
    _ask_again(exchange)


def _own_scope(observed: AsgiObserved) -> AsgiVerdict:
    second = AsgiObserved(observed.exchange, observed.exchange.notes("second"))
    if not second.is_reached:
        return violates("a second request on the connection does not reach the app")
    if MARK in second.scope:
        return violates("both requests of a connection have one scope")
    return conforms("each request has a scope of its own")


def _extensions(observed: AsgiObserved) -> AsgiVerdict:
    if "extensions" not in observed.scope:
        return allowed("there are none")
    extensions = observed.scope["extensions"]
    if extensions is None:
        return violates("extensions is None, not a dict")
    wrong = [
        name for name, value in extensions.items() if type(name) is not str or not isinstance(value, dict)
    ]
    return violates(f"not dicts: {wrong!r}") if wrong else conforms(told("extensions", extensions))


def _no_tls(observed: AsgiObserved) -> AsgiVerdict:
    has_tls = "tls" in (observed.scope.get("extensions") or {})
    return (violates if has_tls else conforms)(
        "the extension is there without TLS" if has_tls else "no extension tls without TLS"
    )


def row(name: str, title: str, judge: Check, asked: Asked | None = None, **more: Any) -> AsgiProbe:
    rule = more.pop("rule", RULE)
    return AsgiProbe(f"scope-{name}", "HTTP scope", title, rule, judge, asked=asked or Asked(), **more)


def path_row(name: str, title: str, target: bytes, judge: Check, **more: Any) -> AsgiProbe:
    return row(name, title, judge, Asked(target=target), **more)


def _with(*headers: tuple[bytes, bytes]) -> Asked:
    return Asked(headers=headers)


PROBES = (
    row("dict", "the scope is a dict", _is_dict, rule="ASGI, Applications"),
    row("type", "type", is_exactly("type", "http")),
    row("asgi-version", "asgi: the version of ASGI", _asgi_version, rule="ASGI, Applications"),
    row("spec-version", "asgi: the version of the HTTP specification", _spec_version, level="MAY"),
    row("http-version", "http_version of HTTP/1.1", is_exactly("http_version", "1.1")),
    row(
        "http-version-1.0",
        "http_version of HTTP/1.0",
        is_exactly("http_version", "1.0"),
        Asked(version=b"HTTP/1.0"),
    ),
    row("method", "method", is_exactly("method", "DELETE"), Asked(method="DELETE")),
    row(
        "method-case",
        "a method in mixed letters is uppercased, or refused",
        _method_case,
        Asked(method="pAtCh"),
        unreached=may_refuse,
    ),
    row("scheme", "scheme", is_optional("scheme", "http")),
    path_row("path", "path without its query", b"/a/b?c=d", path_is("/a/b")),
    path_row("path-percent", "a percent-encoded space", b"/a%20b", path_is("/a b", b"/a%20b")),
    path_row("path-utf8", "percent-encoded UTF-8", b"/caf%C3%A9/%E2%82%AC", path_is("/café/€")),
    path_row("path-slash", "a percent-encoded slash", b"/a%2Fb", path_is("/a/b", b"/a%2Fb")),
    path_row("path-once", "percent-encoding is decoded once", b"/a%2541", path_is("/a%41", b"/a%2541")),
    path_row("path-plus", "a plus sign stays one", b"/a+b", path_is("/a+b", b"/a+b")),
    path_row(
        "path-raw-utf8",
        "bare UTF-8, which HTTP forbids, is decoded or refused",
        "/é".encode(),
        path_is("/é"),
        unreached=may_refuse,
    ),
    path_row(
        "path-not-utf8",
        "percent-encoded bytes that are no UTF-8",
        b"/%FF%FE",
        _any_path,
        level="MAY",
        unreached=may_refuse,
    ),
    path_row("path-dots", "dots are not resolved", b"/a/../b/./c", path_is("/a/../b/./c")),
    path_row("path-slashes", "double slashes stay", b"//a//b", path_is("//a//b")),
    path_row(
        "raw-path",
        "raw_path, unmodified and without the query",
        b"/caf%C3%a9%2f?x=%20",
        is_optional("raw_path", b"/caf%C3%a9%2f", absent=(None,)),
    ),
    path_row(
        "query",
        "query_string, still encoded",
        b"/a?b=%20+%C3%A9&b=2",
        is_exactly("query_string", b"b=%20+%C3%A9&b=2"),
    ),
    path_row("query-none", "query_string without a query", b"/a", is_exactly("query_string", b"")),
    path_row("query-mark", "a question mark in the query", b"/a?b?c", is_exactly("query_string", b"b?c")),
    row("root-path", "root_path", is_optional("root_path", "")),
    row("headers", "headers are pairs of byte strings", _header_types),
    row(
        "headers-case",
        "header names in small letters",
        _header_case,
        _with((b"X-Mixed-Case", b"1")),
        level="SHOULD",
    ),
    row(
        "headers-twice",
        "a header that comes twice stays two, in their order",
        header_is(b"x-twice", b"1", b"2"),
        _with((b"X-Twice", b"1"), (b"X-Other", b"0"), (b"X-Twice", b"2")),
    ),
    row(
        "headers-cookies",
        "two Cookie headers stay two",
        header_is(b"cookie", b"a=1", b"b=2"),
        _with((b"Cookie", b"a=1"), (b"Cookie", b"b=2")),
    ),
    row(
        "headers-order",
        "headers in the order of the request",
        _order,
        _with((b"X-B", b"1"), (b"X-A", b"2"), (b"X-C", b"3")),
        level="MAY",
    ),
    row(
        "headers-latin1",
        "a header's bytes beyond ASCII stay as they are",
        _latin1,
        _with((b"X-Latin", b"caf\xe9")),
        unreached=may_refuse,
    ),
    row("headers-host", "Host is among the headers", header_is(b"host", b"asgibench.test")),
    row("client", "client is our address and port", _client),
    row("server", "server is the listening address and port", _server),
    row("state", "state has what the lifespan set", _state),
    row(
        "state-copied",
        "state is a copy for each request",
        _state_copied,
        steps=[["state", LEAK, 1], *READ, *ANSWER],
        client=_ask_twice,
        rule="ASGI lifespan, Lifespan State",
    ),
    row(
        "own",
        "each request of a connection has a scope of its own",
        _own_scope,
        steps=[["mark"], *READ, *ANSWER],
        client=_mark_and_ask_again,
    ),
    row("extensions", "extensions are dicts by name", _extensions, rule="ASGI, Extensions"),
    row("no-tls", "no extension tls without TLS", _no_tls, rule="ASGI TLS, When to use this extension"),
)
