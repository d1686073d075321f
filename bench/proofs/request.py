"""What the user asks of every kind of proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option, parameters, text_of
from bench.plan.request import Catalogue, Debug, Hosts, JsonFile, Results

ProvenServers = Annotated[
    tuple[str, ...],
    Option(
        "names separated by commas, of those that `./invoke servers` lists",
        example="uvicorn,daphne",
        values="servers",
        default="all of them",
    ),
]


class ProveRequest(msgspec.Struct, frozen=True):
    """What the user asks of every kind of proof. Empty ``servers``: every entry of the catalogue."""

    root: Path
    hosts: Hosts = "local"
    servers: ProvenServers = ()
    catalogue: Catalogue = None
    results: Results = None
    json: JsonFile = None
    debug: Debug = False

    @property
    def results_root(self) -> Path:
        return self.results or self.root / "results"

    def command(self, name: str) -> tuple[str, ...]:
        """The command ``name`` that proves the same again."""
        words = ["./invoke", name]
        for one in parameters(ProveRequest):
            value = getattr(self, one.field)
            if value != one.default and one.field not in ("json", "debug"):
                words += [f"--{one.name}", text_of(value)]
        return tuple(words)
