"""The HTTP/2 probes: what an outcome is worth, and the rows themselves."""

from __future__ import annotations

import re
import struct

from bench.wire.conformance import RequestSeen
from remote.onhost.conformance.h2.frames import CODES, GOAWAY, RST_STREAM, H2Frame, block, frame, frames_in
from remote.onhost.conformance.h2.judge import MARK, finding_of, judged
from remote.onhost.conformance.h2.probe import H2Outcome
from remote.onhost.conformance.h2.rows import h2_probes, h2_subjects

PROBES = h2_probes()
FIRST = RequestSeen("GET", "/first", "", "2", (), "", True, False)


def error(kind: int, name: str, stream: int = 0) -> H2Frame:
    code = struct.pack(">I", CODES.index(name))
    return H2Frame(kind, 0, stream, b"\0" * 4 + code if kind == GOAWAY else code)


def judgement(
    name: str,
    *frames: H2Frame,
    statuses: dict[int, int] | None = None,
    end: str = "open",
    seen: tuple[RequestSeen, ...] = (),
) -> str:
    found = statuses or {}
    outcome = H2Outcome(frames, found, frozenset(found), (MARK,), end, seen, b"")
    return judged(PROBES[name], outcome)[0]


def test_there_are_more_than_a_hundred_each_with_its_rule() -> None:
    assert len(PROBES) == sum(len(subject.probes) for subject in h2_subjects()) > 100
    for probe in PROBES.values():
        assert re.fullmatch(r"RFC (9113|7541) §\d+(\.\d+)*", probe.rule)
        assert set(probe.codes) <= set(CODES)
        assert (probe.inspect is not None) == (probe.asked == "look")


def test_what_is_valid_is_answered_and_the_connection_goes_on() -> None:
    assert judgement("streams", statuses={1: 200, 3: 200, 5: 200}) == "conforms"
    assert judgement("streams", statuses={1: 200, 3: 200}) == "violates"
    assert judgement("get", statuses={1: 200}, end="closed") == "violates"
    assert judgement("get", error(RST_STREAM, "PROTOCOL_ERROR", 1)) == "violates"


def test_an_error_of_the_connection_ends_it_with_its_code() -> None:
    assert judgement("ping-size", error(GOAWAY, "FRAME_SIZE_ERROR"), end="closed") == "conforms"
    assert judgement("ping-size", error(GOAWAY, "PROTOCOL_ERROR"), end="closed") == "weak"
    assert judgement("ping-size", end="closed") == "weak"
    assert judgement("ping-size", error(GOAWAY, "FRAME_SIZE_ERROR")) == "violates"
    assert judgement("ping-size") == "violates"


def test_an_error_of_a_stream_resets_it_or_ends_the_connection() -> None:
    assert judgement("data-half-closed", error(RST_STREAM, "STREAM_CLOSED", 1)) == "conforms"
    assert judgement("data-half-closed", error(RST_STREAM, "STREAM_CLOSED", 3)) == "violates"
    assert judgement("data-half-closed", error(RST_STREAM, "CANCEL", 1)) == "weak"
    assert judgement("data-half-closed", error(GOAWAY, "STREAM_CLOSED"), end="closed") == "conforms"
    assert judgement("data-half-closed", statuses={1: 200}) == "violates"


def test_a_malformed_request_never_reaches_the_app_as_whole() -> None:
    assert judgement("no-path", statuses={1: 400}) == "conforms"
    assert judgement("no-path", error(RST_STREAM, "PROTOCOL_ERROR", 1)) == "conforms"
    assert judgement("no-path", statuses={1: 200}, seen=(FIRST,)) == "violates"
    assert judgement("no-path", error(GOAWAY, "PROTOCOL_ERROR"), end="closed", seen=(FIRST,)) == "violates"


def test_no_error_conforms_where_a_plain_request_is_not_served() -> None:
    outcome = H2Outcome((error(GOAWAY, "FRAME_SIZE_ERROR"),), {}, frozenset(), (), "closed", (), b"")
    probe = PROBES["ping-size"]
    good = finding_of(probe, "Frames", outcome, ("conforms", ""), over="tcp")
    bad = finding_of(probe, "Frames", outcome, ("violates", "it does nothing"), over="tcp")
    assert (good.judgement, bad.judgement) == ("conforms", "violates")
    assert good.probe == "tcp-ping-size"


def test_frames_are_read_back_and_long_texts_have_their_length() -> None:
    sent = frame(6, b"12345678", 1) + frame(0, b"abc", 0, 5)
    assert [(one.kind, one.flags, one.stream, one.payload) for one in frames_in(sent + b"\0\0")] == [
        (6, 1, 0, b"12345678"),
        (0, 0, 5, b"abc"),
    ]
    assert block([("a", "b" * 300)]) == b"\x00\x01a\x7f\xad\x01" + b"b" * 300
