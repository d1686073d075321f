"""Latency at stated rates: what an open loop found, in words and in a figure for each endpoint."""

from __future__ import annotations

from reports.charts.rates import rates_figure
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.words.over_runs import TAILS
from reports.words.rates import rate_groups, rate_sentences


def _parts(results: Results) -> tuple[Part, ...]:
    groups = rate_groups(results.plan, results.summary)
    if not groups:
        return ()
    figure = rates_figure(groups, results.plan, results.rate_contests)
    return (
        *(
            Paragraph(sentence)
            for group in groups
            for sentence in rate_sentences(group, results.rate_contests)
        ),
        Paragraph(
            "Open loop: requests are due at given times, whether or not earlier ones have been answered. "
            "Latency runs from the moment a request was due. Send lag is its part from due to sent (waiting "
            f"for a free connection of {results.plan.profile.connections}, or for the load generator), "
            "service time that from sent to answered. Requests dropped from a full backlog are in no "
            f"latency. {TAILS}"
        ),
        figure,
    )


SECTION = SectionSpec("rates", "Latency at stated rates", 70, _parts, navigation="At stated rates")
