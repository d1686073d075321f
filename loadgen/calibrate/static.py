"""What the trivial server answers: one right answer of each workload, as a file."""

from __future__ import annotations

from testapp.workload import Workload
from testapp.workloads import WORKLOADS

SEED = 1


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
