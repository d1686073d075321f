"""The endpoints that can be measured, and those of them that were chosen."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.errors import UsageError
from bench.nearest import guess
from bench.spec import Endpoint


class KnownEndpoints(msgspec.Struct, frozen=True):
    """All endpoints of the app, and the names of those that are measured when none is named."""

    endpoints: tuple[Endpoint, ...]
    defaults: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(endpoint.name for endpoint in self.endpoints)

    def chosen(self, names: Sequence[str]) -> tuple[Endpoint, ...]:
        """The endpoints of these names, each once and in their order. Raises UsageError for a wrong one."""
        known = {endpoint.name: endpoint for endpoint in self.endpoints}
        for name in names:
            if name not in known:
                raise UsageError(
                    f"there is no endpoint {name!r}",
                    remedy=f"{guess(name, known)}There are {', '.join(known)}",
                )
        return tuple(known[name] for name in dict.fromkeys(names or self.defaults))
