"""What the user asks of `./invoke slow-clients`."""

from __future__ import annotations

from typing import Annotated

from bench.errors import UsageError
from bench.nearest import guess
from bench.option import Option, parameters, text_of
from bench.proofs.request import ProveRequest
from bench.proofs.slow_clients import TITLES


class SlowRequest(ProveRequest, frozen=True):
    """Numbers of connections are for each server; fewer are opened where the host allows no more."""

    probes: Annotated[
        tuple[str, ...],
        Option(
            "what is measured, separated by commas",
            example="idle,slowloris",
            values="slow_probes",
            default="all of it",
        ),
    ] = ()
    idle: Annotated[int, Option("how many idle connections", example="2000")] = 10_000
    slow: Annotated[int, Option("how many of each kind of slow clients", example="50")] = 200
    patience: Annotated[int, Option("seconds that connections are watched for", example="20")] = 80
    pairs: Annotated[
        int, Option("slices of throughput beside idle connections, and as many without", example="9")
    ] = 5

    def check(self) -> None:
        """Raises UsageError for a probe that there is none of, and for a number below 1."""
        for probe in self.probes:
            if probe not in TITLES:
                raise UsageError(
                    f"no probe of slow clients is named {probe!r}",
                    remedy=f"{guess(probe, TITLES)}There are: {', '.join(TITLES)}",
                )
        for name in ("idle", "slow", "patience", "pairs"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"--{name} is a whole number above 0", remedy=f"Give --{name} 10, for example"
                )

    def command(self, name: str) -> tuple[str, ...]:
        words = list(ProveRequest.command(self, name))
        usual = {one.field for one in parameters(ProveRequest)}
        for one in parameters(SlowRequest):
            value = getattr(self, one.field)
            if one.field not in usual and value != one.default:
                words += [f"--{one.name}", text_of(value)]
        return tuple(words)
