"""The tables of probes: each module here has one, ``PROBES``."""

from __future__ import annotations

import importlib
import pkgutil

from remote.onhost.conformance.asgi.probe import AsgiProbe


def all_probes() -> tuple[AsgiProbe, ...]:
    """By the modules' names, in their tables' order. Raises ValueError for two of one name."""
    found = tuple(
        probe
        for module in sorted(one.name for one in pkgutil.iter_modules(__path__))
        for probe in importlib.import_module(f"{__name__}.{module}").PROBES
    )
    names = [one.name for one in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two probes of one name: {', '.join(sorted(twice))}")
    return found
