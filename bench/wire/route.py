"""What route.py prints: how one host would reach another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """``event`` is ``route``."""

    address: str  # the numeric address that the other host has from here
    source: str  # the address of ours that the system's routes choose towards it


@dataclass(frozen=True, slots=True)
class NoRoute:
    """``event`` is ``no_route``: the name is unknown, or no route leads there."""

    error: str  # the system's words


ROUTE_EVENTS = {"route": Route, "no_route": NoRoute}
