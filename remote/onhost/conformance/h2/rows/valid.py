"""What every server must take: each kind of frame, of HPACK's representations and of padding."""

from __future__ import annotations

from remote.onhost.conformance.h2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITIZED,
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
from remote.onhost.conformance.h2.probe import H2Subject, served

BLOCK = block(usual())
# :method GET, :scheme http and :path / of the static table.
INDEXED = b"\x82\x86\x84"
HUFFMAN_AUTHORITY = (
    b"\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"  # www.example.com, RFC 7541 C.4.1
)

SUBJECT = H2Subject(
    "What is valid",
    10,
    (
        served("get", "a plain GET", "RFC 9113 §8.1", get()),
        served("head", "a HEAD", "RFC 9113 §8.1", headers(usual(method="HEAD"))),
        served("post", "a POST in one DATA frame", "RFC 9113 §6.1", post_head() + data()),
        served(
            "post-two", "a POST in two DATA frames", "RFC 9113 §6.1", post_head() + data(flags=0) + data()
        ),
        served(
            "post-padded",
            "DATA with padding",
            "RFC 9113 §6.1",
            post_head() + frame(DATA, b"\x05hello" + b"\0" * 5, PADDED | END_STREAM, 1),
        ),
        served(
            "post-empty",
            "an empty DATA frame at the end",
            "RFC 9113 §6.1",
            post_head() + data(flags=0) + data(b""),
        ),
        served("post-16384", "DATA of 16,384 bytes", "RFC 9113 §4.2", post_head() + data(b"a" * 16384)),
        served(
            "trailers",
            "a POST with trailers",
            "RFC 9113 §8.1",
            post_head() + data(flags=0) + headers([("x-test", "1")]),
        ),
        served(
            "headers-padded",
            "HEADERS with padding",
            "RFC 9113 §6.2",
            frame(HEADERS, b"\x04" + BLOCK + b"\0" * 4, PADDED | END_STREAM | END_HEADERS, 1),
        ),
        served(
            "headers-priority",
            "HEADERS with a priority",
            "RFC 9113 §6.2",
            frame(HEADERS, b"\0\0\0\0\x0f" + BLOCK, PRIORITIZED | END_STREAM | END_HEADERS, 1),
        ),
        served(
            "continuation",
            "HEADERS and one CONTINUATION",
            "RFC 9113 §6.10",
            frame(HEADERS, BLOCK[:9], END_STREAM, 1) + frame(CONTINUATION, BLOCK[9:], END_HEADERS, 1),
        ),
        served(
            "continuations",
            "HEADERS and three CONTINUATIONs",
            "RFC 9113 §6.10",
            frame(HEADERS, BLOCK[:5], END_STREAM, 1)
            + frame(CONTINUATION, BLOCK[5:9], 0, 1)
            + frame(CONTINUATION, b"", 0, 1)
            + frame(CONTINUATION, BLOCK[9:], END_HEADERS, 1),
        ),
        served("streams", "three streams at once", "RFC 9113 §5", get(1) + get(3) + get(5), 1, 3, 5),
        served("stream-skipped", "a stream whose number leaves some out", "RFC 9113 §5.1.1", get(5), 5),
        served("priority-idle", "PRIORITY for an idle stream", "RFC 9113 §6.3", priority(9) + get()),
        served(
            "priority-self-other",
            "PRIORITY that depends on another stream",
            "RFC 9113 §6.3",
            priority(3, 1) + get(),
        ),
        served(
            "priority-closed",
            "PRIORITY for a stream that is closed",
            "RFC 9113 §6.3",
            get() + reset(1) + priority(1) + get(3),
            3,
        ),
        served(
            "window-connection", "WINDOW_UPDATE for the connection", "RFC 9113 §6.9", window(1000) + get()
        ),
        served(
            "window-stream",
            "WINDOW_UPDATE for a stream",
            "RFC 9113 §6.9",
            post_head() + window(1000, 1) + data(),
        ),
        served(
            "window-half-closed",
            "WINDOW_UPDATE after the end of the request",
            "RFC 9113 §5.1",
            get() + window(1000, 1),
        ),
        served(
            "reset-then-another",
            "RST_STREAM, and another stream",
            "RFC 9113 §6.4",
            post_head() + reset(1) + get(3),
            3,
        ),
        served(
            "reset-unknown-code",
            "RST_STREAM of an unknown code",
            "RFC 9113 §7",
            post_head() + reset(1, 0xFF) + get(3),
            3,
        ),
        served(
            "unknown-frame",
            "a frame of an unknown kind, which is to be ignored",
            "RFC 9113 §4.1",
            frame(0xEE, b"abc") + get(),
        ),
        served(
            "unknown-flags",
            "flags that a frame doesn’t have",
            "RFC 9113 §4.1",
            frame(PING, b"12345678", 0xFE & ~ACK) + get(),
        ),
        served(
            "reserved-bit",
            "the reserved bit of the stream’s number",
            "RFC 9113 §4.1",
            frame(HEADERS, BLOCK, END_STREAM | END_HEADERS, 0x80000001),
        ),
        served("settings-unknown", "an unknown setting", "RFC 9113 §6.5.2", settings((0xEE, 1)) + get()),
        served(
            "settings-again",
            "SETTINGS twice",
            "RFC 9113 §6.5.3",
            settings((4, 100)) + settings((4, 65535)) + get(),
        ),
        served(
            "ping-ack-unasked",
            "an acknowledgement of a PING that nobody sent",
            "RFC 9113 §6.7",
            frame(PING, b"12345678", ACK) + get(),
        ),
        served(
            "hpack-indexed",
            "fields of the static table",
            "RFC 7541 §6.1",
            frame(HEADERS, INDEXED + block([(":authority", "localhost")]), END_STREAM | END_HEADERS, 1),
        ),
        served(
            "hpack-huffman",
            "a value in Huffman’s code, with indexing",
            "RFC 7541 §5.2",
            frame(HEADERS, INDEXED + HUFFMAN_AUTHORITY, END_STREAM | END_HEADERS, 1),
        ),
        served(
            "hpack-dynamic",
            "a field of the dynamic table",
            "RFC 7541 §6.1",
            frame(HEADERS, INDEXED + HUFFMAN_AUTHORITY, END_STREAM | END_HEADERS, 1)
            + frame(HEADERS, INDEXED + b"\xbe", END_STREAM | END_HEADERS, 3),
            1,
            3,
        ),
        served(
            "hpack-never-indexed",
            "a literal that is never indexed",
            "RFC 7541 §6.2.3",
            headers(usual(), after=b"\x10\x06x-test\x011"),
        ),
        served(
            "hpack-size-update",
            "a smaller dynamic table",
            "RFC 7541 §6.3",
            frame(HEADERS, b"\x20" + BLOCK, END_STREAM | END_HEADERS, 1),
        ),
        served(
            "te-trailers",
            "te: trailers, which is allowed",
            "RFC 9113 §8.2.2",
            headers([*usual(), ("te", "trailers")]),
        ),
        served(
            "cookie-split",
            "cookies on two lines",
            "RFC 9113 §8.2.3",
            headers([*usual(), ("cookie", "a=1"), ("cookie", "b=2")]),
        ),
        served(
            "content-length-right",
            "a content-length that is right",
            "RFC 9113 §8.1.1",
            post_head(1, ("content-length", "5")) + data(),
        ),
    ),
)
