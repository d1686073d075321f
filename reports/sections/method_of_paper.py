"""The paper's three tables with each way of making the load, where the plan has several."""

from __future__ import annotations

from reports.page.parts import Facts, Heading, Paragraph, Part, Prose, points
from reports.page.section import SectionSpec
from reports.paper import figures as paper
from reports.paper.method import method_of
from reports.results import Results


def _parts(results: Results) -> tuple[Part, ...]:
    method = method_of(results.plan, results.environment, results.summary, results.runs)
    if method is None:
        return ()
    parts: list[Part] = [*map(Paragraph, method.intro), method.apart]
    for endpoint in method.endpoints:
        parts += [Heading(endpoint.title), points(endpoint.sentences), endpoint.table]
    return (
        *parts,
        Prose("method_of_paper.html.j2", {"rss_note": paper.RSS_NOTE, "ranked_by": method.ranked_by}),
        Heading("What differs from the paper’s method"),
        Facts(method.differs),
    )


SECTION = SectionSpec("method-of-paper", "The paper’s tables", 40, _parts)
