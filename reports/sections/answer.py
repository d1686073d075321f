"""The answer on each endpoint, with the verdicts as a table."""

from __future__ import annotations

from bench.results.summary import Summary
from reports.page.parts import Answers, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.table import Table, TableRow, words
from reports.tables.verdicts import verdict_table
from reports.words.sentences import answer


def _parts(results: Results) -> tuple[Part, ...]:
    answers = tuple(answer(contest, label) for label, contest in results.contests)
    return (Answers(answers), verdict_table(results.contests), *_skipped(results.summary))


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
