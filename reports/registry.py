"""Registries that follow from a package's files: each module holds one thing."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

_T = TypeVar("_T")


def found_in(package: str, name: str, kind: type[_T]) -> tuple[_T, ...]:
    """The constant ``name`` of every module of ``package``, by the modules' names.

    Raises TypeError if a module has no such constant, or one of another kind.
    """
    found = []
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        path = f"{package}.{module.name}"
        one = getattr(importlib.import_module(path), name, None)
        if not isinstance(one, kind):
            raise TypeError(f"{path} has no {name} of type {kind.__name__}")
        found.append(one)
    return tuple(found)
