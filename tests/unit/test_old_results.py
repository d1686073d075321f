"""Results of version 1 open: what they always held is all that is required of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.plan.plan import PLAN_VERSION, Environment, Plan
from bench.results.run import RESULT_VERSION, RunResult
from bench.results.summary import SUMMARY_VERSION, Summary

REQUIRED = {
    "Bytes": "idle median peak",
    "Cell": "server endpoint workers connections environment",
    "CellSummary": (
        "server server_version endpoint workers connections environment requests_per_second "
        "latency_seconds rss_bytes pss_bytes uss_bytes cpu_seconds_per_request failures limit valid "
        "reasons"
    ),
    "Counts": "engine server locust spool",
    "DatabaseUse": "transactions requests transactions_per_request rows_fetched",
    "Endpoint": "name path content_type length_bytes",
    "Environment": "name server loadgen database hosts facts versions controller placement",
    "Estimate": "median low high runs",
    "Host": "name groups",
    "HostFacts": (
        "host system release distribution architecture cpu_model cores_total cores_usable "
        "memory_bytes python_version python_path python_implementation libc macos_version user "
        "is_root home workdir disk_free_bytes boot_id cpu_frequency_scaling open_files_limit "
        "clock_offset_seconds clock_offset_error_seconds can_pin"
    ),
    "Latency": "p50 p90 p99 p99_9 max mean",
    "Limit": "name text",
    "LoadWorker": (
        "name host requests engine_core_share locust_core_share loop_lag_seconds_max connects "
        "reconnects bytes_received"
    ),
    "MemoryPoint": "seconds rss_bytes",
    "NetworkUse": "sent_bytes_per_second received_bytes_per_second",
    "OpenLoop": (
        "offered_rate_per_second achieved_rate_per_second service_latency_seconds send_lag_seconds "
        "backlog_max backlog_dropped"
    ),
    "Plan": (
        "version name environment inventory_path profile servers endpoints seed runs skipped "
        "command created_at lock_sha256 asgibench_version"
    ),
    "PlannedRun": "id cell block position",
    "Profile": "name connections warmup_seconds window_seconds blocks idle_rest_seconds after_rest_seconds",
    "Reason": "code text",
    "RunResult": (
        "version run_id cell block position started_at server_version server_command "
        "server_settings unhonoured_settings server_pids server_configuration requests failures "
        "requests_per_second bytes_per_second latency_seconds seconds memory rss_bytes pss_bytes "
        "uss_bytes server_cpu database_cpu cpu_seconds_per_request load_workers agent_core_share "
        "counts database timing limit valid reasons"
    ),
    "Second": "second in_window requests failures p50_seconds p99_seconds server_rss_bytes",
    "ServerSpec": "name package environment_group command",
    "SkippedCell": "cell reason",
    "Summary": (
        "version name created_at environment profile seed complete runs_planned runs_done cells "
        "skipped warnings"
    ),
    "Timing": (
        "start_seconds rest_seconds warmup_seconds window_seconds stop_seconds total_seconds overhead_seconds"
    ),
    "TreeCpu": "cpu_seconds core_share cores processes",
    "UserLocustfile": "path name sha256 user_classes",
    "VersionRange": "versions",
}
"""What the first results of version 1 held, by the class that reads it. A later field needs a default."""


def required_now(kind: Any) -> dict[str, set[str]]:
    defined = msgspec.json.schema(kind)["$defs"]
    return {name: set(fields.get("required", ())) for name, fields in defined.items()}


@pytest.mark.parametrize("kind", [RunResult, Summary, Plan, Environment])
def test_nothing_is_required_that_the_first_results_lack(kind: Any) -> None:
    now = required_now(kind)
    known = {name: set(REQUIRED[name].split()) for name in now if name in REQUIRED}
    assert set(known) >= {kind.__name__}
    for name, required in known.items():
        assert now[name] <= required, f"{name}: give what is new a default, or raise the version"


def test_the_versions_are_those_of_the_fields_above() -> None:
    assert (PLAN_VERSION, RESULT_VERSION, SUMMARY_VERSION) == (1, 1, 1)
