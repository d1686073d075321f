"""Starts one lab host: its namespaces, its root file system, then its init. Linux, root.

Alone, standard library of Python 3.11. Called with one argument, JSON:

  network_namespace  path of an existing named network namespace
  hostname           the host's name
  cores              CPU numbers its processes may use
  base               the base system's folder, never written to
  directory          the host's folder, which keeps what the host writes
  clock_ahead        by how many seconds the host's monotonic clock is ahead of this machine's

Writes one line of JSON to stdout and ends, leaving the host's first process behind:

  {"pid": 123, "root": "overlay", "notes": ["..."]}   that process's number outside; how the root was made
  {"error": "..."}                                    and ends with status 1; nothing is left

The first process then waits for a byte on stdin, which is the caller's time to note ``pid`` and to write
files through /proc/PID/root, and becomes the host's /sbin/init. When stdin is closed instead it ends: a
caller that dies leaves no host behind that nobody knows of. Every mount is in the host's own mount namespace
and goes with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x20000000, 0x40000000, 0x00000080
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
DEVICE_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
# What init gives a service on Debian 12.
OPEN_FILES_SOFT, OPEN_FILES_HARD = 1024, 524288
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def set_monotonic_clock(seconds_ahead: int) -> list[str]:
    """Real hosts were booted at different times: the next child's monotonic clock is not this machine's.

    Returns why not, where the kernel has no time namespaces (before Linux 5.6).
    """
    try:
        checked(libc.unshare(CLONE_NEWTIME), "unshare the time")
        Path("/proc/self/timens_offsets").write_text(f"monotonic {seconds_ahead} 0\n")
    except OSError as error:
        return [f"its monotonic clock is this machine's ({error})"]
    return []


def mount(source: str, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    done = libc.mount(
        source.encode(), bytes(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    checked(done, f"mount {kind or source} on {target}")


def unmount(target: Path) -> None:
    checked(libc.umount2(bytes(target), MNT_DETACH), f"unmount {target}")


def mount_overlay(base: Path, writable: Path, target: Path) -> None:
    upper, work = writable / "upper", writable / "work"
    upper.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    mount("overlay", target, "overlay", data=f"lowerdir={base},upperdir={upper},workdir={work}")


def mount_overlay_in_memory(base: Path, directory: Path, target: Path) -> None:
    memory = directory / "memory"
    memory.mkdir(exist_ok=True)
    mount("tmpfs", memory, "tmpfs", data="mode=755")
    try:
        mount_overlay(base, memory, target)
    except OSError:
        unmount(memory)
        raise


def mount_copy(base: Path, directory: Path, target: Path) -> None:
    copy = directory / "copy"
    if not copy.exists():
        partial = directory / "copy.partial"
        subprocess.run(["rm", "-rf", partial], check=True)
        subprocess.run(["cp", "--archive", "--reflink=auto", base, partial], check=True)
        partial.rename(copy)
    mount(str(copy), target, flags=MS_BIND)


def mount_root(base: Path, directory: Path, target: Path) -> tuple[str, list[str]]:
    """Mount the host's root; how, and why not in the ways before."""
    notes: list[str] = []
    for kind, attempt in (
        ("overlay", mount_overlay),
        ("overlay in memory", mount_overlay_in_memory),
        ("copy", mount_copy),
    ):
        try:
            attempt(base, directory, target)
        except OSError as error:
            notes.append(f"no {kind} ({error})")
        else:
            return kind, notes
    raise OSError("; ".join(notes))


def mount_devices(dev: Path) -> None:
    mount("tmpfs", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=1m")
    for name, (major, minor) in DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for name, target in DEVICE_LINKS.items():
        (dev / name).symlink_to(target)
    (dev / "pts").mkdir()
    mount("devpts", dev / "pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    (dev / "shm").mkdir()
    mount("tmpfs", dev / "shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")


def enter_root(root: Path) -> None:
    """Make ``root`` the root directory and let go of the machine's own."""
    os.chdir(root)
    checked(libc.pivot_root(b".", b"."), "pivot_root")
    unmount(Path())
    os.chdir("/")


def furnish(config: dict[str, Any]) -> dict[str, Any]:
    """Everything between the namespaces and init. Returns how the root was made."""
    os.umask(0o022)
    mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)
    directory = Path(config["directory"])
    root = directory / "root"
    root.mkdir(exist_ok=True)
    kind, notes = mount_root(Path(config["base"]), directory, root)
    mount("proc", root / "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", root / "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    mount("tmpfs", root / "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount_devices(root / "dev")
    enter_root(root)
    socket.sethostname(config["hostname"])
    return {"root": kind, "notes": notes}


def limit(cores: list[int]) -> None:
    """What init hands down to all processes of the host."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
    limit_open_files()


def limit_open_files() -> None:
    """As on a real host; where even root may not go so high, as high as the machine's own limit."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_SOFT, OPEN_FILES_HARD))
    except (ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES_SOFT, hard), hard))


def become_init() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    log = os.open("/var/log/init.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    os.closerange(3, 256)
    # Blocked over the exec: the first process of a namespace loses every signal that it has no handler for.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGUSR2})
    os.execve("/sbin/init", ["init"], ENVIRONMENT)


def first_process(config: dict[str, Any], answer: int, notes: list[str]) -> None:
    """The host's process 1. ``answer``: a pipe to the process that started it."""
    try:
        os.setsid()
        made = furnish(config)
        made["notes"] = [*notes, *made["notes"]]
        limit(config["cores"])
    except (OSError, subprocess.CalledProcessError) as error:
        os.write(answer, json.dumps({"error": str(error)}).encode())
        return
    os.write(answer, json.dumps(made).encode())
    os.close(answer)
    if os.read(0, 1):
        become_init()


def main() -> int:
    config = json.loads(sys.argv[1])
    try:
        namespace = os.open(config["network_namespace"], os.O_RDONLY)
        checked(libc.setns(namespace, CLONE_NEWNET), "enter the network namespace")
        checked(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID), "unshare")
        notes = set_monotonic_clock(config["clock_ahead"])
    except OSError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        return 1
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_end)
            first_process(config, write_end, notes)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    answer = json.loads(text) if text else {"error": "the host's first process was lost"}
    sys.stdout.write(json.dumps(answer if "error" in answer else {"pid": pid, **answer}) + "\n")
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
