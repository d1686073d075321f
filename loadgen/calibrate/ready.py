"""A load host made ready for its calibration."""

from __future__ import annotations

import msgspec

from bench.errors import LoadError
from loadgen.cluster import LoadCluster
from remote.guarded import GuardedHost
from remote.provision.provision import VirtualEnvironment

CONNECTIONS = 50
WARMUP_SECONDS = 1
CLIENT_PATIENCE_SECONDS = 60.0
ADDRESS = "127.0.0.1"
FOLDER = "calibrate"
HOME = f"{FOLDER}/home"
ONHOST = "loadgen/onhost/calibration"
ORIGIN_LOG = f"{FOLDER}/server.log"


class Programs(msgspec.Struct, frozen=True):
    """Paths on a host; None where it hasn't the program."""

    nginx: str | None
    wrk: str | None


class Origin(msgspec.Struct, frozen=True):
    """The trivial server that answers."""

    title: str
    port: int
    core: int | None  # None: any


class ReadyHost(msgspec.Struct, frozen=True):
    """A load host on which the trivial server and a load worker run: all that measuring a client needs."""

    guarded: GuardedHost
    environment: VirtualEnvironment
    shipped_directory: str
    programs: Programs
    origin: Origin
    cluster: LoadCluster
    core: int | None  # that each client runs on; None: any
    clock_offset_seconds: float  # of the host, to add to the controller's monotonic clock
    window_seconds: int

    @property
    def cores(self) -> tuple[int, ...] | None:
        return None if self.core is None else (self.core,)

    @property
    def base_url(self) -> str:
        return f"http://{ADDRESS}:{self.origin.port}"

    def client_failed(self, client: str, detail: str) -> LoadError:
        """The error for a client that has no figure, with what it printed and the end of the server's log."""
        return LoadError(
            f"{self.guarded.host.name}: {client} could not be measured against {self.origin.title}",
            remedy="Its output follows; run the command again",
            detail="\n".join(filter(None, (detail, self.guarded.tail(ORIGIN_LOG, 1_000)))),
        )
