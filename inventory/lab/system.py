"""Programs of this machine, and whether it can hold lab hosts at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import LabError

Report = Callable[[str], None]

SEARCH_PATH = ":".join((os.defpath, "/usr/local/sbin", "/usr/sbin", "/sbin"))
COMMAND_TIMEOUT_SECONDS = 30.0
APT_TIMEOUT_SECONDS = 300.0
# What has to be there, and the Debian package that brings it.
NEEDED = {
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "chroot": "coreutils",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "umount": "mount",
    "unshare": "util-linux",
}
CAPABILITY_BITS = {"CAP_NET_ADMIN": 12, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27}
NAMESPACES = ("ipc", "mnt", "net", "pid", "uts")


def environment() -> dict[str, str]:
    """Ours, with the folders of system programs on PATH and their messages in English."""
    path = os.environ.get("PATH", "")
    return os.environ | {"PATH": f"{path}:{SEARCH_PATH}", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
    pass_fds: Sequence[int] = (),
) -> str:
    """Run to the end and return stdout. Raises LabError with the end of what was printed."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=environment(),
            pass_fds=pass_fds,
        )
    except FileNotFoundError as error:
        raise LabError(f"the program {argv[0]} is missing", remedy="Install it") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"'{' '.join(argv)}' did not end within {timeout_seconds:.0f} s", remedy="Try again"
        ) from error
    if done.returncode != 0:
        raise LabError(
            f"'{' '.join(argv)}' ended with status {done.returncode}",
            remedy="The lines below say why; `./invoke lab.down` removes what was made so far",
            detail=tail(done.stderr or done.stdout),
        )
    return done.stdout


def tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def missing_capabilities(process_status: str) -> tuple[str, ...]:
    """Which capabilities a process lacks, read from the text of its /proc/PID/status."""
    effective = 0
    for line in process_status.splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    return tuple(name for name, bit in CAPABILITY_BITS.items() if not effective >> bit & 1)


def missing_needs(needed: dict[str, str], search_path: str) -> dict[str, str]:
    """The part of ``needed`` (program or absolute path -> package) that isn't there."""
    return {
        one: package
        for one, package in needed.items()
        if not (Path(one).exists() if one.startswith("/") else shutil.which(one, path=search_path))
    }


def check_rights(*, platform: str, is_root: bool, process_status: str) -> None:
    """Raise LabError where namespaces, mounts and bridges can't be made."""
    if platform != "linux":
        raise LabError(
            f"lab hosts need Linux; this system is {platform}",
            remedy="Use `--hosts local`, or an inventory of real hosts (see inventory/cloud.example.yml)",
        )
    if not is_root:
        raise LabError(
            "making lab hosts needs root: they are namespaces, mounts and a bridge of this machine",
            remedy="Run the command as root (sudo)",
        )
    missing = missing_capabilities(process_status)
    if missing:
        raise LabError(
            f"root lacks {', '.join(missing)} here, as in an unprivileged container",
            remedy="Run on the machine itself or in a privileged container",
        )


def check_kernel(namespaces_directory: Path = Path("/proc/self/ns")) -> None:
    """Raise LabError where the kernel was built without a namespace that hosts are made of."""
    missing = [name for name in NAMESPACES if not (namespaces_directory / name).exists()]
    if missing:
        raise LabError(
            f"this kernel has no {', '.join(missing)} namespaces", remedy="Boot one that has, as Debian's has"
        )


def require(report: Report) -> None:
    """Check this machine and install what is missing, where apt-get may. Raises LabError."""
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    check_rights(platform=sys.platform, is_root=os.geteuid() == 0, process_status=status)
    check_kernel()
    missing = missing_needs(NEEDED, environment()["PATH"])
    if not missing:
        return
    packages = sorted(set(missing.values()))
    if shutil.which("apt-get", path=environment()["PATH"]) is None:
        raise LabError(f"{', '.join(missing)} missing", remedy=f"Install {', '.join(packages)}")
    install_packages(packages, report)
    still = missing_needs(NEEDED, environment()["PATH"])
    if still:
        raise LabError(
            f"{', '.join(still)} still missing after apt-get install {' '.join(packages)}",
            remedy="Install what brings it",
        )


def install_packages(packages: Sequence[str], report: Report) -> None:
    """Install Debian packages, with fresh lists where the ones at hand don't do. Raises LabError."""
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    report(f"installing {', '.join(packages)} with apt-get")
    try:
        run(install, timeout_seconds=APT_TIMEOUT_SECONDS)
    except LabError:
        report("fetching apt's package lists first")
        run(["apt-get", "update"], timeout_seconds=APT_TIMEOUT_SECONDS)
        run(install, timeout_seconds=APT_TIMEOUT_SECONDS)


def usable_physical_cores() -> tuple[tuple[int, ...], ...]:
    """The CPU numbers this process may use, grouped by physical core, in order."""
    if sys.platform != "linux":
        raise LabError("CPU affinity is Linux only", remedy="See `./invoke lab.up`")
    usable = sorted(os.sched_getaffinity(0))
    groups: dict[str, list[int]] = {}
    for cpu in usable:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings = topology.read_text().strip() if topology.exists() else str(cpu)
        groups.setdefault(siblings, []).append(cpu)
    return tuple(tuple(group) for group in groups.values())


def mounts_below(directory: Path, mountinfo: str) -> tuple[str, ...]:
    """Mount points in or at ``directory``, the deepest first; ``mountinfo``: /proc/self/mountinfo."""
    root = str(directory)
    # Spaces and the like are written as three octal digits.
    points = [
        re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split()[4])
        for line in mountinfo.splitlines()
    ]
    return tuple(point for point in reversed(points) if point == root or point.startswith(f"{root}/"))


def unmount_below(directory: Path) -> None:
    """Unmount all that is mounted in or at a folder."""
    for point in mounts_below(directory.resolve(), Path("/proc/self/mountinfo").read_text()):
        run(["umount", "--lazy", point])


def remove_tree(directory: Path) -> None:
    """Delete a folder, and never reach through a mount that was left in it."""
    unmount_below(directory)
    if directory.exists():
        shutil.rmtree(directory)
