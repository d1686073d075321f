"""Claim 4: memory, server beside server and long bodies beside short ones."""

from __future__ import annotations

from bench.results.pairs import paired_ratio
from reports.paper.claim import Claim, PaperClaim, all_of, cells_compared, no_valid_run
from reports.paper.figures import ENDPOINTS, SERVERS
from reports.paper.ratios import TOLERANCE, against, rss, shown
from reports.results import Results


def _judge(results: Results) -> tuple[Claim, ...]:
    return (_least_memory(results), _memory_and_body_size(results))


def _least_memory(results: Results) -> Claim:
    text, paper = "uvicorn uses the least memory in every scenario", "0.70 to 0.73 of the next"
    cells, here, verdicts = cells_compared(results), [], []
    for endpoint in ENDPOINTS:
        missing = [name for name in SERVERS if (name, endpoint) not in cells]
        if missing:
            return no_valid_run(text, paper, missing, endpoint)
        rivals = [cells[name, endpoint] for name in SERVERS[1:]]
        rival = min(rivals, key=lambda cell: cell.rss_bytes.median or 0)
        ratio = paired_ratio(cells["uvicorn", endpoint], rival, results.runs, rss)
        here.append(f"{endpoint} {shown(ratio)} of {rival.server}")
        verdicts.append(against(ratio, 0.0, 1.0)[0])
    return Claim(text, paper, "; ".join(here), all_of(verdicts))


def _memory_and_body_size(results: Results) -> Claim:
    text, paper = "Body size hardly changes memory (longbody over shortbody)", "0.87 to 1.03"
    cells, here, verdicts = cells_compared(results), [], []
    for name in SERVERS:
        missing = [endpoint for endpoint in ("longbody", "shortbody") if (name, endpoint) not in cells]
        if missing:
            return no_valid_run(text, paper, [name], missing[0])
        ratio = paired_ratio(cells[name, "longbody"], cells[name, "shortbody"], results.runs, rss)
        here.append(f"{name} {shown(ratio)}")
        verdicts.append(against(ratio, 1 / TOLERANCE, TOLERANCE)[0])
    return Claim(text, paper, "; ".join(here), all_of(verdicts))


CLAIM = PaperClaim(4, _judge)
