"""Each setting of a running server held against what was asked of it: from what was seen to a verdict. Pure.

A setting that stands in the entry's unhonoured_settings contradicts nothing: what was seen is said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import msgspec

from bench.plan.serving import serving_of
from bench.results.evidence import RunEvidence
from bench.results.proof import AfterRun, ProofVerdict, SettingProof
from bench.spec import USUAL_SERVING, WIRE_TITLES, ServerSpec, Serving
from bench.wire.observation import ConfigurationValue, ServerSeen

# What a loop's class begins with, by the loop's name.
LOOPS = {"asyncio": "asyncio.", "uvloop": "uvloop.", "trio": "trio", "rloop": "rloop.", "winloop": "winloop."}
# That testapp/behind.py tells from each other. "fast" and "python" are gunicorn's names for its own two.
PARSERS = ("httptools", "h11", "zttp", "fast", "python", "twisted", "hyper")
# The app's own; every other header is the server's.
APP_HEADERS = frozenset({"content-length", "content-type"})
# Of the few requests asked while the log is watched: so many lines are no chance. The last may be late.
WATCHED_SHARE = 0.8
# Of all requests of a run.
LOGGED_SHARE = 0.5
# Over fewer, what a server says as it stops may be as many lines.
LEAST_REQUESTS = 1_000


class Observed(msgspec.Struct, frozen=True):
    """All that the proofs are made of."""

    spec: ServerSpec
    workers: int  # that were asked for
    seen: ServerSeen
    after: AfterRun | None  # None: the run is still to come
    serving: Serving = USUAL_SERVING

    def told(self, name: str) -> tuple[ConfigurationValue, ...]:
        """What the server's processes say of ``name``, each value once."""
        values = [one.get(name) for one in self.seen.configurations]
        return tuple(dict.fromkeys(values))


class _Sight(msgspec.Struct, frozen=True):
    """One setting as it was seen, before it is known whether the entry declares it otherwise."""

    asked: str
    seen: str
    how: str
    agrees: bool | None  # None: can't be compared, because nothing was seen or nothing asked


def prove(
    spec: ServerSpec,
    workers: int,
    seen: ServerSeen,
    after: AfterRun | None = None,
    serving: Serving = USUAL_SERVING,
) -> tuple[SettingProof, ...]:
    """Every setting, in the order of a reader's table. ``after`` is known after a run."""
    observed = Observed(spec, workers, seen, after, serving)
    return tuple(
        SettingProof(name, sight.asked, sight.seen, sight.how, _verdict(spec, name, sight))
        for name, look in LOOKS.items()
        for sight in (look(observed),)
    )


def run_proof(evidence: RunEvidence) -> tuple[SettingProof, ...]:
    """Of a run that has been made; empty where its server was not looked at."""
    server, load = evidence.server, evidence.load
    if server.seen is None:
        return ()
    after = None
    if server.log_lines is not None and server.answering is not None:
        after = AfterRun(server.log_lines, load.engine_requests, server.answering)
    cell = evidence.planned.run.cell
    return prove(evidence.planned.spec, cell.workers, server.seen, after, serving_of(cell.served))


def _verdict(spec: ServerSpec, name: str, sight: _Sight) -> ProofVerdict:
    if sight.agrees is True:
        return "proven"
    if not sight.seen:
        return "not_observable"
    if not sight.asked:
        return "declared" if name in spec.unhonoured_settings else "not_asked"
    if sight.agrees is None:
        return "not_observable"
    return "declared" if name in spec.unhonoured_settings else "contradicted"


# ---------------------------------------------------------------- one setting each


def _loop(observed: Observed) -> _Sight:
    asked = observed.spec.settings.loop
    classes = [str(one) for one in observed.told("loop")]
    how = f"the class of the running loop: {', '.join(classes)}"
    reactors = [str(one) for one in observed.told("reactor") if one]
    if reactors:
        how += f", under {', '.join(reactors)}"
    names = [_loop_name(one) for one in classes]
    return _Sight(asked, ", ".join(names), how, _all_are(asked, names, LOOPS))


def _loop_name(class_name: str) -> str:
    return next((name for name, begin in LOOPS.items() if class_name.startswith(begin)), class_name)


def _http_parser(observed: Observed) -> _Sight:
    asked = observed.spec.settings.http_parser
    found = observed.told("parser")
    if None in found:
        return _Sight(asked, "", "no parser that is known stands behind the requests", None)
    names = [str(one) for one in found]
    how = "the object behind the requests that reads the connection"
    return _Sight(asked, ", ".join(names), how, _all_are(asked, names, PARSERS))


def _all_are(asked: str, seen: list[str], known: Collection[str]) -> bool | None:
    """None where ``asked`` is a word such as "auto", of which nobody knows what it should look like."""
    return all(one == asked for one in seen) if asked in known else None


def _workers(observed: Observed) -> _Sight:
    answering = len(observed.seen.configurations)
    accepting = observed.seen.accepting_pids
    found = {answering} if accepting is None else {answering, len(accepting)}
    how = "processes that answer over fresh connections"
    if accepting is not None:
        how += ", and those that wait at the listening socket"
    if observed.after is not None:
        answering = observed.after.answering
        how += f"; {answering} answered the load"
        if answering > observed.workers:  # fewer may be the few connections' doing
            found.add(answering)
    return _Sight(
        f"{observed.workers}", " and ".join(map(str, sorted(found))), how, found == {observed.workers}
    )


def _keep_alive(observed: Observed) -> _Sight:
    seen = observed.seen
    if seen.kept_alive:
        how = f"a connection took a second request after {seen.idle_seconds * 1e3:.0f} ms"
    else:
        how = f"the connection was closed within {seen.idle_seconds * 1e3:.0f} ms of its first answer"
    return _Sight("on", _switch(seen.kept_alive), how, seen.kept_alive)


def _keep_alive_seconds(observed: Observed) -> _Sight:
    asked = f"{observed.spec.settings.keep_alive_seconds}"
    found = observed.told("keep_alive_seconds")
    if None in found:
        return _Sight(asked, "", "no object that is known to hold it stands behind the requests", None)
    how = "the time-out of the object that reads the connection"
    return _Sight(asked, ", ".join(map(str, found)), how, set(map(str, found)) == {asked})


def _access_log(observed: Observed) -> _Sight:
    """On where any sign of it is seen."""
    seen, after = observed.seen, observed.after
    told = observed.told("access_log")
    signs = [f"its log grew by {seen.log_lines} lines over {seen.requests} requests"]
    is_on = seen.log_lines >= WATCHED_SHARE * seen.requests
    if True in told or False in told:
        signs.append(f"its own logger is {_switch(True in told)}")
        is_on = is_on or True in told
    if after is not None and after.requests >= LEAST_REQUESTS:
        signs.append(f"{after.log_lines_per_request:.2f} lines per request over the run")
        is_on = is_on or after.log_lines_per_request >= LOGGED_SHARE
    asked = observed.spec.settings.access_log
    return _Sight(_switch(asked), _switch(is_on), "; ".join(signs), is_on is asked)


def _backlog(observed: Observed) -> _Sight:
    asked = observed.spec.settings.backlog
    found = observed.told("backlog")
    if observed.serving.transport == "unix":
        found = (observed.seen.unix_backlog,)
    if None in found:
        return _Sight(f"{asked}", "", "this system doesn't tell a listening socket's backlog", None)
    how = "the kernel's figure of the listening socket"
    limits = [one for one in observed.told("backlog_limit") if isinstance(one, int)]
    expected = min([asked, *limits])
    if expected < asked:
        how += f"; net.core.somaxconn allows no more than {expected}"
    return _Sight(f"{asked}", ", ".join(map(str, found)), how, set(found) == {expected})


def _tcp_nodelay(observed: Observed) -> _Sight:
    found = observed.told("tcp_nodelay")
    if observed.serving.transport == "unix":
        return _Sight("", "no TCP", "it listens on a Unix socket", None)
    if None in found:
        return _Sight("on", "", "the socket of a request was not found in its process", None)
    names = " and ".join(_switch(bool(one)) for one in found)
    return _Sight("on", names, "the accepted connection's own socket", set(found) == {True})


def _headers(observed: Observed) -> _Sight:
    names = sorted(_added_headers(observed.seen))
    how = f"an answer on the wire, whose head has {observed.seen.head_bytes} bytes"
    asked = observed.spec.added_headers
    seen = ", ".join(names) or "none"
    if asked is None:
        return _Sight("", seen, how, None)
    return _Sight(", ".join(sorted(asked)) or "none", seen, how, names == sorted(map(str.lower, asked)))


def _added_headers(seen: ServerSeen) -> Iterator[str]:
    for line in seen.header_lines:
        name = line.partition(":")[0].strip().lower()
        if name not in APP_HEADERS:
            yield name


def _protocol(observed: Observed) -> _Sight:
    """Of the first requests, which are HTTP/1.1 whatever the load speaks later."""
    version = observed.seen.status_line.partition(" ")[0]
    schemes = observed.told("scheme")
    scheme = "https" if observed.serving.transport == "tls" else "http"
    places = {"tcp": "plain TCP", "tls": "TLS", "unix": "a Unix socket"}
    place = places[observed.serving.transport]
    how = f"an answer over {place}; the app was told the scheme {' and '.join(map(str, schemes))}"
    if observed.serving.protocol != "http/1.1":
        how += f"; {WIRE_TITLES[observed.serving.protocol]} is not spoken before the load"
    return _Sight("HTTP/1.1", version, how, version == "HTTP/1.1" and schemes == (scheme,))


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"


LOOKS: dict[str, Callable[[Observed], _Sight]] = {
    "loop": _loop,
    "http_parser": _http_parser,
    "workers": _workers,
    "keep_alive": _keep_alive,
    "keep_alive_seconds": _keep_alive_seconds,
    "access_log": _access_log,
    "backlog": _backlog,
    "tcp_nodelay": _tcp_nodelay,
    "headers": _headers,
    "protocol": _protocol,
}
"""By the setting's name in the catalogue, in the order of a reader's table."""
