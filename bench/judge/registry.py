"""Every rule of bench/judge/rules, found in the folder's modules: a new one needs no line here."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from bench.judge import rules
from bench.judge.rule import Rule


def _rules() -> tuple[type[Rule], ...]:
    """Sorted by priority; equal ones by module, then as they stand there. A leading underscore is no rule."""
    names = sorted(f"{rules.__name__}.{module.name}" for module in iter_modules(rules.__path__))
    found = [
        kind
        for name in names
        for kind in vars(import_module(name)).values()
        if isinstance(kind, type)
        and issubclass(kind, Rule)
        and kind.__module__ == name
        and not kind.__name__.startswith("_")
    ]
    return tuple(sorted(found, key=lambda rule: rule.priority))


RULES = _rules()
"""In the order in which a run's reasons are listed."""
