"""What probe.py prints of the host that it runs on.

It is a single script, so a test holds its keys against this type.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDescription:
    """What is known of a host's system, Python, user and disk. Sizes are bytes."""

    system: str  # Linux or Darwin
    release: str  # the kernel's
    distribution: str  # "Debian GNU/Linux 12 (bookworm)", "macOS 14.7.1"; "" where unknown
    architecture: str  # x86_64, aarch64 or arm64
    cpu_model: str  # "" where unknown
    cores_total: int
    cores_usable: tuple[int, ...]  # the CPU numbers that the user's processes may run on
    memory_bytes: int
    python_version: str  # "3.11.2"
    python_path: str
    python_implementation: str  # CPython
    libc: str  # "glibc 2.36", "musl"; "" on macOS
    macos_version: str  # "14.7.1"; "" on Linux
    user: str
    is_root: bool
    home: str
    workdir: str  # the folder for all work of ours, absolute
    disk_free_bytes: int  # where the work folder is or will be
    boot_id: str  # differs after each start of the host
    # The CPU frequency governors of all cores, each once; None where the system shows none.
    cpu_frequency_scaling: str | None
    open_files_limit: int  # the soft one
    can_pin: bool  # whether processes can be bound to cores
    # Of each physical core the usable CPU numbers that are its threads; () where the system doesn't tell.
    thread_siblings: tuple[tuple[int, ...], ...] = ()
    is_virtual: bool | None = None  # a hypervisor is below the system; None: not known
    loopback_mtu: int | None = None  # bytes of a packet at most; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswer(HostDescription):
    """The whole answer, on a host with Python 3.11 or newer and Linux or macOS."""

    base_python_path: str  # what a virtual environment's Python was made from; else ``python_path`` again
    pointer_bits: int  # 64 or 32
    workdir_parent: str  # the work folder, or the nearest folder above it that is there
    workdir_writable: bool  # whether the user may write to ``workdir_parent``
    workdir_noexec: bool  # whether programs can't be started from there
    # The host's wall clock in seconds since 1970 at the command's start or later; the seconds from there to
    # the command's end.
    clock: tuple[float, float]
