"""Claim 8: hypercorn's worker classes."""

from __future__ import annotations

from bench.results.pairs import paired_ratio, throughput
from bench.served import USUALLY_SERVED
from reports.paper.claim import Claim, PaperClaim, all_of, untested
from reports.paper.figures import ENDPOINTS
from reports.paper.ratios import TOLERANCE, against, shown
from reports.results import Results

TEXT = "Hypercorn’s asyncio and uvloop workers perform alike (trio: untested here)"
PAPER = "alike"


def _judge(results: Results) -> tuple[Claim, ...]:
    return (_asyncio_and_uvloop(results),)


def _asyncio_and_uvloop(results: Results) -> Claim:
    servers = [server for server in results.plan.servers if server.package == "hypercorn"]
    loops = {server.settings.loop: server.name for server in servers}
    pairs = []
    for endpoint in ENDPOINTS:
        cells = [
            cell
            for cell in results.summary.closed_loop_cells
            if cell.endpoint == endpoint and cell.served == USUALLY_SERVED and cell.is_ranked
        ]
        found = {cell.server: cell for cell in cells}
        asyncio, uvloop = found.get(loops.get("asyncio", "")), found.get(loops.get("uvloop", ""))
        if asyncio is not None and uvloop is not None and asyncio.workers == uvloop.workers:
            pairs.append((endpoint, paired_ratio(uvloop, asyncio, results.runs, throughput)))
    if not pairs:
        return untested(TEXT, PAPER, "needs hypercorn with both loops in one benchmark")
    here = "; ".join(f"{endpoint} {shown(ratio)}" for endpoint, ratio in pairs)
    verdicts = [against(ratio, 1 / TOLERANCE, TOLERANCE)[0] for _, ratio in pairs]
    return Claim(TEXT, PAPER, here, all_of(verdicts))


CLAIM = PaperClaim(8, _judge)
