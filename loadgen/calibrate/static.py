"""The files that the trivial server answers with, one of each workload, and the load that asks for them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

from bench.wire.load import Expect, LoadSpec
from loadgen.endpoints import endpoint_of
from loadgen.traffic import WorkloadTraffic
from testapp.workload import Workload
from testapp.workloads import WORKLOADS

SEED = 1
HASH_SAMPLE_EVERY = 1_000


def why_no_file_answers(workload: Workload) -> str:
    """Why a server of files can't answer the workload; "" where it can."""
    if workload.method != "GET" or workload.request_length_bytes:
        return f"it is a {workload.method} whose body the server has to read, and ours only sends files"
    if workload.protocol != "http/1.1":
        return f"it is of {workload.protocol}, and our server speaks HTTP/1.1 only"
    return ""


def static_workloads() -> tuple[Workload, ...]:
    return tuple(one for one in WORKLOADS.values() if not why_no_file_answers(one))


def body_of(workload: Workload) -> bytes:
    """With tokens in rotation, always the first user's: who asks makes no difference to a file."""
    return workload.bodies(SEED)[0]


def load_of_file(
    workload: Workload, host: str, port: int, *, epoch: float, clock_offsets: Mapping[str, float]
) -> LoadSpec:
    """What a benchmark's run of the workload asks, tokens in rotation too; each answer is the one file."""
    spec = WorkloadTraffic(workload, endpoint_of(workload), SEED).load_spec(
        host, port, epoch=epoch, hash_sample_every=HASH_SAMPLE_EVERY, clock_offsets=clock_offsets
    )
    body = body_of(workload)
    expect = Expect(length=len(body), body_sha256=(hashlib.sha256(body).hexdigest(),))
    return dataclasses.replace(spec, expect=expect)
