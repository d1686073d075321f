"""What slow clients cost a server, in figures and words that read the same everywhere."""

from __future__ import annotations

from bench.proofs.slow_clients import SlowFinding, memory_per_connection
from bench.results.pairs import PairRatio
from reports.words.numbers import MISSING, times


def verdict_of(finding: SlowFinding | None) -> str:
    return MISSING if finding is None else finding.verdict


def memory_text(finding: SlowFinding | None) -> str:
    """``7.7`` for 7,700 bytes per connection."""
    grown = None if finding is None else memory_per_connection(finding)
    return MISSING if grown is None else f"{grown / 1e3:,.1f}"


def ratio_text(ratio: PairRatio | None) -> str:
    """``0.93 (0.88 to 0.98)``."""
    if ratio is None or ratio.mean is None:
        return MISSING
    if ratio.low is None or ratio.high is None:
        return times(ratio.mean)
    return f"{times(ratio.mean)} ({times(ratio.low)} to {times(ratio.high)})"


def opened_text(finding: SlowFinding | None) -> str:
    held = None if finding is None else finding.measured.held
    return MISSING if held is None else f"{held.opened:,}"


def closed_text(finding: SlowFinding | None) -> str:
    """When the server had closed the last: ``closes (60 s)``, ``keeps``."""
    if finding is None:
        return MISSING
    held = finding.measured.held
    if finding.verdict != "closes" or held is None or held.last_closed_seconds is None:
        return finding.verdict
    return f"closes ({held.last_closed_seconds:.0f} s)"


def ahead_text(finding: SlowFinding | None) -> str:
    """How far it ran ahead: ``bounded (3.7 MB)``."""
    flow = None if finding is None else finding.measured.flow
    if finding is None or flow is None:
        return verdict_of(finding)
    return f"{finding.verdict} ({flow.ahead_bytes / 1e6:,.1f} MB)"
