"""How the controller comes to talk with a host's guard: the order to join it, and what comes back first.

The controller sends one AttachOrder to the relay, a program that it starts on the host. The relay sends a
Hello to the guard. One line comes back, of a kind that its ``event`` names (see ATTACH_EVENTS): after a
Greeting, requests may be sent (bench/wire/guard.py); after any other, the connection ends.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttachOrder:
    """The first line: which guard to join, or to become where none runs."""

    workdir: str  # the host's work folder, absolute
    marker: str  # the file that lies in every work folder of ours
    session: str  # lets the same session come back after a lost connection
    owner: str  # what another session reads that finds the host held
    lease_seconds: float  # without any request for so long, the guard stops everything and ends


@dataclass(frozen=True, slots=True)
class Hello:
    """The first line of every connection to a guard."""

    session: str


@dataclass(frozen=True, slots=True)
class Greeting:
    """``greeting``: the guard serves this session."""

    pid: int  # the guard's own


@dataclass(frozen=True, slots=True)
class HostHeld:
    """``held``: another session holds the host."""

    owner: str
    since: float  # the host's clock, in seconds since 1970


@dataclass(frozen=True, slots=True)
class NotAttached:
    """``not_attached``: no guard could be joined or started."""

    # ``not_ours`` (the work folder holds something else), ``anothers`` (it belongs to another user), the name
    # of an errno, or ``failed``.
    kind: str
    text: str


ATTACH_EVENTS = {"greeting": Greeting, "held": HostHeld, "not_attached": NotAttached}
