"""The figures of the paper that this toolkit implements.

Novikau, A. (2024). Evaluative Comparison of ASGI Web Servers: A Systematic Review. IJSEA 13(03), 30-35.
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = (
    "Novikau, A. (2024). Evaluative Comparison of ASGI Web Servers: A Systematic Review. "
    "IJSEA 13(03), 30–35. DOI 10.7753/IJSEA1303.1007"
)
MACHINE = "one MacBook Pro 2019 (2.6 GHz 6-core Intel Core i7, 16 GB), shared by the server and the load"
RSS_NOTE = (
    "RSS, MB: median in the window. The paper doesn’t say when it sampled, nor whether its MB are 10⁶ or 2²⁰ "
    "bytes."
)
VERSIONS = {"uvicorn": "0.27.0.post1", "daphne": "4.0.0", "hypercorn": "0.16.0"}
SERVERS = ("uvicorn", "daphne", "hypercorn")
ENDPOINTS = ("longbody", "shortbody", "orders")
TITLES = {
    "longbody": "Table 1. longbody",
    "shortbody": "Table 2. shortbody (the paper’s caption says longbody by mistake)",
    "orders": "Table 3. orders, the close-to-real-life endpoint",
}


@dataclass(frozen=True)
class PaperFigures:
    """As printed. The paper doesn't say whether a MB is 10^6 or 2^20 bytes."""

    requests_per_second: float
    rss_megabytes: float


FIGURES = {
    ("longbody", "uvicorn"): PaperFigures(2460, 80.8),
    ("longbody", "daphne"): PaperFigures(1039, 110.5),
    ("longbody", "hypercorn"): PaperFigures(2021, 116.5),
    ("shortbody", "uvicorn"): PaperFigures(4253, 79.4),
    ("shortbody", "daphne"): PaperFigures(3073, 126.7),
    ("shortbody", "hypercorn"): PaperFigures(3112, 112.8),
    ("orders", "uvicorn"): PaperFigures(1511, 77.6),
    ("orders", "daphne"): PaperFigures(1258, 108.7),
    ("orders", "hypercorn"): PaperFigures(1230, 109.4),
}
