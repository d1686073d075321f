"""The agent's samples, read back: frozen structs, and pure functions from them to memory, CPU and processes.

Times are seconds on the sampled host's wall clock as it stood when the run began, carried on by its monotonic
clock, so a clock that was set during the run tears nothing apart (``Samples.clock_step_seconds`` says by how
much it was). Intervals are [start, end]. Bytes are sums over a target's whole process tree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from bench.errors import ResultError
from bench.results.result import Bytes, NetworkUse

SAMPLES_VERSION = 1
KIB = 1024

Interval = tuple[float, float]


# ---------------------------------------------------------------- the lines that the agent writes


class Process(msgspec.Struct, frozen=True, array_like=True):
    """One process in one sample. None: it could not be read."""

    pid: int
    rss_kib: int | None
    cpu_seconds: float | None
    threads: int | None


class FullProcess(msgspec.Struct, frozen=True, array_like=True):
    """The rarer readings of one process. None: not to be had."""

    pid: int
    pss_kib: int | None
    uss_kib: int | None
    open_files: int | None
    voluntary_switches: int | None
    involuntary_switches: int | None


class CoreTime(msgspec.Struct, frozen=True, array_like=True):
    """One core of the host since its boot. ``stolen_seconds`` is None where the system doesn't tell."""

    busy_seconds: float
    stolen_seconds: float | None


class Header(msgspec.Struct, frozen=True, tag_field="k", tag="head"):
    """``absent`` maps what this system never tells (pss, uss) to the reason."""

    version: int
    run: str
    host: str
    system: str
    wall_seconds: float = msgspec.field(name="t")
    monotonic_seconds: float = msgspec.field(name="m")
    interval_seconds: float
    full_interval_seconds: float
    targets: dict[str, int]
    absent: dict[str, str]
    reader: str
    agent_pid: int
    page_bytes: int
    psutil: str
    python: str = ""
    release: str = ""
    clock: str = ""


class Sample(msgspec.Struct, frozen=True, tag_field="k", tag="s"):
    """One slot. The fields from ``wall_seconds`` on are there once a full interval."""

    monotonic_seconds: float = msgspec.field(name="m")
    processes: dict[str, tuple[Process, ...]] = msgspec.field(name="p")
    wall_seconds: float | None = msgspec.field(name="t", default=None)
    agent_cpu_seconds: float | None = msgspec.field(name="c", default=None)
    late_seconds: float | None = msgspec.field(name="late", default=None)
    missed: int | None = None
    cores: tuple[CoreTime, ...] = msgspec.field(name="u", default=())
    network_bytes: tuple[int, int] | None = msgspec.field(name="n", default=None)
    full: dict[str, tuple[FullProcess, ...]] = msgspec.field(name="f", default={})


class MarkLine(msgspec.Struct, frozen=True, tag_field="k", tag="mark"):
    name: str
    monotonic_seconds: float = msgspec.field(name="m")


class GoneLine(msgspec.Struct, frozen=True, tag_field="k", tag="gone"):
    target: str
    monotonic_seconds: float = msgspec.field(name="m")


class Note(msgspec.Struct, frozen=True, tag_field="k", tag="note"):
    """What of a process could not be read, and why."""

    pid: int
    what: str
    why: str


class Footer(msgspec.Struct, frozen=True, tag_field="k", tag="end"):
    """How the run ended (asked, targets_gone, max_seconds, quit, signal) and how the schedule was kept."""

    reason: str
    lines: int
    samples: int
    missed: int
    late_max_seconds: float = msgspec.field(name="late_max")
    late_mean_seconds: float = msgspec.field(name="late_mean")
    agent_cpu_seconds: float = msgspec.field(name="c")
    wall_seconds: float = msgspec.field(name="t")
    monotonic_seconds: float = msgspec.field(name="m")


# ---------------------------------------------------------------- a run's samples


class Samples(msgspec.Struct, frozen=True):
    """All of one file. ``complete``: the agent closed it; else it was cut off, and the whole lines are here.

    ``marks`` and ``gone`` map a mark's or an ended target's name to its time (the last one of that name).
    """

    header: Header
    samples: tuple[Sample, ...]
    marks: dict[str, float]
    gone: dict[str, float]
    notes: tuple[Note, ...]
    footer: Footer | None
    complete: bool

    def time_of(self, monotonic_seconds: float) -> float:
        return self.header.wall_seconds + (monotonic_seconds - self.header.monotonic_seconds)

    @property
    def clock_step_seconds(self) -> float:
        """How far the host's wall clock was set during the run, against its monotonic clock."""
        steps = [
            sample.wall_seconds - self.time_of(sample.monotonic_seconds)
            for sample in self.samples
            if sample.wall_seconds is not None
        ]
        return max(steps, key=abs, default=0.0)


class Point(msgspec.Struct, frozen=True):
    """A tree at one moment. ``cpu_seconds`` counts from the first sample on and never falls.

    ``rss_bytes`` is None if ``unreadable`` processes make the sum a part of it only.
    """

    t: float
    rss_bytes: int | None
    processes: int
    cpu_seconds: float
    threads: int
    unreadable: int = 0


class Spread(msgspec.Struct, frozen=True):
    """Bytes in an interval. ``count`` is how many samples stand behind it."""

    median: int
    peak: int
    count: int


class Memory(msgspec.Struct, frozen=True):
    """Memory of a tree in an interval; None where no sample has the whole of it."""

    rss: Spread | None
    pss: Spread | None
    uss: Spread | None


class Phases(msgspec.Struct, frozen=True):
    """The stretches of a run that memory is told of; None: there was none."""

    idle: Interval | None
    window: Interval
    after: Interval | None = None


class TreeBytes(msgspec.Struct, frozen=True):
    """Memory of a tree over the phases; pss and uss are None where the host has none to tell."""

    rss: Bytes
    pss: Bytes | None
    uss: Bytes | None


class Cpu(msgspec.Struct, frozen=True):
    """CPU of a tree in an interval. ``elapsed_seconds`` is what of the interval was sampled."""

    cpu_seconds: float
    elapsed_seconds: float
    core_share: float


class ProcessChange(msgspec.Struct, frozen=True):
    """The tree's processes at both ends of an interval, and who came and went in between."""

    at_start: frozenset[int]
    at_end: frozenset[int]
    appeared: frozenset[int]
    vanished: frozenset[int]

    @property
    def changed(self) -> bool:
        return bool(self.appeared or self.vanished)


class AgentCost(msgspec.Struct, frozen=True):
    """What the sampling itself took of one core, and how its schedule was kept."""

    core_share: float | None
    missed: int
    late_max_seconds: float


# ---------------------------------------------------------------- reading

Line = Header | Sample | MarkLine | GoneLine | Note | Footer


def parse_samples(lines: bytes) -> Samples:
    """Read a samples file. A last line that was cut off is left out and ``complete`` is False.

    Raises ResultError, naming the line, for a damaged one, and for a file without a header.
    """
    whole, _, rest = lines.rpartition(b"\n")
    decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
    records = (
        [_decode(decoder, line, number) for number, line in enumerate(whole.split(b"\n"), 1)] if whole else []
    )
    if not records or not isinstance(records[0], Header):
        raise ResultError(
            "The samples have no header on line 1",
            remedy="The agent was stopped at once: measure this run again",
        )
    header = records[0]
    if header.version != SAMPLES_VERSION:
        raise ResultError(
            f"The samples of {header.run} are of version {header.version}, not {SAMPLES_VERSION}",
            remedy="Read them with the asgibench that wrote them",
        )
    return _assemble(header, records[1:], is_whole=not rest)


def _decode(decoder: msgspec.json.Decoder[Line], line: bytes, number: int) -> Line:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise ResultError(
            f"The samples are damaged on line {number}: {error}",
            remedy="Collect the file again, or measure this run again",
            detail=line[:200].decode(errors="replace"),
        ) from error


def _assemble(header: Header, records: Sequence[Line], *, is_whole: bool) -> Samples:
    for number, record in enumerate(records, 2):
        if isinstance(record, Header) or (isinstance(record, Footer) and number != len(records) + 1):
            raise ResultError(
                f"The samples of {header.run} are damaged: line {number} starts or ends another run",
                remedy="Collect the file again, or measure this run again",
            )
    footer = records[-1] if records and isinstance(records[-1], Footer) else None
    if footer is not None and footer.lines != len(records):
        raise ResultError(
            f"The samples of {header.run} have {len(records)} lines before the last, not {footer.lines}",
            remedy="Collect the file again, or measure this run again",
        )
    offset = header.wall_seconds - header.monotonic_seconds
    return Samples(
        header=header,
        samples=tuple(record for record in records if isinstance(record, Sample)),
        marks={
            record.name: record.monotonic_seconds + offset
            for record in records
            if isinstance(record, MarkLine)
        },
        gone={
            record.target: record.monotonic_seconds + offset
            for record in records
            if isinstance(record, GoneLine)
        },
        notes=tuple(record for record in records if isinstance(record, Note)),
        footer=footer,
        complete=is_whole and footer is not None,
    )


# ---------------------------------------------------------------- a tree over time


def tree_series(samples: Samples, target: str) -> tuple[Point, ...]:
    """The tree of ``target`` in every sample that has it. Raises ResultError for an unknown target.

    A process that ends keeps the CPU seconds it was last seen with; one that appears brings all of its own,
    except in the first sample, which is where counting starts.
    """
    _check_target(samples, target)
    points: list[Point] = []
    last_seen: dict[int, float] = {}
    total_seconds = 0.0
    for sample in samples.samples:
        processes = sample.processes.get(target)
        if processes is None:
            continue
        used = _cpu_since(last_seen, processes)
        total_seconds += used if points else 0.0
        points.append(_point(samples.time_of(sample.monotonic_seconds), processes, total_seconds))
    return tuple(points)


def _check_target(samples: Samples, target: str) -> None:
    if target not in samples.header.targets:
        known = ", ".join(samples.header.targets)
        raise ResultError(
            f"The samples of {samples.header.run} have no target {target!r}", remedy=f"They have {known}"
        )


def _cpu_since(last_seen: dict[int, float], processes: Sequence[Process]) -> float:
    """CPU seconds used since ``last_seen``, which is brought up to date."""
    used = 0.0
    for process in processes:
        if process.cpu_seconds is None:
            continue
        before = last_seen.get(process.pid, 0.0)
        # Less than before: another process has taken an ended one's number.
        used += process.cpu_seconds - (before if process.cpu_seconds >= before else 0.0)
        last_seen[process.pid] = process.cpu_seconds
    return used


def _point(t: float, processes: Sequence[Process], cpu_seconds: float) -> Point:
    readable = [process.rss_kib for process in processes if process.rss_kib is not None]
    unreadable = len(processes) - len(readable)
    return Point(
        t=t,
        rss_bytes=None if unreadable else sum(readable) * KIB,
        processes=len(processes),
        cpu_seconds=cpu_seconds,
        threads=sum(process.threads or 0 for process in processes),
        unreadable=unreadable,
    )


# ---------------------------------------------------------------- memory


def memory_of(samples: Samples, target: str, start: float, end: float) -> Memory:
    """Median and peak of the tree's summed memory in the interval. Raises ResultError."""
    rss = [
        point.rss_bytes
        for point in tree_series(samples, target)
        if start <= point.t <= end and point.processes and point.rss_bytes is not None
    ]
    return Memory(
        rss=_spread(rss),
        pss=_spread(_full_sums(samples, target, start, end, lambda process: process.pss_kib)),
        uss=_spread(_full_sums(samples, target, start, end, lambda process: process.uss_kib)),
    )


def memory_over(samples: Samples, target: str, phases: Phases) -> TreeBytes:
    """The phases' memory as results keep it: idle and after are medians. Raises ResultError."""
    window = memory_of(samples, target, *phases.window)
    nothing = Memory(None, None, None)
    idle = nothing if phases.idle is None else memory_of(samples, target, *phases.idle)
    after = nothing if phases.after is None else memory_of(samples, target, *phases.after)
    rss = _bytes(idle.rss, window.rss, after.rss) or Bytes(None, None, None)
    return TreeBytes(rss, _bytes(idle.pss, window.pss, after.pss), _bytes(idle.uss, window.uss, after.uss))


def _bytes(idle: Spread | None, window: Spread | None, after: Spread | None) -> Bytes | None:
    if idle is None and window is None and after is None:
        return None
    return Bytes(
        idle=None if idle is None else idle.median,
        median=None if window is None else window.median,
        peak=None if window is None else window.peak,
        after=None if after is None else after.median,
    )


def _full_sums(
    samples: Samples, target: str, start: float, end: float, part: Callable[[FullProcess], int | None]
) -> list[int]:
    sums: list[int] = []
    for sample in samples.samples:
        processes = sample.full.get(target, ())
        if not processes or not start <= samples.time_of(sample.monotonic_seconds) <= end:
            continue
        parts = [part(process) for process in processes]
        known = [kib for kib in parts if kib is not None]
        if len(known) == len(parts):
            sums.append(sum(known) * KIB)
    return sums


def _spread(values: Sequence[int]) -> Spread | None:
    return Spread(round(median(values)), max(values), len(values)) if values else None


# ---------------------------------------------------------------- CPU


def cpu_of(samples: Samples, target: str, start: float, end: float) -> Cpu | None:
    """CPU of the tree in what of the interval was sampled, interpolated at its ends.

    None if that is less than one sampling interval. Raises ResultError for an unknown target.
    """
    return _cpu_between(tree_series(samples, target), start, end, samples.header.interval_seconds)


def core_shares(
    samples: Samples, target: str, start: float, end: float, step_seconds: float = 1.0
) -> tuple[float, ...]:
    """The tree's core share in each whole step of the interval that was sampled in full, in order.

    Raises ResultError for an unknown target.
    """
    points = tree_series(samples, target)
    shares: list[float] = []
    for step in range(int((end - start) / step_seconds + 1e-9)):
        since = start + step * step_seconds
        cpu = _cpu_between(points, since, since + step_seconds, samples.header.interval_seconds)
        if cpu is not None and cpu.elapsed_seconds > step_seconds - samples.header.interval_seconds:
            shares.append(cpu.core_share)
    return tuple(shares)


def core_shares_by_process(samples: Samples, target: str, start: float, end: float) -> dict[int, float]:
    """Each process's core share in what of the interval was sampled; empty if that is less than two samples.

    Raises ResultError for an unknown target.
    """
    _check_target(samples, target)
    inside = [
        sample
        for sample in samples.samples
        if target in sample.processes and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if len(inside) < 2:
        return {}
    used: dict[int, float] = {}
    last_seen: dict[int, float] = {}
    for sample in inside:
        for process in sample.processes[target]:
            since = _cpu_since(last_seen, (process,))
            used[process.pid] = used.get(process.pid, 0.0) + (0.0 if sample is inside[0] else since)
    elapsed = inside[-1].monotonic_seconds - inside[0].monotonic_seconds
    return {pid: seconds / elapsed for pid, seconds in used.items()}


def _cpu_between(points: Sequence[Point], start: float, end: float, least_seconds: float) -> Cpu | None:
    if not points:
        return None
    since, until = max(start, points[0].t), min(end, points[-1].t)
    elapsed = until - since
    if elapsed < least_seconds:
        return None
    used = _cpu_at(points, until) - _cpu_at(points, since)
    return Cpu(used, elapsed, used / elapsed)


def _cpu_at(points: Sequence[Point], t: float) -> float:
    """``t`` lies between the first and the last point."""
    later = bisect_left(points, t, key=lambda point: point.t)
    if later == 0 or points[later].t == t:
        return points[later].cpu_seconds
    before, after = points[later - 1], points[later]
    part = (t - before.t) / (after.t - before.t)
    return before.cpu_seconds + part * (after.cpu_seconds - before.cpu_seconds)


class HostCpu(msgspec.Struct, frozen=True):
    """What all programs of a host took of some of its cores, in cores; stolen: by the hypervisor, if told."""

    busy: float
    stolen: float | None


def host_cpu(samples: Samples, cores: Sequence[int], start: float, end: float) -> HostCpu | None:
    """All programs' use of ``cores`` over what of the interval was read; None if that is too little.

    The readings are a second apart, so up to a second at either end is left out.
    """
    readings = [
        (sample.monotonic_seconds, [sample.cores[core] for core in cores])
        for sample in samples.samples
        if sample.cores
        and max(cores, default=0) < len(sample.cores)
        and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if len(readings) < 2:
        return None
    (first, before), (last, after) = readings[0], readings[-1]
    elapsed = last - first
    busy = sum(new.busy_seconds - old.busy_seconds for old, new in zip(before, after, strict=True))
    stolen = [
        new.stolen_seconds - old.stolen_seconds
        for old, new in zip(before, after, strict=True)
        if old.stolen_seconds is not None and new.stolen_seconds is not None
    ]
    return HostCpu(busy / elapsed, sum(stolen) / elapsed if stolen else None)


def network_use(samples: Samples, start: float, end: float) -> NetworkUse | None:
    """What went over the host's interfaces in what of the interval was read; None if that is too little."""
    readings = [
        (sample.monotonic_seconds, sample.network_bytes)
        for sample in samples.samples
        if sample.network_bytes and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if len(readings) < 2:
        return None
    (first, before), (last, after) = readings[0], readings[-1]
    elapsed = last - first
    return NetworkUse((after[0] - before[0]) / elapsed, (after[1] - before[1]) / elapsed)


# ---------------------------------------------------------------- processes, and the agent itself


def processes_of(samples: Samples, target: str, start: float, end: float) -> ProcessChange:
    """Who was in the tree over the interval. Raises ResultError for an unknown target."""
    _check_target(samples, target)
    sets = [
        frozenset(process.pid for process in sample.processes.get(target, ()))
        for sample in samples.samples
        if start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if not sets:
        nobody: frozenset[int] = frozenset()
        return ProcessChange(nobody, nobody, nobody, nobody)
    ever, always = frozenset().union(*sets), sets[0].intersection(*sets)
    return ProcessChange(
        at_start=sets[0],
        at_end=sets[-1],
        appeared=ever - sets[0],
        vanished=(ever - sets[-1]) | (sets[0] - always),
    )


def unreadable_reasons(samples: Samples) -> tuple[str, ...]:
    """Each reason once, with how many processes it holds for; what the host never tells comes first."""
    absent = tuple(f"{part}: {why}" for part, why in samples.header.absent.items())
    counts: dict[str, int] = {}
    for note in samples.notes:
        text = f"{note.what}: {note.why}"
        counts[text] = counts.get(text, 0) + 1
    return absent + tuple(f"{text} ({count} processes)" for text, count in counts.items())


def agent_cost(samples: Samples, start: float, end: float) -> AgentCost:
    """The agent's own core share in the interval; None if fewer than two of its own readings lie there."""
    readings = [
        (sample.monotonic_seconds, sample.agent_cpu_seconds)
        for sample in samples.samples
        if sample.agent_cpu_seconds is not None and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    share = None
    if len(readings) > 1:
        (first, first_cpu), (last, last_cpu) = readings[0], readings[-1]
        share = (last_cpu - first_cpu) / (last - first)
    missed = max((sample.missed or 0 for sample in samples.samples), default=0)
    late = max((sample.late_seconds or 0.0 for sample in samples.samples), default=0.0)
    if samples.footer is not None:
        missed, late = samples.footer.missed, samples.footer.late_max_seconds
    return AgentCost(share, missed, late)
