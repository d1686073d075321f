"""The base systems that lab hosts are overlays of: a bare Debian or Ubuntu each, built once and kept.

It is built under a temporary name and renamed when it is complete; what an interrupted build left is deleted.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from bench.errors import LabError
from inventory.lab.lock import locked
from inventory.lab.mirror import find_mirror
from inventory.lab.releases import (
    DEFAULT_RELEASE,
    Release,
    check_keyring,
    mirror_of,
    release_named,
    script_of,
)
from inventory.lab.spec import USER, USER_ID
from inventory.lab.system import Report, environment, remove_tree, run, tail

INCLUDED = "python3,openssh-server"
# To be raised whenever this file builds something else.
RECIPE = 1
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
BUILD_TIMEOUT_SECONDS = 900.0
PARTIAL = ".partial"
# Keys that all hosts would share, and what only an installation needs.
LEFTOVERS = (
    "etc/ssh/ssh_host_*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*_*",
    "var/log/*.log",
    "var/log/apt/*.log",
)
LOG_NAME = "debootstrap.log"
STAGES = {
    "I: Retrieving Packages": "fetching package lists",
    "I: Checking component main": "fetching packages",
    "I: Extracting dpkg...": "unpacking the core",
    "I: Unpacking required packages...": "installing the core",
    "I: Unpacking the base system...": "installing python3 and openssh-server",
    "I: Base system installed successfully.": "base system installed",
}


def base_path(cache_directory: Path, release: str = DEFAULT_RELEASE) -> Path:
    """Where a release's base system is or will be. Raises LabError on an architecture that isn't known."""
    kind = release_named(release).distribution
    return cache_directory / f"{kind}-{release}-{architecture()}-{RECIPE}"


def architecture() -> str:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise LabError(
            f"no lab hosts on {machine}", remedy=f"Use one of {', '.join(ARCHITECTURES)}, or real hosts"
        )
    return ARCHITECTURES[machine]


def ensure_base(
    cache_directory: Path, report: Report, *, release: str = DEFAULT_RELEASE, mirror: str | None = None
) -> Path:
    """The folder of a release's base system, built if need be (about 40 s, 280 MB). Raises LabError.

    ``mirror``: where from; else where this system's own packages come from, if it is of the same
    distribution; else the distribution's own.
    """
    known = release_named(release)
    base = base_path(cache_directory, release)
    if base.exists():
        return base
    with locked(cache_directory, report, timeout_seconds=BUILD_TIMEOUT_SECONDS) as lock:
        if base.exists():
            return base
        partial = base.with_name(base.name + PARTIAL)
        if partial.exists():
            report("deleting a base system that was never completed")
            remove_tree(partial)
        started = time.monotonic()
        report(f"building the base system of {known.title} hosts in {base} (once, about 40 s)")
        bootstrap(partial, report, lock, known, mirror or mirror_of(known, find_mirror()))
        furnish(partial)
        partial.rename(base)
        report(f"the base system is ready after {time.monotonic() - started:.0f} s")
    return base


def bootstrap(target: Path, report: Report, lock: int, release: Release, mirror: str) -> None:
    """Run debootstrap in namespaces of its own, so that nothing it starts or mounts outlives it.

    It inherits ``lock``: should we be killed, nobody else starts before it has ended too.
    """
    argv = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    keyring = check_keyring(release)
    argv += ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", f"--arch={architecture()}"]
    argv += [f"--keyring={keyring}", f"--components={release.components}", release.name, str(target)]
    script = script_of(release)
    argv += [mirror, *([] if script is None else [str(script)])]
    deadline = time.monotonic() + BUILD_TIMEOUT_SECONDS
    lines: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        pass_fds=[lock],
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if line.strip() in STAGES:
                    report(f"base system: {STAGES[line.strip()]}")
                if time.monotonic() > deadline:
                    raise LabError("debootstrap took too long", remedy="See to the network, then try again")
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status != 0:
        raise LabError(
            f"debootstrap ended with status {status} for {release.title} from {mirror}",
            remedy="Its archive must be within reach for the first lab.up; see the lines below",
            detail=tail("".join(lines)) + inner_log(target),
        )


def inner_log(target: Path) -> str:
    log = target / "debootstrap" / LOG_NAME
    return "\n" + tail(log.read_text(errors="replace"), 10) if log.exists() else ""


def furnish(root: Path) -> None:
    """Make a host of it: the user, no host keys, nothing of this machine's own configuration."""
    run(
        ["chroot", str(root), "useradd", "--create-home", "--uid", str(USER_ID), "--shell", "/bin/bash", USER]
    )
    # '*': no password ever matches, and the account doesn't count as locked.
    run(["chroot", str(root), "usermod", "--password", "*", USER])
    for pattern in LEFTOVERS:
        for leftover in root.glob(pattern):
            leftover.unlink()
    (root / "etc/resolv.conf").write_text("# No name server: this host has no route out.\n")
    (root / "etc/hostname").write_text("lab\n")
    os.sync()
