"""The report of one benchmark as a page."""

from __future__ import annotations

from reports.page.page import Page
from reports.results import Results
from reports.sections import SECTIONS
from reports.words.numbers import counted, listed
from reports.words.sentences import headline
from reports.words.set_ups import with_set_ups


def report_page(results: Results) -> Page:
    plan = results.plan
    line = headline(with_set_ups(results.contests, plan.servers))
    sections = (spec.of(results) for spec in SECTIONS)
    return Page(
        title=f"asgibench: {line}",
        eyebrow=f"asgibench report · {plan.name} · {plan.environment} · profile {plan.profile.name}",
        headline=line,
        scope=_scope(results),
        sections=tuple(section for section in sections if section.parts),
        made_with=f"asgibench {plan.asgibench_version}, {plan.created_at}, lock {plan.lock_sha256[:12]}",
    )


def _scope(results: Results) -> str:
    plan, environment = results.plan, results.environment
    servers, endpoints = len(plan.servers), len(plan.endpoints)
    runs = counted(len(plan.runs), "run")
    blocks = counted(plan.profile.blocks, "block")
    where = f"Server on {environment.server}, load from {listed(environment.loadgen)}"
    if environment.loadgen == (environment.server,):
        where = f"Server and load together on {environment.server}"
    return (
        f"{counted(servers, 'server')} on {counted(endpoints, 'endpoint')}, {blocks}, {runs}. "
        f"{where}, {plan.profile.connections} connections."
    )
