"""The lines of a samples file: what the agent writes is what is read, field by field."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.errors import ResultError
from bench.samples.read import parse_samples
from bench.wire.samples import (
    LINES,
    CoreRow,
    Footer,
    FullRow,
    Header,
    Note,
    ProcessRow,
    QuotaRow,
    Sample,
    TargetGone,
    ThreadRow,
    encode_bare_sample,
    encode_record,
    encode_sample,
)

HEADER = Header(
    version=1,
    run="one",
    host="h",
    system="Linux",
    wall_seconds=1_795_500_000.25,
    monotonic_seconds=500.5,
    interval_seconds=0.1,
    full_interval_seconds=1.0,
    targets={"server": 1},
    absent={"pss": "Darwin has no PSS"},
    reader="proc",
    agent_pid=99,
    page_bytes=4096,
    psutil="7.0.0",
    python="3.11.7",
    release="6.1",
    clock="clock_gettime(CLOCK_MONOTONIC)",
    interrupts_apart=False,
)
BARE = Sample(500.6, {"server": (ProcessRow(1, 2048, 1.25, 3), ProcessRow(2, None, None, None)), "gone": ()})
WHOLE = Sample(
    monotonic_seconds=501.5,
    processes={"server": (ProcessRow(1, 2048, 1.5, 3),)},
    wall_seconds=1_795_500_001.25,
    agent_cpu_seconds=0.125,
    late_seconds=0.0015,
    missed=2,
    cores=(CoreRow(10.5, 0.25, 0.125), CoreRow(3.125, None)),
    network_bytes=(1000, 2000),
    full={"server": (FullRow(1, 1024, 512, 7, 100, None, 0.25),)},
    network_packets=(10, 20),
    threads={"server": (ThreadRow(1, 4, 1.5, 0.000125),)},
    quotas={"server": (QuotaRow("/sys/fs/cgroup/a b", 0.5, 121, 88, 3.5),)},
)
FOOTER = Footer("asked", 5, 2, 2, 0.0015, 0.001, 0.25, 1_795_500_002.25, 502.5)


def test_what_is_written_is_what_is_read() -> None:
    lines = [
        encode_record(HEADER),
        encode_bare_sample(BARE.monotonic_seconds, BARE.processes),
        encode_record(Note(2, "pss, uss", "Permission denied")),
        encode_sample(WHOLE),
        encode_record(TargetGone("server", 1_795_500_002.0, 502.25)),
        encode_record(FOOTER),
    ]
    read = parse_samples(b"".join(lines))
    assert (read.header, read.samples, read.footer) == (HEADER, (BARE, WHOLE), FOOTER)
    assert read.complete


def test_keys_on_the_disk_stay_as_they_were() -> None:
    """Older results have them."""
    always = {"k", "m", "p", "t", "c", "late", "missed", "u", "n", "f", "np"}
    assert set(json.loads(encode_sample(WHOLE))) == {*always, "th", "q"}
    assert set(json.loads(encode_sample(replace(WHOLE, threads={}, quotas={})))) == always
    assert set(json.loads(encode_bare_sample(BARE.monotonic_seconds, BARE.processes))) == {"k", "m", "p"}
    footer = {"k", "reason", "lines", "samples", "missed", "late_max", "late_mean", "c", "t", "m"}
    assert set(json.loads(encode_record(FOOTER))) == footer
    assert set(json.loads(encode_record(TargetGone("server", 1.0, 2.0)))) == {"k", "target", "t", "m"}
    assert {"t", "m", "full_interval_seconds", "agent_pid"} <= set(json.loads(encode_record(HEADER)))
    assert set(LINES) == {"head", "s", "gone", "note", "end"}


def test_a_sample_from_before_threads_packets_interrupts_and_quotas_is_read() -> None:
    line = json.loads(encode_sample(WHOLE))
    for key in ("np", "th", "q"):
        del line[key]
    line["u"] = [row[:2] for row in line["u"]]
    line["f"] = {"server": [row[:6] for row in line["f"]["server"]]}
    header = json.loads(encode_record(HEADER))
    del header["interrupts_apart"]
    read = parse_samples(b"".join(json.dumps(one).encode() + b"\n" for one in (header, line)))
    (found,) = read.samples
    assert found.cores == (CoreRow(10.5, 0.25, None), CoreRow(3.125, None, None))
    assert found.full["server"][0].children_seconds is None
    assert (found.network_packets, found.threads, found.quotas) == (None, {}, {})
    assert read.header.interrupts_apart is None


@pytest.mark.parametrize("key", ["m", "p"])
def test_a_line_that_lacks_a_field_is_damage(key: str) -> None:
    line = json.loads(encode_bare_sample(BARE.monotonic_seconds, BARE.processes))
    del line[key]
    with pytest.raises(ResultError, match="damaged on line 2"):
        parse_samples(encode_record(HEADER) + json.dumps(line).encode() + b"\n")
