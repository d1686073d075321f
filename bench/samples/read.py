"""A samples file read back."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from bench.errors import ResultError
from bench.wire.samples import KIND, LINES, SAMPLES_VERSION, Footer, Header, Line, Sample, key_of


class Samples(msgspec.Struct, frozen=True):
    """What one agent sampled in one run."""

    header: Header
    samples: tuple[Sample, ...]
    footer: Footer | None  # None: the file was cut off
    complete: bool  # the agent closed the file; else these are the whole lines of a file that was cut off
    clock_offset: float = 0.0  # the sampled host's monotonic clock minus ours, in seconds

    def time_of(self, monotonic_seconds: float) -> float:
        """Seconds on our monotonic clock, of a time on the sampled host's.

        The time of day has no part in it: whoever sets that of the host, or ours, moves no sample.
        """
        return monotonic_seconds - self.clock_offset

    def wall_leads(self) -> tuple[float, ...]:
        """The host's time of day minus its monotonic clock, wherever both were read; in seconds."""
        read: list[Header | Sample | Footer] = [self.header, *self.samples]
        if self.footer is not None:
            read.append(self.footer)
        return tuple(one.wall_seconds - one.monotonic_seconds for one in read if one.wall_seconds is not None)


def readings_in(samples: Samples, interval: tuple[float, float]) -> list[Sample]:
    """The samples of an interval that have what is read once a full interval.

    Where fewer than two lie inside, those of a full interval before and after it are taken too.
    """
    start, end = interval
    timed = [
        (samples.time_of(sample.monotonic_seconds), sample)
        for sample in samples.samples
        if sample.wall_seconds is not None
    ]
    inside = [sample for t, sample in timed if start <= t <= end]
    if len(inside) > 1:
        return inside
    # Half a slot more: a reading is a little late now and then.
    beside = samples.header.full_interval_seconds + samples.header.interval_seconds / 2
    return [sample for t, sample in timed if start - beside <= t <= end + beside]


def parse_samples(lines: bytes, clock_offset: float = 0.0) -> Samples:
    """Read a samples file. A last line that was cut off is left out and ``complete`` is False.

    ``clock_offset`` is the sampled host's monotonic clock minus ours: all times are on ours from here on.
    Raises ResultError, naming the line, for a damaged one, and for a file without a header.
    """
    whole, _, rest = lines.rpartition(b"\n")
    records = [_decode(line, number) for number, line in enumerate(whole.split(b"\n"), 1)] if whole else []
    if not records or not isinstance(records[0], Header):
        raise ResultError(
            "The samples have no header on line 1",
            remedy="The agent was stopped at once: measure this run again",
        )
    header = records[0]
    if header.version != SAMPLES_VERSION:
        raise ResultError(
            f"The samples of {header.run} are of version {header.version}, not {SAMPLES_VERSION}",
            remedy="Read them with the asgibench that wrote them",
        )
    return _assemble(header, records[1:], clock_offset, is_whole=not rest)


def _decode(line: bytes, number: int) -> Line:
    try:
        found = _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise ResultError(
            f"The samples are damaged on line {number}: {error}",
            remedy="Collect the file again, or measure this run again",
            detail=line[:200].decode(errors="replace"),
        ) from error
    return _KINDS[type(found)](*msgspec.structs.astuple(found))


def _as_on_disk(name: str, kind: type[Line]) -> type[msgspec.Struct]:
    """A struct with the fields of ``kind`` that msgspec reads by their keys on the disk, in one pass."""
    types = get_type_hints(kind)
    wanted: list[tuple[str, Any, Any]] = []
    for one in dataclasses.fields(kind):
        options: dict[str, Any] = {"name": key_of(one)}
        if one.default is not dataclasses.MISSING:
            options["default"] = one.default
        elif one.default_factory is not dataclasses.MISSING:
            options["default_factory"] = one.default_factory
        wanted.append((one.name, types[one.name], msgspec.field(**options)))
    return msgspec.defstruct(kind.__name__, wanted, frozen=True, tag_field=KIND, tag=name)


_KINDS: dict[type[msgspec.Struct], type[Line]] = {
    _as_on_disk(name, kind): kind for name, kind in LINES.items()
}
_DECODER: msgspec.json.Decoder[msgspec.Struct] = msgspec.json.Decoder(functools.reduce(operator.or_, _KINDS))


def _assemble(header: Header, records: Sequence[Line], clock_offset: float, *, is_whole: bool) -> Samples:
    for number, record in enumerate(records, 2):
        if isinstance(record, Header) or (isinstance(record, Footer) and number != len(records) + 1):
            raise ResultError(
                f"The samples of {header.run} are damaged: line {number} starts or ends another run",
                remedy="Collect the file again, or measure this run again",
            )
    footer = records[-1] if records and isinstance(records[-1], Footer) else None
    if footer is not None and footer.lines != len(records):
        raise ResultError(
            f"The samples of {header.run} have {len(records)} lines before the last, not {footer.lines}",
            remedy="Collect the file again, or measure this run again",
        )
    return Samples(
        header=header,
        samples=tuple(record for record in records if isinstance(record, Sample)),
        footer=footer,
        complete=is_whole and footer is not None,
        clock_offset=clock_offset,
    )
