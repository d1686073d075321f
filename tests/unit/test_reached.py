"""What a run shows of TLS and of open sockets: summed, kept, and told in the report."""

from __future__ import annotations

import math

import msgspec
import pytest

from bench.plan.plan import Plan
from bench.results.cell import Cell
from bench.results.reached import SocketMemory, TlsUse, median_per_1000, socket_memory, tls_use
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.samples.memory import Memory, Spread
from bench.wire.slices import Totals
from reports.results import Results
from reports.sections.sockets import SECTION as SOCKETS
from reports.sections.tls import SECTION as TLS
from reports.tables.table import Table
from session.drive import _hold_seconds
from tests.helpers.results_example import REVIEW, example

AGREED = "TLSv1.3 TLS_AES_256_GCM_SHA384"


def totals(tls: dict[str, int], resumed: int = 0) -> Totals:
    return Totals("w", 0, {}, 0, 0, 0, 0, 0, 0, tls=tls, tls_resumed=resumed)


def test_tls_is_summed_over_load_workers_and_unknown_where_nobody_tells() -> None:
    assert tls_use([totals({AGREED: 3}, 1), totals({AGREED: 2, "TLSv1.2 x": 1})]) == TlsUse(
        {"TLSv1.2 x": 1, AGREED: 5}, 1
    )
    assert tls_use([totals({}), totals({})]) is None


def test_the_memory_of_sockets_is_what_open_ones_add() -> None:
    before = Memory(Spread(50_000_000, 50_000_000, 3), Spread(40_000_000, 40_000_000, 1), None)
    held = Memory(Spread(56_000_000, 56_000_000, 3), Spread(44_000_000, 44_000_000, 1), None)
    found = socket_memory(2_000, before, held)
    assert (found.rss_bytes_per_1000, found.pss_bytes_per_1000) == (3_000_000, 2_000_000)
    without = socket_memory(2_000, before, msgspec.structs.replace(held, pss=None))
    assert median_per_1000([found]) == ("PSS", 2_000_000)
    assert median_per_1000([found, without]) == ("RSS", 3_000_000), "one kind in all runs"
    assert median_per_1000([SocketMemory(10, None, 5, None, None)]) is None


@pytest.mark.parametrize(
    ("protocol", "rate", "seconds"),
    [("websocket", None, 2.5), ("websocket", 500.0, 0.0), ("http/1.1", None, 0.0)],
)
def test_sockets_rest_open_in_half_of_the_warm_up_of_a_closed_loop(
    protocol: str, rate: float | None, seconds: float
) -> None:
    cell = Cell("uvicorn", "x", 1, 50, "lab", rate, protocol=protocol)
    assert _hold_seconds(cell, REVIEW) == seconds == REVIEW.warmup_seconds * (seconds > 0) / 2


def reached(protocol: str = "http/1.1") -> Results:
    """An example's runs twice, the second time with TLS: 0.8 of the requests/s for 1.5 of the CPU."""
    made = example(REVIEW)

    def with_tls(run: RunResult) -> RunResult:
        return msgspec.structs.replace(
            run,
            cell=msgspec.structs.replace(run.cell, tls=True),
            run_id=f"{run.run_id}-tls",
            requests_per_second=run.requests_per_second * 0.8,
            cpu_seconds_per_request=(run.cpu_seconds_per_request or math.nan) * 1.5,
            tls=TlsUse({AGREED: 50}, 0),
        )

    spoken = [
        msgspec.structs.replace(
            run,
            cell=msgspec.structs.replace(run.cell, protocol=protocol),
            sockets=SocketMemory(50, 10_000_000, 10_200_000, None, None) if protocol == "websocket" else None,
        )
        for run in made.runs
    ]
    runs = (*spoken, *map(with_tls, spoken))
    planned = [
        msgspec.structs.replace(made.plan.runs[0], id=run.run_id, cell=run.cell, block=run.block)
        for run in runs
    ]
    plan: Plan = msgspec.structs.replace(made.plan, runs=tuple(planned))
    return Results(plan, made.environment, summarise(plan, runs), runs)


def test_the_report_says_what_tls_costs_beside_the_same_server_without_it() -> None:
    (table,) = [part for part in TLS.parts(reached()) if isinstance(part, Table)]
    rows = [row for row in table.rows if row.tone == ""]
    assert len(rows) == 9
    for row in rows:
        assert row.cells[2].startswith("0.80 [0.80"), "of requests/s"
        assert row.cells[4].startswith("1.50 [1.50"), "of CPU per request"
        assert row.cells[5:] == ("TLS 1.3 TLS_AES_256_GCM_SHA384", f"0 of {50 * REVIEW.blocks}")
    made = example(REVIEW)
    plain = Results(made.plan, made.environment, summarise(made.plan, made.runs), made.runs)
    assert TLS.parts(plain) == SOCKETS.parts(plain) == ()


def test_the_report_names_round_trips_and_the_memory_of_sockets() -> None:
    paragraph, table = SOCKETS.parts(reached("websocket"))
    assert "round trip" in str(paragraph)
    assert isinstance(table, Table)
    assert {row.cells[3:] for row in table.rows if not row.cells[2].startswith("with TLS")} == {
        ("50", "4.0 (RSS)")
    }
    assert "50 connections are few" in table.note
    assert SOCKETS.parts(reached()) == ()
