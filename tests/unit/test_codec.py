"""Messages to JSON and back."""

from __future__ import annotations

import dataclasses
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.wire.codec import WireError, decode_line, decode_tagged, encode_line, from_plain, to_plain


@dataclasses.dataclass(frozen=True, slots=True)
class Inner:
    pairs: tuple[tuple[int, int], ...]
    kind: Literal["a", "b"] = "a"


@dataclasses.dataclass(frozen=True, slots=True)
class Outer:
    name: str
    seconds: float
    is_good: bool
    inner: Inner
    by_host: dict[str, Inner]
    cores: tuple[int, ...] | None = None
    words: list[str] = dataclasses.field(default_factory=list)


inners = st.builds(
    Inner,
    pairs=st.lists(st.tuples(st.integers(), st.integers())).map(tuple),
    kind=st.sampled_from(["a", "b"]),
)
outers = st.builds(
    Outer,
    name=st.text(),
    seconds=st.floats(allow_nan=False, allow_infinity=False),
    is_good=st.booleans(),
    inner=inners,
    by_host=st.dictionaries(st.text(), inners),
    cores=st.none() | st.lists(st.integers()).map(tuple),
    words=st.lists(st.text()),
)


@given(outers)
def test_what_is_sent_arrives(message: Outer) -> None:
    line = encode_line(message, do="say")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_line(Outer, line) == message
    assert decode_tagged({"say": Outer}, "do", line) == message
    # The controller reads the same types with msgspec.
    assert msgspec.json.decode(line, type=Outer) == message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": 3}, "Outer.name"),
        ({"seconds": "1"}, "Outer.seconds"),
        ({"is_good": 1}, "Outer.is_good"),
        ({"inner": {"pairs": [[1]]}}, r"Outer.inner.pairs\[0\]"),
        ({"inner": {"pairs": [], "kind": "c"}}, "Outer.inner.kind"),
        ({"by_host": []}, "Outer.by_host"),
        ({"cores": ["1"]}, r"Outer.cores\[0\]"),
    ],
)
def test_the_field_that_is_wrong_is_named(change: dict[str, object], named: str) -> None:
    good = to_plain(Outer("x", 1.0, True, Inner(()), {}))
    assert from_plain(Outer, {**good, "unknown": 1}).name == "x"
    with pytest.raises(WireError, match=named):
        from_plain(Outer, {**good, **change})
    del good["inner"]
    with pytest.raises(WireError, match=r"Outer\.inner is missing"):
        from_plain(Outer, good)


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b'{"do": "shout"}', b"3"])
def test_a_line_of_no_known_kind_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        decode_tagged({"say": Outer}, "do", line)
