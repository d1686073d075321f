"""One file a feature, each with its FEATURE."""

from __future__ import annotations

import importlib
import pkgutil

from remote.onhost.features.probe import Feature


def all_features() -> tuple[Feature, ...]:
    """Those of every module here, by the modules' names."""
    names = [one.name for one in pkgutil.iter_modules(__path__)]
    return tuple(importlib.import_module(f"{__name__}.{name}").FEATURE for name in names)
