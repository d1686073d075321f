"""The probes of HTTP/1.1, one file a subject with a constant ``SUBJECT``."""

from __future__ import annotations

import importlib
import pkgutil

from remote.onhost.conformance.http1.probe import Http1Probe, ProbedSubject


def subjects() -> tuple[ProbedSubject, ...]:
    modules = (importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    found: list[ProbedSubject] = [module.SUBJECT for module in modules]
    return tuple(sorted(found, key=lambda subject: subject.place))


def probes() -> dict[str, Http1Probe]:
    """By name."""
    return {probe.name: probe for subject in subjects() for probe in subject.probes}
