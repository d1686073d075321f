"""SPDX licence expressions: which licences one names, and what holds for all of its alternatives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

TOKEN = re.compile(r"[()]|[^\s()]+")


def canonical(text: str) -> str:
    """The expression as SPDX writes it; "" where it is none, or names a licence that SPDX doesn't have."""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return ""


def names_in(expression: str) -> tuple[str, ...]:
    """The licences of a canonical expression, each once, in its order; an exception stays with its own."""
    return tuple(dict.fromkeys(one for one in _merged(expression) if one not in ("(", ")", "AND", "OR")))


def holds(expression: str, of: Callable[[str], bool]) -> bool:
    """Whether ``of`` a licence is so whatever is chosen: with AND one licence is enough, with OR all must be.

    ``expression`` is a canonical one.
    """
    reader = _Reader(tuple(_merged(expression)), of)
    value, _ = reader.alternatives(0)
    return value


def _merged(expression: str) -> list[str]:
    """The tokens, with ``GPL-2.0-only WITH Classpath-exception-2.0`` as one."""
    tokens: list[str] = []
    for token in TOKEN.findall(expression):
        if tokens and (token == "WITH" or tokens[-1].endswith(" WITH")):
            tokens[-1] += f" {token}"
        else:
            tokens.append(token)
    return tokens


@dataclass(frozen=True)
class _Reader:
    """Each method takes a position and gives its value with the position behind it."""

    tokens: tuple[str, ...]
    of: Callable[[str], bool]

    def alternatives(self, at: int) -> tuple[bool, int]:
        value, at = self.together(at)
        while self.tokens[at : at + 1] == ("OR",):
            other, at = self.together(at + 1)
            value = value and other
        return value, at

    def together(self, at: int) -> tuple[bool, int]:
        value, at = self.single(at)
        while self.tokens[at : at + 1] == ("AND",):
            other, at = self.single(at + 1)
            value = value or other
        return value, at

    def single(self, at: int) -> tuple[bool, int]:
        if self.tokens[at] == "(":
            value, at = self.alternatives(at + 1)
            return value, at + 1
        return self.of(self.tokens[at]), at + 1
