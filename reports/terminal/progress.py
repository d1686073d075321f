"""Progress of a benchmark on the terminal: on stderr, at most once per second.

On a terminal the last three lines are redrawn in place; elsewhere they are plain lines, one for each step.
NO_COLOR is honoured (rich does). Results go to stdout, and are not this module's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from bench.plan.plan import PlannedRun
from bench.results.run import RunResult

BAR_CELLS = 21
LABEL_CELLS = 7
PLAIN_PERIOD_SECONDS = 1.0


class LiveFigures(msgspec.Struct, frozen=True):
    """The figures of the second that has just passed; None where nothing is known yet."""

    requests_per_second: int | None = None
    p99_seconds: float | None = None
    failures: int = 0
    rss_bytes: int | None = None
    server_core_share: float | None = None
    load_core_share: float | None = None


class Progress:
    """Call ``start`` first and ``stop`` last; in between every method may be called from any thread."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._began = clock()
        self._live: Live | None = None
        self._step = ""
        self._now = ""
        self._figures = ""
        self._done = 0
        self._total = 0
        self._left_seconds = 0.0
        self._left_since = self._began
        self._last_plain = float("-inf")

    @property
    def is_live(self) -> bool:
        """Whether a terminal shows the lines that are redrawn."""
        return self._console.is_terminal

    def start(self) -> None:
        self._began = self._clock()
        if self._console.is_terminal:
            self._go_live()

    def _go_live(self) -> None:
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=1, transient=True
        )
        self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def quiet(self, ask: Callable[[str], str] | None) -> Callable[[str], str] | None:
        """``ask``, with the redrawn lines taken away while it waits for the answer."""
        if ask is None:
            return None

        def asked(question: str) -> str:
            live = self._live
            self.stop()
            try:
                return ask(question)
            finally:
                if live is not None:
                    self._go_live()

        return asked

    def note(self, label: str, text: str, *, style: str = "") -> None:
        """Print a line that stays."""
        line = f"{label:<{LABEL_CELLS}}{text}"
        self._console.print(Text(line, style=style), soft_wrap=True)

    def warn(self, text: str) -> None:
        self.note("WARN", text, style="yellow")

    def step(self, text: str) -> None:
        """Show what is being done before the first run."""
        self._step = text
        self._plain(text)

    def begin_runs(self, done: int, total: int, left_seconds: float) -> None:
        self._step = ""
        self._done, self._total = done, total
        self.expect(left_seconds)

    def expect(self, left_seconds: float) -> None:
        self._left_seconds = left_seconds
        self._left_since = self._clock()

    def begin_run(self, run: PlannedRun, blocks: int, rate_per_second: float | None = None) -> None:
        """``rate_per_second`` is what a share of the server's maximum came to."""
        share = run.cell.rate_share is not None and rate_per_second is not None
        rate = f" ({rate_per_second:,.5g} requests/s)" if share else ""
        self._now = f"{run.cell.title}{rate}, block {run.block}/{blocks}"
        self._figures = ""
        if not self._console.is_terminal:
            self._console.print(
                f"[{self._done + 1}/{self._total}] {self._now}  elapsed {clock_text(self._elapsed())}  "
                f"left {clock_text(self._left())}",
                markup=False,
                soft_wrap=True,
            )

    def phase(self, name: str, second: float, length: float, figures: LiveFigures) -> None:
        self._step = f"{name} {min(second, length):.0f}/{length:.0f} s"
        self._figures = figures_text(figures)

    def end_run(self, result: RunResult) -> None:
        self._done += 1
        self._step = ""
        if not self._console.is_terminal or not result.valid:
            latency = "" if result.latency_seconds is None else f"p99 {_ms(result.latency_seconds.p99)}  "
            verdict = (
                ""
                if result.valid
                else "  INVALID: " + "; ".join(reason.text for reason in result.reasons if reason.invalidates)
            )
            self.note(
                "run",
                f"{result.cell.title}  {result.requests_per_second:,.0f} requests/s  "
                f"{latency}limit {result.limit.name}{verdict}",
                style="" if result.valid else "red",
            )

    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _left(self) -> float:
        return max(0.0, self._left_seconds - (self._clock() - self._left_since))

    def _plain(self, text: str) -> None:
        if self._console.is_terminal:
            return
        if self._clock() - self._last_plain >= PLAIN_PERIOD_SECONDS:
            self._last_plain = self._clock()
            self._console.print(f"  {escape(text)}", soft_wrap=True)

    def _render(self) -> Group:
        lines = []
        if self._total:
            filled = BAR_CELLS * self._done // self._total
            bar = "#" * filled + "." * (BAR_CELLS - filled)
            lines.append(
                f"[{bar}] {self._done}/{self._total}  elapsed {clock_text(self._elapsed())}  "
                f"left {clock_text(self._left())}"
            )
            lines.append(f"{'now':<{LABEL_CELLS}}{self._now}{', ' if self._step else ''}{self._step}")
            if self._figures:
                lines.append(f"{'live':<{LABEL_CELLS}}{self._figures}")
        elif self._step:
            lines.append(f"{'now':<{LABEL_CELLS}}{self._step}  ({clock_text(self._elapsed())})")
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def figures_text(figures: LiveFigures) -> str:
    parts = []
    if figures.requests_per_second is not None:
        parts.append(f"{figures.requests_per_second:,} requests/s")
    if figures.p99_seconds is not None:
        parts.append(f"p99 {_ms(figures.p99_seconds)}")
    if figures.requests_per_second is not None:
        parts.append(f"errors {figures.failures:,}")
    if figures.rss_bytes is not None:
        parts.append(f"RSS {figures.rss_bytes / 1e6:,.0f} MB")
    shares = [
        f"{name} {share:.0%}".replace("%", " %")
        for name, share in (("server", figures.server_core_share), ("load", figures.load_core_share))
        if share is not None
    ]
    if shares:
        parts.append("CPU " + " ".join(shares))
    return "   ".join(parts)


def clock_text(seconds: float) -> str:
    """``4:05`` minutes and seconds, ``1:04:05`` from an hour on."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"
