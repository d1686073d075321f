"""How servers are reached, in words."""

from __future__ import annotations

from collections.abc import Iterable

from bench.served import USUAL_PROTOCOL, Served, protocol_title


def served_words(served: Served, among: Iterable[Served]) -> str:
    """``over HTTP/2 with TLS``: what isn't usual, and what is where it differs ``among`` those shown."""
    others = list(among)
    parts = [served.words]
    if served.protocol == USUAL_PROTOCOL and any(one.protocol == "h2" for one in others):
        parts.insert(0, f"over {protocol_title(served.protocol)}")
    if not served.tls and any(one.tls for one in others):
        parts.append("without TLS")
    return " ".join(filter(None, parts))
