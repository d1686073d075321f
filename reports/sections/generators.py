"""Our engine beside h2load, a second opinion on it, and HTTP/2 beside HTTP/1.1 of the same server."""

from __future__ import annotations

from collections.abc import Sequence

from bench.clients import client_of
from bench.results.summary import CellSummary
from bench.served import protocol_title
from reports.page.parts import Heading, Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.generators import (
    Beside,
    protocols_beside,
    rate_shown,
    ratio_shown,
    second_opinions,
    which_is_more,
)
from reports.words.numbers import MISSING, capital, counted, microseconds, milliseconds


def _parts(results: Results) -> tuple[Part, ...]:
    opinions = second_opinions(results.summary, results.runs)
    protocols = protocols_beside(results.summary, results.runs)
    used = dict.fromkeys(cell.client for cell in results.summary.cells)
    caveats = [client_of(name).caveat for name in used if client_of(name).caveat]
    if not caveats:
        return ()
    return (
        *(Paragraph(f"{caveat}.", style="note") for caveat in caveats),
        *_second_opinion(opinions),
        *_protocols(protocols),
        Paragraph(_versions(results), style="note"),
    )


def _second_opinion(opinions: Sequence[Beside]) -> tuple[Part, ...]:
    if not opinions:
        return ()
    verdicts = [which_is_more(one.ratio, "our engine", _client(one.other), "level") for one in opinions]
    level = verdicts.count("level")
    return (
        Heading("Do two load generators agree?"),
        Paragraph(
            "The same server, endpoint and protocol, with as many requests under way: each connection has "
            "one at a time by both. Where the server is what holds a run back, both should get as much out "
            "of it. "
            f"Within 5 %, surely: {level} of {counted(len(opinions), 'pair')}."
        ),
        Table(
            "Our engine beside h2load, requests/s",
            (
                *words("Server", "Asked for"),
                *numbers("Our engine", "Second generator", "Ratio (95 % interval)"),
                *words("What it says"),
            ),
            tuple(
                TableRow(
                    (
                        one.one.server,
                        _asked(one.one),
                        rate_shown(one.one),
                        f"{rate_shown(one.other)} by {_client(one.other)}",
                        ratio_shown(one.ratio),
                        verdict,
                    )
                )
                for one, verdict in zip(opinions, verdicts, strict=True)
            ),
            "Each interval is of one pair, and not widened for their number.",
        ),
    )


def _protocols(protocols: Sequence[Beside]) -> tuple[Part, ...]:
    if not protocols:
        return ()
    rows = []
    for pair in protocols:
        said = which_is_more(pair.ratio, "HTTP/2", "HTTP/1.1", "level")
        of = f"{pair.one.server}, {_asked(pair.one, with_protocol=False)}, by {_client(pair.one)}"
        rows.append(TableRow((f"{of}: {ratio_shown(pair.ratio)}, {said}",), "group"))
        rows += [
            TableRow((protocol_title(cell.protocol), *_figures(cell))) for cell in (pair.other, pair.one)
        ]
    return (
        Heading("HTTP/2 beside HTTP/1.1"),
        Paragraph(
            "The same server by the same client, with as many connections and one request at a time on each. "
            "HTTP/2 can carry many on one connection, which saves connections and not work: here it is what "
            "a request costs over either that is compared. Beside each pair is HTTP/2’s requests/s over "
            "HTTP/1.1’s, with its 95 % interval."
        ),
        Table(
            "Each server over both",
            (
                *words("Protocol"),
                *numbers("Requests/s", "CPU per request, µs", "Median latency, ms", "RSS, MB"),
            ),
            tuple(rows),
            style="stacked",
        ),
    )


def _figures(cell: CellSummary) -> tuple[str, ...]:
    if not cell.valid:
        return (rate_shown(cell), MISSING, MISSING, MISSING)
    cpu, rss = cell.cpu_seconds_per_request, cell.rss_bytes.median
    latency = cell.latency_seconds
    return (
        rate_shown(cell),
        MISSING if cpu is None else microseconds(cpu),
        milliseconds(None if latency is None else latency.p50),
        MISSING if rss is None else f"{rss / 1e6:.1f}",
    )


def _asked(cell: CellSummary, *, with_protocol: bool = True) -> str:
    """``shortbody over HTTP/1.1 with TLS, 2 workers``."""
    parts = [cell.endpoint]
    if with_protocol:
        parts.append(f"over {protocol_title(cell.protocol)}")
    if cell.tls:
        parts.append("with TLS")
    more = f", {counted(cell.workers, 'worker')}" if cell.workers > 1 else ""
    return " ".join(parts) + more


def _client(cell: CellSummary) -> str:
    return client_of(cell.client).title


def _versions(results: Results) -> str:
    found = {
        f"{host}: {text}"
        for host, groups in results.environment.versions.items()
        for text in groups.get("programs", {}).values()
    }
    return capital("; ".join(sorted(found))) + "." if found else "Its version isn’t known."


SECTION = SectionSpec("generators", "A second generator, and HTTP/2", 65, _parts, navigation="HTTP/2, h2load")
