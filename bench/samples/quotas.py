"""What CPU quotas did to the processes that one agent sampled."""

from __future__ import annotations

from bench.results.quota import Party, QuotaUse
from bench.samples.read import Samples, readings_in
from bench.samples.tree import Interval
from bench.wire.samples import QuotaRow

SERVER, DATABASE, BALANCER = "server", "database", "balancer"
PARTIES: tuple[Party, ...] = ("server", "database", "load")


def party_of(target: str) -> Party:
    """Who is of neither server nor database is a load worker; the server's balancer is of the server."""
    return "server" if target in (SERVER, BALANCER) else "database" if target == DATABASE else "load"


def quota_use(samples: Samples, host: str, interval: Interval) -> tuple[QuotaUse, ...]:
    """Each group with a quota that held a target in the interval, the most throttled first."""
    parties: dict[str, set[Party]] = {}
    first: dict[str, QuotaRow] = {}
    last: dict[str, QuotaRow] = {}
    for sample in readings_in(samples, interval):
        for target, rows in sample.quotas.items():
            for row in rows:
                parties.setdefault(row.group, set()).add(party_of(target))
                first.setdefault(row.group, row)
                last[row.group] = row
    found = [_use(host, parties[group], first[group], last[group]) for group in first]
    return tuple(sorted(found, key=lambda use: use.throttled_share, reverse=True))


def _use(host: str, parties: set[Party], first: QuotaRow, last: QuotaRow) -> QuotaUse:
    return QuotaUse(
        host=host,
        group=first.group,
        parties=tuple(party for party in PARTIES if party in parties),
        cores=min(first.cores, last.cores),
        periods=max(0, last.periods - first.periods),
        throttled_periods=max(0, last.throttled_periods - first.throttled_periods),
        throttled_seconds=max(0.0, last.throttled_seconds - first.throttled_seconds),
    )
