"""The probes of slow clients: each module here is one, by its name, with ``run``."""

from __future__ import annotations

import importlib
import pkgutil

from remote.onhost.slow_clients.probe import SlowProbe


def probe_named(name: str) -> SlowProbe:
    """Raises LookupError."""
    names = {one.name.replace("_", "-"): one.name for one in pkgutil.iter_modules(__path__)}
    found: SlowProbe = importlib.import_module(f"{__name__}.{names[name]}").run
    return found
