"""How it was measured, and how to do it again."""

from __future__ import annotations

import shlex

from bench.plan.plan import Plan
from bench.spec import Profile
from bench.verdicts.pair import LEVEL_MARGIN
from reports.page.parts import Facts, Heading, Paragraph, Part, Preformatted, Prose
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.table import Fact, Table, TableRow, words
from reports.words.numbers import MISSING, listed


def _parts(results: Results) -> tuple[Part, ...]:
    plan = results.plan
    values = {
        "locustfile": "" if plan.locustfile is None else plan.locustfile.title,
        "has_rates": any(cell.is_open_loop for cell in results.summary.cells),
        "level_from": f"{1 / LEVEL_MARGIN:.2f}",
        "level_to": f"{LEVEL_MARGIN:.2f}",
    }
    return (
        Prose("method.html.j2", values),
        Heading("This benchmark"),
        Facts(_profile_facts(plan)),
        _endpoints_table(plan),
        Heading("Run it again"),
        Preformatted(shlex.join(plan.command)),
        Paragraph(
            f"The order of runs came from seed {plan.seed}, which plan.json holds with everything else that "
            "was decided."
        ),
        Heading("The data"),
        Prose("data.html.j2", {"name": plan.name}),
    )


def _profile_facts(plan: Plan) -> tuple[Fact, ...]:
    profile = plan.profile
    workers = "one for each core" if profile.load_workers is None else str(profile.load_workers)
    return (
        Fact("Blocks", str(profile.blocks)),
        Fact("Connections", str(profile.connections)),
        Fact("Warm-up", f"{profile.warmup_seconds} s"),
        Fact("Window", f"{profile.window_seconds} s"),
        Fact(
            "Rest before and after", f"{profile.idle_rest_seconds:g} s and {profile.after_rest_seconds:g} s"
        ),
        Fact("Load workers a load host", workers),
        Fact("Server workers", listed([str(number) for number in profile.server_workers])),
        *_rate_facts(profile),
    )


def _rate_facts(profile: Profile) -> tuple[Fact, ...]:
    if not profile.rates:
        return ()
    return (
        Fact("Stated rates, requests/s or share of the server’s maximum", listed(profile.rates)),
        Fact("Arrivals at these rates", profile.arrivals),
    )


def _endpoints_table(plan: Plan) -> Table:
    rows = tuple(
        TableRow((endpoint.name, endpoint.request, endpoint.content_type or MISSING, endpoint.description))
        for endpoint in plan.endpoints
    )
    return Table("Endpoints", words("Name", "Request", "Content type", "What it does"), rows)


SECTION = SectionSpec("method", "Method", 110, _parts)
