"""Each server of the page: its version, and the loop, the parser and the set-up that its figures are of."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plan.plan import Plan
from bench.results.run import RunResult
from bench.spec import ServerSpec
from reports.tables.table import Table, TableRow, words
from reports.words.numbers import MISSING
from reports.words.set_ups import SET_UP_WORDS


def set_up_table(plan: Plan, runs: Sequence[RunResult]) -> Table:
    """A row for each server. Loop and parser are those that were seen; where none was, those asked for."""
    first: dict[str, RunResult] = {}
    for run in runs:
        first.setdefault(run.cell.server, run)
    rows = tuple(_row(spec, first.get(spec.name)) for spec in plan.servers)
    return Table("Servers", words("Server", "Version", "Event loop", "HTTP parser", "Set-up"), rows)


def _row(spec: ServerSpec, run: RunResult | None) -> TableRow:
    seen = {} if run is None else {one.setting: one.seen for one in run.proof}
    version = "" if run is None else run.server_version
    asked = {"loop": spec.settings.loop, "http_parser": spec.settings.http_parser}
    shown = [seen.get(name) or spec.unhonoured_settings.get(name) or asked[name] or MISSING for name in asked]
    set_up = SET_UP_WORDS[spec.set_up] if spec.set_up else MISSING
    return TableRow((spec.name, f"{spec.package} {version}".strip(), *shown, set_up))
