"""The answer on each endpoint, with the verdicts as a table."""

from __future__ import annotations

from bench.results.summary import Summary
from reports.page.parts import Answers, Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.set_ups import set_up_table
from reports.tables.table import Table, TableRow, words
from reports.tables.verdicts import verdict_table
from reports.words.sentences import answer
from reports.words.set_ups import unlike_set_ups, with_set_ups


def _parts(results: Results) -> tuple[Part, ...]:
    contests = with_set_ups(results.contests, results.plan.servers)
    answers = tuple(answer(contest, label) for label, contest in contests)
    unlike = unlike_set_ups(results.plan.servers)
    return (
        Answers(answers),
        *((Paragraph(unlike),) if unlike else ()),
        verdict_table(contests),
        set_up_table(results.plan, results.runs),
        *_skipped(results.summary),
    )


def _skipped(summary: Summary) -> tuple[Table, ...]:
    if not summary.skipped:
        return ()
    rows = tuple(
        TableRow(
            (
                item.cell.server,
                f"{item.cell.endpoint} {item.cell.served.words}".rstrip(),
                str(item.cell.workers),
                item.reason,
            )
        )
        for item in summary.skipped
    )
    return (Table("Cells not measured", words("Server", "Endpoint", "Workers", "Why"), rows),)


SECTION = SectionSpec("answer", "The answer", 10, _parts, navigation="Answer")
