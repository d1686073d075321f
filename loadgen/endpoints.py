"""The workloads of the app as the endpoints that a plan has: what is written into results."""

from __future__ import annotations

from bench.plan.endpoints import KnownEndpoints
from bench.spec import Endpoint
from testapp.workload import Workload
from testapp.workloads import WORKLOADS


def endpoint_of(workload: Workload) -> Endpoint:
    return Endpoint(
        name=workload.name,
        path=workload.path,
        content_type=workload.content_type,
        length_bytes=workload.length_bytes,
        rotates_tokens=workload.rotates_tokens,
        transactions_per_request=workload.transactions_per_request,
        description=workload.description,
        method=workload.method,
        request_length_bytes=workload.request_length_bytes,
        protocol=workload.protocol,
    )


def known_endpoints() -> KnownEndpoints:
    """Every workload, in the registry's order."""
    return KnownEndpoints(
        endpoints=tuple(endpoint_of(one) for one in WORKLOADS.values()),
        defaults=tuple(one.name for one in WORKLOADS.values() if one.default_place is not None),
    )
