"""Shares of cores in words, as the texts of reasons have them."""

from __future__ import annotations


def cores_words(cores: float) -> str:
    """``1 core``, ``4 cores``, ``1.5 cores``."""
    return f"{cores:g} core" if cores == 1 else f"{cores:g} cores"
