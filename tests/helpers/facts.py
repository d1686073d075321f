"""Hosts' facts, made up or of this machine."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from bench.environment.hosts import HostFacts


def facts_of(system: str, architecture: str, python: str, *, libc: str = "", macos: str = "") -> HostFacts:
    return HostFacts(
        host="there",
        system=system,
        release="1.0",
        distribution="",
        architecture=architecture,
        cpu_model="",
        cores_total=2,
        cores_usable=(0, 1),
        memory_bytes=1 << 30,
        python_version=python,
        python_path="/usr/bin/python3",
        python_implementation="CPython",
        libc=libc,
        macos_version=macos,
        user="bench",
        is_root=False,
        home="/home/bench",
        workdir="/home/bench/.asgibench",
        disk_free_bytes=1 << 34,
        boot_id="",
        cpu_frequency_scaling=None,
        open_files_limit=1024,
        clock_offset_seconds=0.0,
        clock_offset_error_seconds=0.0,
        can_pin=True,
    )


def facts_of_this_machine(workdir: Path) -> HostFacts:
    libc, libc_version = platform.libc_ver()
    return HostFacts(
        host="here",
        system=platform.system(),
        release=platform.release(),
        distribution="",
        architecture=platform.machine(),
        cpu_model="",
        cores_total=2,
        cores_usable=(0, 1),
        memory_bytes=1 << 30,
        python_version=platform.python_version(),
        python_path=sys.executable,
        python_implementation=platform.python_implementation(),
        libc=f"{libc} {libc_version}" if libc else "",
        macos_version=platform.mac_ver()[0],
        user="",
        is_root=False,
        home=str(Path.home()),
        workdir=str(workdir),
        disk_free_bytes=shutil.disk_usage(workdir.parent).free,
        boot_id="",
        cpu_frequency_scaling=None,
        open_files_limit=1024,
        clock_offset_seconds=0.0,
        clock_offset_error_seconds=0.0,
        can_pin=False,
    )
