"""What a run left on the hosts, brought home."""

from __future__ import annotations

import msgspec

from bench.errors import LoadError
from bench.results.result import DatabaseCounters
from bench.spec import Endpoint
from loadgen.cluster import LoadHost, spool_folder
from loadgen.stats import parse_spool
from remote.database import read_counters
from remote.parallel import on_all, prompt_pool
from remote.server import Deployment, log_tail, read_counts, stop_server
from session.ready import wait_for_all
from session.stage import Stage, sampled


class Home(msgspec.Struct, frozen=True):
    """What a run left on the hosts, brought home."""

    samples: dict[str, bytes]
    spool_requests: int
    server_counts: dict[str, int]
    counters: DatabaseCounters | None
    log_tail: str


def bring_home(stage: Stage, label: str, deployment: Deployment, endpoint: Endpoint) -> Home:
    """Stop the server and fetch everything, side by side: it is all overhead."""
    guarded = stage.fleet.server

    def stop_and_count() -> tuple[dict[str, int], DatabaseCounters | None, str]:
        stop_server(guarded)
        # The database's own counts are exact once its clients have gone.
        counters = database_counters(stage, endpoint)
        return read_counts(guarded, deployment), counters, log_tail(guarded)

    with prompt_pool(3) as pool:
        server = pool.submit(stop_and_count)
        samples = pool.submit(stage.agents.end, label, sampled(stage))
        spools = pool.submit(_read_spools, stage, label)
        wait_for_all(server, samples, spools)
    counts, counters, tail = server.result()
    return Home(samples.result(), spools.result(), counts, counters, tail)


def _read_spools(stage: Stage, label: str) -> int:
    """Requests by the load workers' own files; the files are removed."""

    def read_one(host: LoadHost) -> int:
        found = 0
        for index in range(len(host.worker_names)):
            path = f"{spool_folder(index)}/{label}.jsonl"
            try:
                found += parse_spool(host.guarded.read(path)).answered
            except (KeyError, msgspec.MsgspecError) as error:
                raise LoadError(
                    f"{host.guarded.host.name}: the load worker's file {path} is cut short",
                    remedy="see that its disk isn't full",
                ) from error
            host.guarded.remove(path)
        return found

    return sum(on_all(read_one, stage.cluster.hosts, lambda host: host.guarded.host.name).values())


def database_counters(stage: Stage, endpoint: Endpoint) -> DatabaseCounters | None:
    if stage.database is None or not endpoint.uses_database:
        return None
    return read_counters(stage.database)
