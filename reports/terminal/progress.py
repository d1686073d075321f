"""Progress of a benchmark on the terminal: on stderr, at most once per second.

On a terminal the last lines are redrawn in place by rich's Progress; elsewhere they are plain lines, one for
each step. NO_COLOR is honoured (rich does). Results go to stdout, and are not this module's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec
from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TaskID
from rich.progress import Progress as Bars
from rich.text import Text

from bench.plan.plan import PlannedRun
from bench.results.attempts import EarlierAttempt
from bench.results.latency import P99
from bench.results.run import RunResult
from reports.terminal.consoles import console
from reports.terminal.screen import LABEL_COLUMNS, labelled
from reports.words.latency import AT_LEAST
from reports.words.sentences import LIMITS

BAR_COLUMNS = 24
PLAIN_PERIOD_SECONDS = 1.0


class LiveFigures(msgspec.Struct, frozen=True):
    """The figures of the second that has just passed; None where nothing is known yet."""

    requests_per_second: int | None = None
    p99_seconds: float | None = None
    failures: int = 0
    rss_bytes: int | None = None
    server_core_share: float | None = None
    load_core_share: float | None = None


class RunClock:
    """How much of a plan is done, and how long the rest takes; runs count by their own seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.began = clock()
        self.done = 0
        self.total = 0
        self._left_seconds = 0.0
        self._left_since = self.began
        self._run_seconds = 0.0
        self._run_since: float | None = None

    def begin(self, done: int, total: int, left_seconds: float) -> None:
        self.done, self.total = done, total
        self._run_seconds = left_seconds / max(1, total - done)
        self.expect(left_seconds)

    def expect(self, left_seconds: float) -> None:
        self._left_seconds, self._left_since = left_seconds, self._clock()

    def begin_run(self) -> None:
        self._run_since = self._clock()

    def end_run(self) -> None:
        self.done += 1
        self._run_since = None

    @property
    def elapsed(self) -> float:
        return self._clock() - self.began

    @property
    def left(self) -> float:
        return max(0.0, self._left_seconds - (self._clock() - self._left_since))

    @property
    def completed(self) -> float:
        """In runs: 2.5 is the middle of the third. A run that takes longer than planned waits at its end."""
        if self._run_since is None or self._run_seconds <= 0:
            return self.done
        return min(self.done + min(1.0, (self._clock() - self._run_since) / self._run_seconds), self.total)


class _ClockColumn(ProgressColumn):
    """Runs done of planned, and the times."""

    def __init__(self, runs: RunClock) -> None:
        super().__init__()
        self.runs = runs

    def render(self, task: Task) -> Text:
        runs = self.runs
        return Text(
            f"{runs.done}/{runs.total} runs  {clock_text(runs.elapsed)} elapsed  {clock_text(runs.left)} left"
        )


class _Display(Bars):
    """The bar, below it what runs now and the live figures."""

    def __init__(self, out: Console, runs: RunClock, below: Callable[[], Iterable[str]]) -> None:
        self.runs = runs
        self._below = below
        self._bar: TaskID | None = None
        super().__init__(
            BarColumn(BAR_COLUMNS, complete_style="", finished_style="", pulse_style=""),
            _ClockColumn(runs),
            console=out,
            refresh_per_second=1,
            transient=True,
        )
        self._bar = self.add_task("")

    def get_renderables(self) -> Iterable[RenderableType]:
        if self._bar is not None and self.runs.total:
            # Not update(): it may draw, which is what is being done here.
            task = self._tasks[self._bar]
            task.total, task.completed = self.runs.total, self.runs.completed
            yield self.make_tasks_table([task])
        for line in self._below():
            yield Text(line, no_wrap=True, overflow="ellipsis")


class Progress:
    """Call ``start`` first and ``stop`` last; in between every method may be called from any thread."""

    def __init__(self, out: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = out or console(stderr=True)
        self.runs = RunClock(clock)
        self._clock = clock
        self.display: _Display | None = None
        self._step = ""
        self._now = ""
        self._figures = ""
        self._last_plain = float("-inf")

    @property
    def is_live(self) -> bool:
        """Whether a terminal shows the lines that are redrawn."""
        out = self._console
        return out.is_terminal and not out.is_dumb_terminal and not out.quiet

    def start(self) -> None:
        self.runs.began = self._clock()
        if self.is_live:
            self._show()

    def _show(self) -> None:
        self.display = _Display(self._console, self.runs, self._lines)
        self.display.start()

    def stop(self) -> None:
        if self.display is not None:
            self.display.stop()
            self.display = None

    def quiet(self, ask: Callable[[str], str] | None) -> Callable[[str], str] | None:
        """``ask``, with the redrawn lines taken away while it waits for the answer."""
        if ask is None:
            return None

        def asked(question: str) -> str:
            was_shown = self.display is not None
            self.stop()
            try:
                return ask(question)
            finally:
                if was_shown:
                    self._show()

        return asked

    def note(self, label: str, text: str, *, style: str = "") -> None:
        """Print a line that stays; on a terminal it is wrapped between words."""
        columns = self._console.width if self._console.is_terminal else None
        self._print("\n".join(labelled(label, text, columns)), style)

    def warn(self, text: str) -> None:
        self.note("Warning", text, style="yellow")

    def step(self, text: str) -> None:
        """Show what is being done before the first run."""
        self._step = text
        if not self.is_live and self._clock() - self._last_plain >= PLAIN_PERIOD_SECONDS:
            self._last_plain = self._clock()
            self._print(f"  {text}")

    def begin_runs(self, done: int, total: int, left_seconds: float) -> None:
        self._step = ""
        self.runs.begin(done, total, left_seconds)

    def expect(self, left_seconds: float) -> None:
        self.runs.expect(left_seconds)

    def begin_run(self, run: PlannedRun, blocks: int, rate_per_second: float | None = None) -> None:
        """``rate_per_second`` is what a share of the server's maximum came to."""
        share = run.cell.rate_share is not None and rate_per_second is not None
        rate = f" ({rate_per_second:,.5g} requests/s)" if share else ""
        self._now = f"{run.cell.title}{rate}, block {run.block}/{blocks}"
        self._figures = ""
        runs = self.runs
        runs.begin_run()
        if not self.is_live:
            self._print(
                f"[{runs.done + 1}/{runs.total}] {self._now}  elapsed {clock_text(runs.elapsed)}  "
                f"left {clock_text(runs.left)}"
            )

    def begin_attempt(self) -> None:
        """The run's own seconds begin, at a second try once more."""
        self.runs.begin_run()
        self.phase("starting", 0, 0, LiveFigures())

    def phase(self, name: str, second: float, length: float, figures: LiveFigures) -> None:
        """``length`` 0: it isn't known."""
        self._step = f"{name} {min(second, length):.0f}/{length:.0f} s" if length else name
        self._figures = figures_text(figures)

    def again(self, run: PlannedRun, spoilt: EarlierAttempt) -> None:
        """A try at a run is void, and another is made."""
        had = spoilt.requests_per_second
        figure = "" if had is None else f" (it had {had:,.0f} requests/s)"
        self.warn(f"{run.title}: {spoilt.why}{figure}; measuring it once more")

    def end_run(self, result: RunResult) -> None:
        self.runs.end_run()
        self._step = self._figures = ""
        if self.is_live and result.valid:
            return
        p99, found = P99.of(result.latency_seconds), result.latency_seconds
        at_least = AT_LEAST if found is not None and P99.name in found.at_least else ""
        latency = "" if p99 is None else f"p99 {at_least}{_ms(p99)}  "
        reasons = "; ".join(reason.text for reason in result.reasons if reason.invalidates)
        self.note(
            "Run" if result.valid else "Void",
            f"{result.cell.title}, block {result.block}  {result.requests_per_second:,.0f} requests/s  "
            f"{latency}limit: {LIMITS.get(result.limit.name, result.limit.name)}"
            f"{'' if result.valid else f'  void: {reasons}'}",
            style="" if result.valid else "red",
        )

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def _lines(self) -> Iterable[str]:
        if self.runs.total:
            yield _line("now", ", ".join(filter(None, (self._now, self._step))))
            if self._figures:
                yield _line("live", self._figures)
        elif self._step:
            yield _line("now", f"{self._step}  ({clock_text(self.runs.elapsed)})")


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL_COLUMNS}}{text}"


def figures_text(figures: LiveFigures) -> str:
    parts = []
    if figures.requests_per_second is not None:
        parts.append(f"{figures.requests_per_second:,} requests/s")
    if figures.p99_seconds is not None:
        parts.append(f"p99 {_ms(figures.p99_seconds)}")
    if figures.requests_per_second is not None:
        parts.append(f"failed {figures.failures:,}")
    if figures.rss_bytes is not None:
        parts.append(f"RSS {figures.rss_bytes / 1e6:,.0f} MB")
    shares = [
        f"{name} {share:.0%}".replace("%", " %")
        for name, share in (("server", figures.server_core_share), ("load", figures.load_core_share))
        if share is not None
    ]
    if shares:
        parts.append("CPU " + " ".join(shares))
    return "  ".join(parts)


def clock_text(seconds: float) -> str:
    """``4:05`` minutes and seconds, ``1:04:05`` from an hour on."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"
