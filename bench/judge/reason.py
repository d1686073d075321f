"""What a judgement comes to in results: a run's limit, and reasons of runs, cells and benchmarks."""

from __future__ import annotations

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """Something that a reader must know of a run, a cell or a benchmark."""

    code: str  # which rule gave it; never changes
    text: str  # what was found, without its capital and full stop
    remedy: str = ""  # what to do about it, without its full stop; "" where nothing can be done
    invalidates: bool = False  # the run, or the cell, says nothing about its server
    # The figure stands, but it is no maximum of the server: it ranks no servers by throughput.
    unranks: bool = False
    # Of the cores that it is about, what was found taken, to two places; None: it is about no cores.
    share: float | None = None


class Limit(msgspec.Struct, frozen=True):
    """What held a run back."""

    # A LimitName of bench/judge/rule.py. offered_rate: nothing did, and the stated rate was served in full.
    name: str
    text: str  # the figures that it was named from
