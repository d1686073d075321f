"""The endpoints that a plan has unless told otherwise, and the names of all."""

from __future__ import annotations

from pathlib import Path

from bench.catalogue import read
from bench.catalogue.read import Catalogue
from loadgen.endpoints import known_endpoints

KNOWN_ENDPOINTS = known_endpoints()
ENDPOINTS = KNOWN_ENDPOINTS.chosen(())
SHORTBODY, LONGBODY, ORDERS = ENDPOINTS


def load_catalogue(extra: Path | None = None) -> Catalogue:
    """The catalogue, checked against the app's endpoints."""
    return read.load_catalogue(KNOWN_ENDPOINTS.names, extra)
