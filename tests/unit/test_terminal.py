"""What the person at the terminal sees: the end of a benchmark, its progress, and what it never shows."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console, Group

from bench.environment.hosts import Host, Inventory
from bench.environment.readiness import Finding
from bench.errors import InvalidMeasurement, LoadError, UsageError
from bench.judge.benchmark import run_failed
from bench.judge.reason import Reason
from bench.judge.registry import RULES
from bench.judge.rules.hosts import CpuStolen, OthersOnLoadCores, OthersOnServerCores
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.results.summary import Summary
from reports.terminal.caveats import CAUSES, caveat_lines
from reports.terminal.consoles import console
from reports.terminal.outcome import outcome_json
from reports.terminal.progress import LiveFigures, Progress
from reports.terminal.screen import labelled, wrapped
from session.announce import announce, announce_limits
from session.commands import bench as bench_command
from session.commands import opening
from session.finish import Outcome, finish
from tests.helpers.program import ROOT
from tests.helpers.results_example import (
    QUICK,
    RATED,
    REVIEW,
    SERVERS,
    Example,
    example,
    failing,
    generator_at_its_limit,
    is_cell,
    papers_method,
)
from tests.helpers.screens import closing_lines, console_of, text_of
from tests.helpers.terminal import at_terminal

LIMITED = msgspec.structs.replace(SERVERS[1], unsupported_endpoints={"orders": "it runs no lifespan at all"})
EXAMPLES = {
    "review": example(),
    "quick": example(QUICK),
    "rates": example(RATED),
    "void": failing(generator_at_its_limit(example(), "uvicorn", "shortbody"), "daphne", "orders"),
    "skipped": example(QUICK, servers=(SERVERS[0], LIMITED)),
    "method": papers_method(),
}
IDENTIFIER = re.compile(r"\b[a-z0-9]+_[a-z0-9_]+\b|\br\d+pct\b|-w\d+-c\d+|\b\d{3}-[a-z]+-")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def ended(made: Example, columns: int | None, *added: Reason, has_colour: bool = False) -> list[str]:
    return closing_lines(summarise(made.plan, made.runs, added), made.runs, columns, has_colour=has_colour)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_the_end_fits_the_terminal_and_no_word_is_cut(name: str, columns: int) -> None:
    made = EXAMPLES[name]
    lines, whole = ended(made, columns), ended(made, None)
    assert max(map(len, lines)) <= columns
    known = set(" ".join(whole).split()) | {"p50,", "p99,", "ms", "PSS", "MB", "limit:", "95", "%", "at"}
    known |= {f"{word}{mark}" for word in known for mark in ",;:"} | {"requests/s", "p50;", "p99;", "PSS;"}
    assert set(" ".join(lines).split()) <= known


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("columns", [None, 80, 200])
def test_every_cell_has_a_row_and_no_identifier_shows(name: str, columns: int | None) -> None:
    made = EXAMPLES[name]
    summary = summarise(made.plan, made.runs)
    lines = ended(made, columns)
    cells = [*(one.cell for one in summary.cells), *(one.cell for one in summary.skipped)]
    for (endpoint, server), count in Counter((cell.endpoint, cell.server) for cell in cells).items():
        start = re.compile(rf"{endpoint} +{server}\b")
        assert sum(start.match(line) is not None for line in lines) == count
    assert not IDENTIFIER.findall("\n".join(lines))


def test_colour_is_where_it_is_wanted_and_says_nothing_of_its_own() -> None:
    made = EXAMPLES["void"]
    coloured = ended(made, 200, has_colour=True)
    assert any("\x1b[31m" in line for line in coloured)
    bare = [ESCAPES.sub("", line).rstrip() for line in coloured]
    assert bare == [line.rstrip() for line in ended(made, 200)]
    assert not any("\x1b[3" in line for line in ended(made, 200))
    assert not any("\x1b" in line for line in ended(made, None))


def test_without_a_terminal_a_row_is_a_line_and_nothing_is_drawn() -> None:
    lines = ended(EXAMPLES["rates"], None)
    assert len(lines) == 1 + 36 + 3
    assert not any(line != line.rstrip() or "─" in line or "…" in line for line in lines)


def test_rates_say_whether_they_were_kept_and_how_long_requests_took() -> None:
    lines = ended(EXAMPLES["rates"], None)
    behind = next(line for line in lines if re.match(r"longbody +daphne +at 2,000/s", line))
    assert re.search(r"at 2,000/s +1,4\d\d .* 800 +2,400 ", behind)
    assert re.search(r"did not keep up: 1,4\d\d requests/s answered$", behind)
    kept = next(line for line in lines if re.match(r"shortbody +uvicorn +at 50 %", line))
    assert re.search(r"at 50 % \(7,9\d\d/s\) +7,9\d\d .*kept up$", kept)


def test_void_skipped_and_left_out_are_named_with_their_reasons() -> None:
    text = " ".join(" ".join(ended(EXAMPLES["void"], 80)).split())
    assert "shortbody uvicorn void: the load generator used 97 % of its cores (5 of 5 runs)" in text
    assert "orders daphne void: 32,506 of 32,506 requests failed" in text
    assert "35 of 45 runs valid" in text
    (row,) = (line for line in ended(EXAMPLES["skipped"], None) if "skipped" in line)
    assert row.endswith("skipped: it runs no lifespan at all") and row.startswith("orders     daphne")
    one = EXAMPLES["review"].changed(lambda run: run.block == 2 and is_cell("uvicorn", "orders")(run), void)
    (row,) = (line for line in ended(one, None) if re.match(r"orders +uvicorn", line))
    assert row.endswith("; 1 of 5 runs void")


def void(run: RunResult, text: str = "the hypervisor took the cores") -> RunResult:
    return msgspec.structs.replace(run, valid=False, reasons=(Reason("CpuStolen", text, "", True),))


def disturbed(made: Example, shares: Sequence[float]) -> Example:
    """The first runs have other programs on the load's cores; from half a core on that voids them."""
    by_id = dict(zip([run.run_id for run in made.runs], shares, strict=False))

    def change(run: RunResult) -> RunResult:
        share = by_id[run.run_id]
        reason = OthersOnLoadCores("here", share, 1.0, invalidates=share >= 0.5).as_reason()
        return msgspec.structs.replace(run, valid=share < 0.5, reasons=(reason,))

    return made.changed(lambda run: run.run_id in by_id, change)


def test_causes_are_grouped_over_all_runs_with_their_range() -> None:
    made = disturbed(example(QUICK), (0.3, 0.47, 0.5, 0.78))
    (caveat,) = (text for label, text in lines_below(made) if label == "Caveat")
    assert caveat == (
        "Other programs disturbed 4 of 9 runs (2 void): 30 to 78 % of the load's cores. "
        "Stop what else runs on the load host, or keep it off these cores"
    )


def lines_below(made: Example, *added: Reason) -> list[tuple[str, str]]:
    return list(caveat_lines(summarise(made.plan, made.runs, added), made.runs))


def test_few_causes_are_shown_the_gravest_first_and_the_rest_is_counted() -> None:
    reasons = [Reason(f"Kind{number}", f"kind {number} was found") for number in range(6)]
    grave = Reason("Grave", "a grave one", "See to it", invalidates=True)
    everywhere = example(QUICK).changed(
        lambda _: True, lambda run: msgspec.structs.replace(run, reasons=tuple(reasons))
    )
    made = everywhere.changed(
        lambda run: run.position == 0,
        lambda run: msgspec.structs.replace(run, valid=False, reasons=(grave,)),
    )
    caveats = [text for label, text in lines_below(made) if label == "Caveat"]
    assert caveats[0] == "A grave one; the like in 1 of 9 runs (1 void). See to it"
    assert caveats[1] == "Kind 0 was found; the like in 8 of 9 runs"
    assert caveats[-1] == "4 more kinds of remark on runs: in the report" and len(caveats) == 4


def test_failed_repeated_and_wide_are_never_hidden() -> None:
    made = example(REVIEW)
    run = made.plan.runs[0]
    failed = run_failed(run, LoadError("the load took 9.1 s to start", remedy="See what keeps it busy"))
    again = made.changed(lambda one: one.position < 2, lambda one: msgspec.structs.replace(one, attempt=2))
    wild = again.changed(
        is_cell("uvicorn", "orders"),
        lambda one: msgspec.structs.replace(one, requests_per_second=1_000.0 * one.block),
    )
    below = dict(lines_below(wild, failed))
    assert below["Failed"] == (
        f"{run.title[0].upper()}{run.title[1:]} failed: the load took 9.1 s to start. See what keeps it busy"
    )
    assert re.match(
        r"1 of 9 intervals reaches more than 10 % from the median: uvicorn orders -\d\d to \+\d\d+ %$",
        below["Wide"],
    )
    assert f"2 runs were tried a second time ({run.title} and {made.plan.runs[1].title})" in below["Runs"]


def test_a_cell_whose_run_failed_says_so_in_its_row() -> None:
    made = example(QUICK)
    gone = made.plan.runs[3]
    rest = Example(made.plan, made.environment, tuple(run for run in made.runs if run.run_id != gone.id))
    lines = ended(rest, None, run_failed(gone, LoadError("it was lost")))
    (row,) = (line for line in lines if re.match(rf"{gone.cell.endpoint} +{gone.cell.server}\b", line))
    assert row.endswith("not measured: its run failed, see below")
    assert any(line.startswith("Failed ") and line.endswith("failed: it was lost") for line in lines)


def test_causes_are_codes_of_rules_and_their_shares_are_found() -> None:
    assert set(CAUSES) <= {rule.code() for rule in RULES}
    for reason in (
        OthersOnLoadCores("here", 0.3, 2.0, invalidates=False),
        OthersOnServerCores(0.3, 2.0, invalidates=False),
        CpuStolen(0.3, 2.0, invalidates=False),
    ):
        made = example(QUICK).changed(
            lambda run: run.position == 0,
            lambda run, reason=reason: msgspec.structs.replace(run, reasons=(reason.as_reason(),)),  # type: ignore[misc]
        )
        assert "15 %" in dict(lines_below(made))["Caveat"]


# ------------------------------------------------------------- words, lines, characters


def test_text_from_outside_is_no_markup_and_no_emoji() -> None:
    out = Console(file=io.StringIO(), width=80)  # as rich has it: with markup and emoji
    progress = Progress(out)
    progress.step("connecting to :smile: [bold]")
    progress.note("Lock", "/results/:end:/[red]x[/red]")
    progress.warn(":smile: is busy")
    told = text_of(out)
    assert "connecting to :smile: [bold]" in told
    assert "/results/:end:/[red]x[/red]" in told and ":smile: is busy" in told
    made = example(QUICK).changed(is_cell("uvicorn", "orders"), lambda run: void(run, ":smile: [bold]took"))
    for columns in (None, 80, 200):
        assert "void: :smile: [bold]took" in "\n".join(ended(made, columns))
    with (mine := console()).capture() as printed:
        mine.print(":smile: [bold]x")
    assert printed.get() == ":smile: [bold]x\n"


def test_a_line_wraps_between_words_and_keeps_long_ones_and_units_whole() -> None:
    path = "/a/path/that-is-longer-than-the-line-and/must-be/copied.html"
    lines = labelled("Limit", f"see {path} where 44 % of the cores are taken", 30)
    assert any(line.strip() == path for line in lines)
    assert any("44 %" in line for line in lines)
    assert all(line.startswith(" " * 8) for line in lines[1:])
    assert wrapped("a b " * 100, "> ", "  ", None) == ["> " + "a b " * 100]


ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


def invoked(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Both streams in one, as a pipe has them."""
    return subprocess.run(
        [str(ROOT / "invoke"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, **env},
        timeout=120,
    )


def test_a_terminal_of_ascii_gets_replacements_and_names_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / ":end:"
    example(QUICK, name=":smile:").save(folder)
    example(QUICK, name="b", noise=0.02).save(folder)
    done = invoked("compare", ":smile:", "b", "--results", str(folder), **ASCII)
    assert done.returncode == 0, done.stdout
    assert done.stdout.isascii() and "can't be told without intervals" in done.stdout
    assert done.stdout.splitlines()[-1] == str(folder / "b" / "compare-:smile:.html")
    missing = invoked("compare", "é", "b", "--results", str(folder), **ASCII)
    assert missing.returncode == 2 and "Traceback" not in missing.stdout


def test_piped_together_the_error_comes_after_the_table_and_before_the_path(tmp_path: Path) -> None:
    example(name="a").save(tmp_path)
    slow = example(name="b").changed(
        is_cell("uvicorn", "orders"),
        lambda run: msgspec.structs.replace(run, requests_per_second=run.requests_per_second * 0.8),
    )
    slow.save(tmp_path)
    done = invoked("compare", "a", "b", "--fail-over", "5%", "--results", str(tmp_path))
    lines = done.stdout.splitlines()
    assert done.returncode == 61
    assert lines[-2].startswith("error: B is worse than A by more than 5 %: uvicorn orders (requests/s)")
    assert lines[-1].endswith("compare-a.html") and lines[0].startswith("A ")


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}])
def test_compare_at_a_terminal_fits_it_and_is_red_where_colour_is_wanted(
    columns: int, env: dict[str, str], tmp_path: Path
) -> None:
    example(name="a").save(tmp_path)
    failing(example(name="b", noise=0.02), "daphne", "orders").save(tmp_path)
    words = ("compare", "a", "b", "--fail-over", "5%", "--results", str(tmp_path))
    status, shown = at_terminal([str(ROOT / "invoke"), *words], env=env, columns=columns)
    lines = ESCAPES.sub("", shown).replace("\r", "").rstrip().split("\n")
    assert status == 62, shown
    assert ("\x1b[31m" in shown) == (not env)
    assert max(len(line) for line in lines[:-1]) <= columns
    assert lines[-1] == str(tmp_path / "b" / "compare-a.html")
    assert sum(line.startswith("  uvicorn") for line in lines) == 3, "a row for each cell"


# ------------------------------------------------------------- progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_bar_moves_within_a_run_and_waits_at_its_end() -> None:
    clock = Clock()
    out = console_of(100)
    progress = Progress(out, clock)
    made = example(QUICK)
    progress.begin_runs(0, 4, 40.0)
    shares = []
    for at in (0, 5, 9, 30):
        clock.now = at
        if at == 0:
            progress.begin_run(made.plan.runs[0], 1)
            progress.begin_attempt()
        shares.append(progress.runs.completed)
    assert shares == [0, 0.5, 0.9, 1.0]
    progress.begin_attempt()
    assert progress.runs.completed == 0
    progress.end_run(made.runs[0])
    assert (progress.runs.completed, progress.runs.done) == (1, 1)


def test_the_redrawn_lines_have_the_bar_the_cell_and_the_figures() -> None:
    clock = Clock()
    out = console_of(100)
    progress = Progress(out, clock)
    progress.start()
    try:
        made = example(QUICK)
        progress.begin_runs(1, 9, 80.0)
        progress.begin_run(made.plan.runs[1], 1)
        progress.begin_attempt()
        clock.now = 5.0
        progress.phase("window", 3, 6, LiveFigures(12_345, 0.0042, 0, 57_000_000, 0.99, 0.31))
        assert progress.display is not None
        shown = console_of(100)
        shown.print(Group(*progress.display.get_renderables()))
        bar, now, live = (line.rstrip() for line in text_of(shown).splitlines())
    finally:
        progress.stop()
    assert re.search(r"1/9 runs  0:05 elapsed  1:15 left$", bar) and "━" in bar
    assert now == f"now     {made.plan.runs[1].cell.title}, block 1/1, window 3/6 s"
    assert live == ("live    12,345 requests/s  p99 4.2 ms  failed 0  RSS 57 MB  CPU server 99 % load 31 %")


def test_off_a_terminal_each_run_is_a_line_and_nothing_is_cut() -> None:
    out = console_of(None)
    progress = Progress(out, Clock())
    progress.start()
    made = example(QUICK)
    progress.begin_runs(0, 9, 90.0)
    progress.begin_run(made.plan.runs[0], 1)
    progress.phase("window", 3, 6, LiveFigures())
    progress.end_run(made.runs[0])
    bad = msgspec.structs.replace(made.runs[1], valid=False, reasons=(Reason("x", "y " * 60, "", True),))
    progress.end_run(bad)
    progress.stop()
    lines = text_of(out).splitlines()
    assert lines[0] == f"[1/9] {made.plan.runs[0].title}/1  elapsed 0:00  left 1:30"
    assert lines[1].startswith(f"Run     {made.plan.runs[0].title}  ") and "limit: " in lines[1]
    assert lines[2].startswith("Void    ") and "void: y y" in lines[2] and len(lines) == 3
    assert not IDENTIFIER.findall("\n".join(lines))


def test_a_busy_host_is_shown_before_the_first_run() -> None:
    busy = "load average 2.18 on 2 cores: other programs are at work"
    findings = (
        Finding("ok", "here", "disk", "40 GB are free"),
        Finding("limits", "here", "cores", busy, "Stop them"),
        Finding("limits", "here", "frequency", "CPU frequency scaling is powersave"),
        Finding("limits", "here", "listen queue", "128 is short"),
    )
    out = console_of(None)
    announce_limits(Progress(out), findings)
    assert text_of(out).splitlines() == [
        f"Limit   here: cores: {busy}",
        "Limit   here: listen queue: 128 is short",
    ]


def test_the_plan_is_counted_with_right_plurals() -> None:
    made = example(QUICK, servers=SERVERS[:1])
    plan = msgspec.structs.replace(made.plan, endpoints=made.plan.endpoints[:1], runs=made.plan.runs[:1])
    host = Host("here", ("server", "loadgen"), address="127.0.0.1")
    out = console_of(None)
    announce(Progress(out), plan, Inventory("local", "here.yml", host, (host,), None), 1)
    assert text_of(out).startswith("Plan    1 server x 1 endpoint x 1 block = 1 run, 1 to do, about ")


# ------------------------------------------------------------- bench --quiet, --json, --open


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What `./invoke bench` finds measured, in place of a benchmark."""
    made = EXAMPLES["void"]
    done = finish(made.save(tmp_path), made.plan, ())
    monkeypatch.setattr("session.benchmark.bench", lambda request, progress: done)
    monkeypatch.chdir(tmp_path)
    return done


def test_quiet_prints_errors_and_the_path(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    status = bench_command.run(bench_command.BenchOptions(root=ROOT, quiet=True))
    printed = capsys.readouterr()
    assert status == 60
    assert printed.out.splitlines() == [f"{outcome.directory.name}/report.html"]
    assert printed.err.startswith("error: no valid run of uvicorn shortbody, daphne orders")


def test_json_is_one_object_and_nothing_else(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    status = bench_command.run(bench_command.BenchOptions(root=ROOT, json=True))
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["exit_code", "report", "error", "summary"]
    assert (found["exit_code"], status) == (60, 60)
    assert found["report"] == f"{outcome.directory.name}/report.html"
    assert found["error"]["message"].startswith("no valid run of uvicorn shortbody")
    saved = (outcome.directory / "summary.json").read_bytes()
    assert msgspec.convert(found["summary"], Summary) == msgspec.json.decode(saved, type=Summary)


@pytest.mark.parametrize("at_a_terminal", ["", "1"])
def test_json_of_an_error_before_any_run(
    at_a_terminal: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", at_a_terminal)
    monkeypatch.setenv("TERM", "xterm")

    def refuse(request: object, progress: Progress) -> None:
        assert progress.is_live == bool(at_a_terminal)
        raise UsageError("there is no such server", remedy="Name another")

    monkeypatch.setattr("session.benchmark.bench", refuse)
    with pytest.raises(UsageError):
        bench_command.run(bench_command.BenchOptions(root=ROOT, json=True))
    assert json.loads(capsys.readouterr().out) == {
        "exit_code": 2,
        "report": None,
        "error": {"message": "there is no such server", "remedy": "Name another"},
        "summary": None,
    }
    assert json.loads(outcome_json(InvalidMeasurement("x")))["error"] == {"message": "x", "remedy": ""}


def test_open_calls_the_systems_opener_and_says_where_it_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "open" if sys.platform == "darwin" else "xdg-open"
    report = tmp_path / "my report.html"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    assert opening.open_file(report) == f"there is no {name} here"
    opener = tmp_path / name
    opener.write_text('#!/bin/sh\nprintf %s "$1" > "$0.given"\n')
    opener.chmod(0o755)
    assert opening.open_file(report) == ""
    assert (tmp_path / f"{name}.given").read_text() == str(report)
    opener.write_text("#!/bin/sh\nexit 3\n")
    assert opening.open_file(report) == f"{name} ended with status 3"
    if sys.platform != "darwin":
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert opening.open_file(report) == "there is no display here"
