"""The lines of a samples file, as the agent writes them."""

from __future__ import annotations

import msgspec

SAMPLES_VERSION = 1


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


Line = Header | Sample | MarkLine | GoneLine | Note | Footer
