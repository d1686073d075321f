"""A wrong name's nearest right one, for remedies."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of ``known`` that is most like ``name``; "" if none is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def guess(name: str, known: Iterable[str]) -> str:
    """``Did you mean NAME? ``, to stand before the rest of a remedy; "" without a guess."""
    found = nearest(name, known)
    return f"Did you mean {found}? " if found else ""
