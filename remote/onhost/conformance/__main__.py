"""Runs one suite against a server that is up. stdin is a ConformanceOrder, stdout a ConformanceReport."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from bench.wire.codec import decode_line, encode_line
from bench.wire.conformance import ConformanceOrder, ConformanceReport
from remote.onhost import conformance


def suites() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(conformance.__path__) if module.ispkg)


def report_on(order: ConformanceOrder) -> ConformanceReport:
    if order.suite not in suites():
        return ConformanceReport(f"there is no suite {order.suite!r}, only {', '.join(suites())}", ())
    suite = importlib.import_module(f"{conformance.__name__}.{order.suite}")
    report: ConformanceReport = suite.run(order)
    return report


if __name__ == "__main__":
    sys.stdout.buffer.write(encode_line(report_on(decode_line(ConformanceOrder, sys.stdin.readline()))))
