"""What there is to choose from, by the kind that an option names. Quick: no host, no process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


def servers(root: Path, catalogue: Path | None = None) -> tuple[str, ...]:
    from bench.catalogue.read import load_catalogue

    return tuple(one.name for one in load_catalogue(endpoints(root), catalogue).servers)


def profiles(root: Path, catalogue: Path | None = None) -> tuple[str, ...]:
    from bench.catalogue.read import load_profiles

    return tuple(load_profiles(catalogue))


def results(root: Path, folder: Path | None = None) -> tuple[str, ...]:
    from bench.results.store import result_names

    return result_names(folder or root / "results")


def usual(kind: str, root: Path) -> tuple[str, ...]:
    """Those that are taken where none is named."""
    if kind == "servers":
        from bench.catalogue.read import load_catalogue

        return load_catalogue(endpoints(root)).defaults
    if kind == "endpoints":
        from testapp.workloads import WORKLOADS

        return tuple(one.name for one in WORKLOADS.values() if one.default_place is not None)
    return ()


def inventories(root: Path) -> tuple[str, ...]:
    from inventory.find import inventory_names

    return inventory_names(root)


def endpoints(root: Path) -> tuple[str, ...]:
    from testapp.workloads import WORKLOADS

    return tuple(WORKLOADS)


def releases(root: Path) -> tuple[str, ...]:
    from inventory.lab.releases import RELEASES

    return tuple(RELEASES)


def slow_probes(root: Path) -> tuple[str, ...]:
    from bench.proofs.slow_clients import TITLES

    return tuple(TITLES)


KINDS: Mapping[str, Callable[[Path], tuple[str, ...]]] = {
    "servers": servers,
    "profiles": profiles,
    "results": results,
    "inventories": inventories,
    "endpoints": endpoints,
    "releases": releases,
    "slow_probes": slow_probes,
}
