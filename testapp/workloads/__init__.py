"""The workloads: one file each, found in this folder. Shipped; standard library only."""

from __future__ import annotations

import importlib
import pkgutil

from testapp.workload import Workload


def _found() -> dict[str, Workload]:
    """By name: those of the usual benchmark in their order, then the others by name."""
    modules = [importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)]
    workloads: list[Workload] = [module.WORKLOAD for module in modules]
    defaults = [one for one in workloads if one.default_place is not None]
    others = [one for one in workloads if one.default_place is None]
    ordered = sorted(defaults, key=lambda one: one.default_place or 0)
    return {one.name: one for one in [*ordered, *sorted(others, key=lambda one: one.name)]}


WORKLOADS = _found()
