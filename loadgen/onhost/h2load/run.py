"""One run by one h2load process: its log becomes slices while it goes on, and its own sums are the check.

h2load isn't told to stop. It is started for as long as the load is planned to last and a moment longer, ends
by itself and prints its sums. A load without a planned length ends by a kill, and then there are no sums.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from bench.wire.engine import SetUpRun
from bench.wire.slices import Slice, Totals
from loadgen.onhost.engine.load import EngineError, body_of
from loadgen.onhost.engine.poll import SECOND
from loadgen.onhost.engine.tally import Ledger, SliceClock, Tally
from loadgen.onhost.h2load.log import UNSEEN, LogError, LoggedRequest, RequestLog
from loadgen.onhost.h2load.process import H2loadProcess
from loadgen.onhost.h2load.program import Share, body_bytes_of, check_load_for_h2load, speaks
from loadgen.onhost.h2load.summary import LoggedRun, differences, parse_summary, protocol_of
from loadgen.onhost.h2load.usage import Usage, sockets_of, usage_of

# So much longer than planned: its end must not come before the word that ends the run.
_LONGER_SECONDS = 0.25
_LONGEST_SECONDS = 86_400.0
# From the word that ends the run to its end: h2load closes its connections then.
_END_NANOSECONDS = 2 * SECOND
# Locust starts its users within milliseconds of each other, and h2load takes their number at its start.
_SETTLED_NANOSECONDS = 30_000_000
_READS_AT_MOST = 64
# From one look at its connections to the next; at its start it has them all after a few ms.
_COUNT_NANOSECONDS = SECOND // 4
_SHOWN_CHARACTERS = 500
_TOLD_FROM_HEADS_BYTES = 500


class H2loadRun:
    """A run of SetUpRun. ``look`` is to be called again and again until ``is_over``.

    Its methods raise EngineError where the run can't go on.
    """

    def __init__(
        self,
        order: SetUpRun,
        program: str,
        *,
        emit: Callable[[Slice], None],
        held: Callable[[int], None],
    ) -> None:
        """``program`` is h2load's path.

        ``emit`` takes each slice that is over; ``held`` is told how many connections there are from now on.
        """
        check_load_for_h2load(order.spec)
        self._order, self._load, self._program, self._held = order, order.spec, program, held
        self._clock = SliceClock(order.spec.epoch, order.spec.clock_offsets.get(order.worker, 0.0))
        now = time.perf_counter_ns()
        self._ledger = Ledger(self._clock, now, self._as_slice, emit)
        self._log = RequestLog()
        self._process: H2loadProcess | None = None
        self._wanted, self._wanted_at = 0, now
        self._used = self._last_used = Usage()  # by h2load
        self._own_cpu_seconds = time.process_time()
        self._right = self._unseen = self._failed_streams = 0
        self._answered_at = self._looked_at = self._meant_to_look_at = now
        self._counted_at, self._missed_connections = now, 0
        self._stopping_at: int | None = None
        self.is_over = False

    def set_connections(self, connections: int) -> None:
        """h2load is started with so many as soon as their number has settled."""
        if self._process is not None and connections not in (0, self._wanted):
            raise EngineError(
                f"h2load holds {self._wanted} connections from its start on, and {connections} were asked for"
            )
        if not connections:
            self._held(0)
        elif self._process is None:
            self._wanted, self._wanted_at = connections, time.perf_counter_ns()

    def stop(self) -> None:
        self._stopping_at = time.perf_counter_ns()

    def seconds_to_next_look(self, tick_seconds: float) -> float:
        """A tick, or less where a slice ends before."""
        now = time.perf_counter_ns()
        to_end = max(0, self._ledger.tally.end_nanoseconds - now) / SECOND
        wait = min(tick_seconds, to_end + 0.0005)
        self._meant_to_look_at = now + round(wait * SECOND)
        return wait

    def look(self) -> None:
        """Take what h2load has logged, end the slices that are over, and see whether all has ended."""
        now = time.perf_counter_ns()
        tally = self._ledger.tally
        tally.lag_nanoseconds_max = max(tally.lag_nanoseconds_max, now - self._meant_to_look_at)
        process = self._process
        if process is not None and not process.has_ended:
            self._follow(process, now)
        else:
            self._looked_at = now
            if process is None and self._may_start(now):
                self._start()
        if self._stopping_at is not None and (self._process is None or self._process.has_ended):
            self._ledger.end(max(time.perf_counter_ns(), self._looked_at))
            self.is_over = True
        else:
            self._ledger.roll(self._looked_at)

    def totals(self) -> Totals:
        """What was in flight at the end isn't in the log: at most a request for each connection."""
        sums, in_flight = self._ledger.sums, 0 if self._process is None else self._wanted
        return sums.totals(self._order.worker, sent=sums.completed + in_flight, in_flight=in_flight)

    def close(self) -> None:
        """Whatever the run has come to: h2load has ended then."""
        if self._process is not None:
            self._process.close()

    # -- its parts

    def _may_start(self, now: int) -> bool:
        has_settled = now - self._wanted_at >= _SETTLED_NANOSECONDS
        return bool(self._wanted) and has_settled and self._stopping_at is None

    def _start(self) -> None:
        seconds = _LONGEST_SECONDS
        if self._load.seconds is not None:
            end = self._clock.epoch_nanoseconds + round(self._load.seconds * SECOND)
            seconds = (end - time.perf_counter_ns()) / SECOND + _LONGER_SECONDS
        if seconds <= 0:
            raise EngineError("the load's time was over before h2load could be started")
        share = Share(self._order.index, self._order.workers, self._wanted, seconds)
        self._process = H2loadProcess(self._program, self._order, share)
        self._ledger.tally.connects += self._wanted
        self._answered_at = self._looked_at = self._counted_at = time.perf_counter_ns()
        self._held(self._wanted)

    def _follow(self, process: H2loadProcess, now: int) -> None:
        if now > process.ends_at - SECOND // 4:
            # Of one that has ended there is nothing more to read.
            self._last_used = usage_of(process.pid).at_least(self._last_used)
        elif now >= self._counted_at + _COUNT_NANOSECONDS:
            self._count_connections(process, now)
        if self._take_log(process):
            self._take_end(process)
        elif self._stopping_at is None:
            return
        elif self._load.seconds is None:
            process.kill()
        elif now - self._stopping_at > _END_NANOSECONDS:
            raise EngineError("h2load has not ended, although its time is over")

    def _count_connections(self, process: H2loadProcess, now: int) -> None:
        """h2load neither tells of a connection that it has lost nor makes another one in its place.

        One that the server has announced the end of is made anew at once: it is missed at one look at most.
        """
        held = sockets_of(process.pid)
        self._counted_at = now
        if held is None or held >= self._wanted:
            self._missed_connections = 0
            return
        if self._missed_connections:
            raise EngineError(
                f"h2load has {held} of its {self._wanted} connections left, and makes none in place of those "
                "that the server ended or refused: its load is not what was asked for"
            )
        self._missed_connections = self._wanted - held

    def _take_log(self, process: H2loadProcess) -> bool:
        """Whether it has ended, and its log with it."""
        for _ in range(_READS_AT_MOST):
            before = time.perf_counter_ns()
            data = process.read_log()
            if data is None:
                self._looked_at = before
                return False
            if not data:
                return True
            now = time.perf_counter_ns()
            try:
                found = self._log.feed(data, since=self._looked_at, now=now, wall_lead=time.time_ns() - now)
            except LogError as error:
                raise EngineError(str(error)) from error
            self._count(found)
        return False

    def _count(self, found: list[LoggedRequest]) -> None:
        ledger, right = self._ledger, self._load.expect.status
        for at, took, status in found:
            if status is None:
                self._failed_streams += 1
                ledger.fail(at, took, "reset")
                continue
            ledger.roll(at)
            ledger.end_quiet(at - self._answered_at)
            self._answered_at = at
            if status == right:
                self._right += 1
                ledger.succeed(at, took)
            elif status == UNSEEN:
                # The sum of the bodies must tell at the end.
                self._unseen += 1
                ledger.succeed(at, took)
            else:
                ledger.fail(at, took, "bad_status")

    def _take_end(self, process: H2loadProcess) -> None:
        status = process.wait()
        self._looked_at = time.perf_counter_ns()
        words = process.words
        try:
            self._log.end()
        except LogError as error:
            raise EngineError(str(error)) from error
        spoken = protocol_of(words)
        if spoken is not None and not speaks(self._load, spoken):
            raise EngineError(f"the server came to speak {spoken}, and {self._load.protocol} was asked for")
        if not process.was_killed:
            self._check_sums(process, status, words)

    def _check_sums(self, process: H2loadProcess, status: int, words: str) -> None:
        shown, summary = words[-_SHOWN_CHARACTERS:].strip(), parse_summary(words)
        if status or summary is None:
            raise EngineError(f"h2load ended with status {status}: {shown}")
        answers = LoggedRun(
            lines=self._log.lines,
            right=self._right,
            unseen=self._unseen,
            failed=self._failed_streams,
            in_flight_most=self._wanted,
            body_bytes=body_bytes_of(self._load, self._order.index, self._order.workers),
        )
        wrong = "; ".join(differences(summary, answers))
        if wrong:
            raise EngineError(wrong)
        if self._looked_at < process.ends_at - SECOND // 10:
            raise EngineError(f"h2load ended before its time was over: {shown}")

    def _bytes_received(self, tally: Tally, read_bytes: int) -> int:
        """Without the bodies that it read of their file to send them, one for each answer.

        Those of few bytes can't be told from the heads of the answers.
        """
        answered = sum(tally.histogram.values()) + sum(tally.failure_histogram.values())
        sent, right = (
            len(body_of(self._load)),
            body_bytes_of(self._load, self._order.index, self._order.workers),
        )
        if not answered or sent < _TOLD_FROM_HEADS_BYTES or right is None:
            return read_bytes
        return read_bytes - answered * sent if read_bytes >= answered * (sent + right) else read_bytes

    def _as_slice(self, tally: Tally) -> Slice:
        before, own = self._used, time.process_time()
        process = self._process
        if process is not None and not process.has_ended:
            self._used = usage_of(process.pid).at_least(before)
        elif process is not None:
            used = self._last_used._replace(cpu_seconds=process.cpu_seconds)
            self._used = used.at_least(before)
        tally.bytes_received = self._bytes_received(tally, self._used.read_bytes - before.read_bytes)
        one = tally.as_slice(
            0 if process is None else self._wanted,
            self._used.cpu_seconds - before.cpu_seconds + own - self._own_cpu_seconds,
            quiet_nanoseconds=max(0, tally.end_nanoseconds - self._answered_at),
        )
        self._own_cpu_seconds = own
        return dataclasses.replace(one, core_wait_seconds=self._used.waited_seconds - before.waited_seconds)
