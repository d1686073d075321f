"""The probes of HTTP/2, one file a subject with a constant ``SUBJECT``."""

from __future__ import annotations

import importlib
import pkgutil

from remote.onhost.conformance.h2.probe import H2Probe, H2Subject


def h2_subjects() -> tuple[H2Subject, ...]:
    modules = (importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    found: list[H2Subject] = [module.SUBJECT for module in modules]
    return tuple(sorted(found, key=lambda subject: subject.place))


def h2_probes() -> dict[str, H2Probe]:
    """By name."""
    return {probe.name: probe for subject in h2_subjects() for probe in subject.probes}
