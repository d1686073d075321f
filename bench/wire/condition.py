"""What condition.py prints of the host that it runs on: one Condition as JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemCondition:
    """What each system says in its own way. None: this one does not say it."""

    listen_queue: int | None  # how many connections a listener may hold (somaxconn)
    ephemeral_ports: tuple[int, int] | None  # the first and the last port for outgoing connections
    on_battery: bool | None  # None also without a battery
    low_power: bool | None  # a mode in which CPUs are slowed
    sleeps_after_minutes: int | None  # without input; 0: never
    cpu_speed_limit_percent: int | None  # 100: heat does not hold the CPU back
    throttle_count: int | None  # how often heat has slowed the CPU since the host was started
    interfaces: dict[str, int | None]  # bits per second of each network interface, loopback left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(SystemCondition):
    """A host's limits, power, heat and interfaces at one moment."""

    open_files_soft: int | None  # None: no limit
    open_files_hard: int | None  # None: no limit
    load_1min: float  # the load average
    workdir_bytes: int  # what the files in the work folder take already
    # Of the tightest CPU quota on what we start there, in cores; None: there is none, or the system has no
    # such thing.
    quota_cores: float | None = None

    @property
    def interface_bits_per_second(self) -> int | None:
        """Of the only interface that tells its speed; with several, which one is used isn't known."""
        speeds = [speed for speed in self.interfaces.values() if speed is not None]
        return speeds[0] if len(speeds) == 1 else None
