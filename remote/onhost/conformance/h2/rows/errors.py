"""What ends a connection or a stream: frames of the wrong size, on the wrong stream, in the wrong state."""

from __future__ import annotations

from bench.wire.conformance import Judgement
from remote.onhost.conformance.h2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    get,
    headers,
    post_head,
    priority,
    reset,
    settings,
    usual,
    window,
)
from remote.onhost.conformance.h2.probe import H2Outcome, H2Probe, H2Subject, connection_error, stream_error

SIZE = "FRAME_SIZE_ERROR"
FLOW = "FLOW_CONTROL_ERROR"
CLOSED = "STREAM_CLOSED"
COMPRESSION = "COMPRESSION_ERROR"
PROTOCOL = "PROTOCOL_ERROR"
BLOCK = block(usual())
OPEN_BLOCK = frame(HEADERS, BLOCK[:9], END_STREAM, 1)
BOTH = END_STREAM | END_HEADERS


def _bad_preface(outcome: H2Outcome) -> tuple[Judgement, str]:
    """§3.4: an invalid preface is a connection error of type PROTOCOL_ERROR; GOAWAY may be left out."""
    if outcome.end == "open":
        return "violates", "the connection goes on"
    return "conforms", f"the connection is {outcome.end}"


def _acknowledges(outcome: H2Outcome) -> tuple[Judgement, str]:
    acknowledged = [one for one in outcome.of(SETTINGS) if one.flags & ACK]
    if len(acknowledged) >= 2:
        return "conforms", "each SETTINGS is acknowledged"
    return "violates", f"{len(acknowledged)} of 2 SETTINGS are acknowledged"


def _settings_first(outcome: H2Outcome) -> tuple[Judgement, str]:
    first = outcome.frames[0] if outcome.frames else None
    if first is not None and first.kind == SETTINGS and not first.flags & ACK:
        return "conforms", "its first frame is SETTINGS"
    return "violates", "its first frame isn’t SETTINGS"


def _pings(outcome: H2Outcome) -> tuple[Judgement, str]:
    if b"\x01\x02\x03\x04\x05\x06\x07\x08" in outcome.marks:
        return "conforms", "it answers with the same payload"
    return "violates", "it doesn’t answer with the same payload"


def _ping_ack(outcome: H2Outcome) -> tuple[Judgement, str]:
    if any(one.payload == b"12345678" for one in outcome.of(PING)):
        return "violates", "it answers an acknowledgement"
    return "conforms", "it doesn’t answer"


def _small_window(outcome: H2Outcome) -> tuple[Judgement, str]:
    sent = sum(len(one.payload) for one in outcome.of(DATA) if one.stream == 1)
    if sent > 3:
        return "violates", f"it sends {sent} bytes where the window has 3"
    if outcome.end != "open":
        return "violates", "it ends the connection"
    return "conforms", f"it sends {sent} bytes where the window has 3"


def _grown_window(outcome: H2Outcome) -> tuple[Judgement, str]:
    sizes = [len(one.payload) for one in outcome.of(DATA) if one.stream == 1]
    if sum(sizes) != len("GET /first"):
        return "violates", f"it sends {sum(sizes)} bytes of 10 once the window is wide enough"
    return "conforms", "it sends the rest once the window is wide enough"


def _look(name: str, title: str, rule: str, sent: bytes, inspect: object, *, raw: bool = False) -> H2Probe:
    return H2Probe(name, title, rule, "look", sent, raw=raw, inspect=inspect)  # type: ignore[arg-type]


SUBJECT = H2Subject(
    "Frames and streams",
    20,
    (
        _look(
            "preface-settings",
            "the preface, which the server’s SETTINGS answer first",
            "RFC 9113 §3.4",
            get(),
            _settings_first,
        ),
        _look(
            "preface-invalid",
            "a preface that is none",
            "RFC 9113 §3.4",
            PREFACE[:-4] + b"XX\r\n" + settings() + get(),
            _bad_preface,
            raw=True,
        ),
        _look(
            "preface-no-settings",
            "a preface without SETTINGS",
            "RFC 9113 §3.4",
            PREFACE + get(),
            _bad_preface,
            raw=True,
        ),
        _look("settings-acknowledged", "two SETTINGS", "RFC 9113 §6.5.3", settings((3, 100)), _acknowledges),
        _look("ping", "a PING", "RFC 9113 §6.7", frame(PING, bytes(range(1, 9))), _pings),
        _look(
            "ping-ack",
            "an acknowledgement of a PING, which is not to be answered",
            "RFC 9113 §6.7",
            frame(PING, b"12345678", ACK),
            _ping_ack,
        ),
        _look(
            "window-of-3",
            "a window of 3 bytes for the answer",
            "RFC 9113 §6.9.1",
            settings((4, 3)) + get(),
            _small_window,
        ),
        _look(
            "window-grows",
            "a window of 3 bytes that grows",
            "RFC 9113 §6.9.2",
            settings((4, 3)) + get() + settings((4, 65535)),
            _grown_window,
        ),
        connection_error("settings-stream", "SETTINGS on a stream", "RFC 9113 §6.5", settings(stream=1)),
        connection_error(
            "settings-size", "SETTINGS of 5 bytes", "RFC 9113 §6.5", frame(SETTINGS, b"12345"), SIZE
        ),
        connection_error(
            "settings-ack-payload",
            "an acknowledgement of SETTINGS with a payload",
            "RFC 9113 §6.5",
            settings((1, 1), flags=ACK),
            SIZE,
        ),
        connection_error("settings-push", "ENABLE_PUSH of 2", "RFC 9113 §6.5.2", settings((2, 2))),
        connection_error(
            "settings-window",
            "INITIAL_WINDOW_SIZE beyond 2^31-1",
            "RFC 9113 §6.5.2",
            settings((4, 1 << 31)),
            FLOW,
        ),
        connection_error(
            "settings-frame-small", "MAX_FRAME_SIZE below 16,384", "RFC 9113 §6.5.2", settings((5, 16383))
        ),
        connection_error(
            "settings-frame-large", "MAX_FRAME_SIZE beyond 2^24-1", "RFC 9113 §6.5.2", settings((5, 1 << 24))
        ),
        connection_error("ping-stream", "PING on a stream", "RFC 9113 §6.7", frame(PING, b"12345678", 0, 1)),
        connection_error("ping-size", "PING of 6 bytes", "RFC 9113 §6.7", frame(PING, b"123456"), SIZE),
        connection_error(
            "goaway-stream", "GOAWAY on a stream", "RFC 9113 §6.8", frame(GOAWAY, b"\0" * 8, 0, 1)
        ),
        connection_error("window-zero", "WINDOW_UPDATE of 0 for the connection", "RFC 9113 §6.9", window(0)),
        stream_error(
            "window-zero-stream",
            "WINDOW_UPDATE of 0 for a stream",
            "RFC 9113 §6.9",
            post_head() + window(0, 1),
        ),
        connection_error(
            "window-size", "WINDOW_UPDATE of 3 bytes", "RFC 9113 §6.9", frame(WINDOW_UPDATE, b"123"), SIZE
        ),
        connection_error(
            "window-overflow",
            "a connection’s window beyond 2^31-1",
            "RFC 9113 §6.9.1",
            window((1 << 31) - 1) * 2,
            FLOW,
        ),
        stream_error(
            "window-overflow-stream",
            "a stream’s window beyond 2^31-1",
            "RFC 9113 §6.9.1",
            post_head() + window((1 << 31) - 1, 1),
            FLOW,
        ),
        connection_error("window-idle", "WINDOW_UPDATE for an idle stream", "RFC 9113 §5.1", window(1, 1)),
        connection_error("data-idle", "DATA on an idle stream", "RFC 9113 §5.1", data(), PROTOCOL, CLOSED),
        connection_error("data-stream-0", "DATA on stream 0", "RFC 9113 §6.1", data(stream=0)),
        connection_error(
            "data-padding",
            "DATA whose padding is longer than it",
            "RFC 9113 §6.1",
            post_head() + frame(DATA, b"\x09hello", PADDED | END_STREAM, 1),
        ),
        connection_error("headers-stream-0", "HEADERS on stream 0", "RFC 9113 §6.2", get(0)),
        connection_error(
            "headers-padding",
            "HEADERS whose padding is longer than it",
            "RFC 9113 §6.2",
            frame(HEADERS, b"\xff" + BLOCK, PADDED | BOTH, 1),
        ),
        connection_error("headers-even", "a stream of an even number", "RFC 9113 §5.1.1", get(2)),
        connection_error(
            "headers-lower",
            "a stream of a lower number than the last",
            "RFC 9113 §5.1.1",
            get(5) + get(3),
            PROTOCOL,
            CLOSED,
        ),
        connection_error("priority-stream-0", "PRIORITY on stream 0", "RFC 9113 §6.3", priority(0)),
        stream_error(
            "priority-size",
            "PRIORITY of 4 bytes",
            "RFC 9113 §6.3",
            post_head() + frame(PRIORITY, b"1234", 0, 1),
            SIZE,
        ),
        connection_error("reset-stream-0", "RST_STREAM on stream 0", "RFC 9113 §6.4", reset(0)),
        connection_error("reset-idle", "RST_STREAM on an idle stream", "RFC 9113 §6.4", reset(1)),
        connection_error(
            "reset-size",
            "RST_STREAM of 3 bytes",
            "RFC 9113 §6.4",
            post_head() + frame(RST_STREAM, b"123", 0, 1),
            SIZE,
        ),
        connection_error(
            "push-promise",
            "PUSH_PROMISE of a client",
            "RFC 9113 §8.4",
            post_head() + frame(PUSH_PROMISE, b"\0\0\0\x02" + BLOCK, END_HEADERS, 1),
        ),
        connection_error(
            "continuation-alone",
            "CONTINUATION without HEADERS",
            "RFC 9113 §6.10",
            frame(CONTINUATION, BLOCK, END_HEADERS, 1),
        ),
        connection_error(
            "continuation-after-end",
            "CONTINUATION after END_HEADERS",
            "RFC 9113 §6.10",
            post_head() + frame(CONTINUATION, block([("x-test", "1")]), END_HEADERS, 1),
            PROTOCOL,
            CLOSED,
        ),
        connection_error(
            "continuation-stream-0",
            "CONTINUATION on stream 0",
            "RFC 9113 §6.10",
            OPEN_BLOCK + frame(CONTINUATION, BLOCK[9:], END_HEADERS, 0),
        ),
        connection_error(
            "continuation-other",
            "CONTINUATION of another stream",
            "RFC 9113 §6.10",
            OPEN_BLOCK + frame(CONTINUATION, BLOCK[9:], END_HEADERS, 3),
        ),
        connection_error(
            "block-interrupted-data",
            "DATA within a block of fields",
            "RFC 9113 §6.10",
            frame(HEADERS, BLOCK[:9], 0, 1) + data(),
        ),
        connection_error(
            "block-interrupted-headers",
            "HEADERS of another stream within a block",
            "RFC 9113 §6.2",
            OPEN_BLOCK + get(3),
        ),
        connection_error(
            "block-interrupted-priority",
            "PRIORITY within a block of fields",
            "RFC 9113 §4.3",
            OPEN_BLOCK + priority(1),
        ),
        connection_error(
            "block-interrupted-unknown",
            "an unknown frame within a block of fields",
            "RFC 9113 §5.5",
            OPEN_BLOCK + frame(0xEE, b"abc", 0, 1),
        ),
        connection_error(
            "size-headers",
            "HEADERS beyond MAX_FRAME_SIZE",
            "RFC 9113 §4.2",
            headers([*usual(), ("x-test", "a" * 17000)]),
            SIZE,
        ),
        stream_error(
            "size-data", "DATA beyond MAX_FRAME_SIZE", "RFC 9113 §4.2", post_head() + data(b"a" * 16385), SIZE
        ),
        stream_error(
            "data-half-closed", "DATA after the end of the request", "RFC 9113 §5.1", get() + data(), CLOSED
        ),
        stream_error(
            "headers-half-closed",
            "HEADERS after the end of the request",
            "RFC 9113 §5.1",
            get() + get(),
            CLOSED,
            PROTOCOL,
        ),
        stream_error(
            "data-after-reset",
            "DATA after RST_STREAM",
            "RFC 9113 §5.1",
            post_head() + reset(1) + data(),
            CLOSED,
        ),
        stream_error(
            "headers-after-reset",
            "HEADERS after RST_STREAM",
            "RFC 9113 §5.1",
            post_head() + reset(1) + get(),
            CLOSED,
            PROTOCOL,
        ),
        connection_error(
            "hpack-index-0", "index 0 of HPACK", "RFC 7541 §6.1", headers(usual(), after=b"\x80"), COMPRESSION
        ),
        connection_error(
            "hpack-index-none",
            "an index beyond both tables",
            "RFC 7541 §2.3.3",
            headers(usual(), after=b"\xff\x64"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-name-none",
            "a name’s index beyond both tables",
            "RFC 7541 §2.3.3",
            headers(usual(), after=b"\x7f\x64\x011"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-size-large",
            "a dynamic table larger than the setting",
            "RFC 7541 §6.3",
            frame(HEADERS, b"\x3f\xe1\xff\x03" + BLOCK, BOTH, 1),
            COMPRESSION,
        ),
        connection_error(
            "hpack-size-at-end",
            "a size of the dynamic table behind the fields",
            "RFC 7541 §4.2",
            headers(usual(), after=b"\x20"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-cut",
            "a literal that is cut off",
            "RFC 9113 §4.3",
            headers(usual(), after=b"\x00\x06x-t"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-huffman-padding",
            "padding of Huffman’s code beyond 7 bits",
            "RFC 7541 §5.2",
            headers(usual(), after=b"\x00\x06x-test\x82\x1f\xff"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-huffman-zeros",
            "padding of Huffman’s code with zeros",
            "RFC 7541 §5.2",
            headers(usual(), after=b"\x00\x06x-test\x81\x18"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-huffman-eos",
            "Huffman’s code with its end symbol",
            "RFC 7541 §5.2",
            headers(usual(), after=b"\x00\x06x-test\x84\xff\xff\xff\xff"),
            COMPRESSION,
        ),
        connection_error(
            "hpack-integer",
            "an integer of HPACK that overflows",
            "RFC 7541 §5.1",
            headers(usual(), after=b"\xff" + b"\xff" * 20 + b"\x01"),
            COMPRESSION,
        ),
    ),
)
