"""Prints the facts of the host it runs on. Shipped: needs the standard library only.

    python3 -I -B - [WORKDIR [UPTIME]] < probe.py

WORKDIR is the folder for all work on this host; left out or empty, it is /var/lib/asgibench for root and
~/.local/share/asgibench for others. Nothing is written, no folder is made. UPTIME is the first number of
/proc/uptime from before a Python was looked for, if this system has the file.

The answer is one line of JSON on standard output that begins with ``{"asgibench_probe": 1`` (the version of
this contract) and has ``python_version``, ``python_path`` and ``system``. With a Python older than 3.11, or
on another system than Linux and macOS, that is all: the controller says what to do. Else it has every field
of ProbeAnswer (bench/wire/probe.py), where their meanings stand.

It must start on Python 3.6: quoted annotations, no newer syntax, nothing newer called by ``main``.
"""

import json
import os
import platform
import struct
import subprocess
import sys
import time
from pathlib import Path

PROBE_VERSION = 1
OLDEST_PYTHON = (3, 11)
SYSTEMS = ("Linux", "Darwin")
ARM_CORES = {
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0xc0", "0xac3"): "Ampere-1",
    ("0xc0", "0xac4"): "Ampere-1A",
}


def facts(system: "str", wanted_workdir: "str" = "", uptime: "str" = "") -> "dict[str, object]":
    passed = seconds_since(uptime, content("/proc/uptime"))
    wall, start = time.time() - passed, time.monotonic() - passed
    user_id = os.geteuid()
    workdir = Path(wanted_workdir or default_workdir(user_id)).expanduser()
    parent = nearest_existing(workdir)
    usable = usable_cores()
    return {
        "release": platform.release(),
        "distribution": distribution(system),
        "architecture": platform.machine(),
        "pointer_bits": struct.calcsize("P") * 8,
        "cpu_model": cpu_model(system),
        "cores_total": os.cpu_count() or len(usable),
        "cores_usable": usable,
        "memory_bytes": memory_bytes(system),
        "python_implementation": platform.python_implementation(),
        "base_python_path": getattr(sys, "_base_executable", None) or sys.executable,
        "libc": libc(system),
        "macos_version": output("sw_vers", "-productVersion") if system == "Darwin" else "",
        "user": user_name(user_id),
        "is_root": user_id == 0,
        "home": os.path.expanduser("~"),  # noqa: PTH111 - an unknown home is "~", not an error
        "workdir": str(workdir),
        "workdir_parent": str(parent),
        "workdir_writable": parent.is_dir() and os.access(parent, os.W_OK | os.X_OK),
        "workdir_noexec": is_noexec(parent),
        "disk_free_bytes": disk_free_bytes(parent),
        "boot_id": boot_id(system),
        "cpu_frequency_scaling": frequency_scaling(Path("/sys/devices/system/cpu")),
        "open_files_limit": open_files_limit(),
        "can_pin": can_pin(),
        "thread_siblings": thread_siblings(Path("/sys/devices/system/cpu"), usable),
        "is_virtual": is_virtual(system),
        "loopback_mtu": loopback_mtu(system),
        "clock": [wall, time.monotonic() - start],
    }


def seconds_since(uptime: "str", uptime_now: "str") -> "float":
    """What has passed for certain between two readings of /proc/uptime, which counts in steps of 10 ms."""
    if not uptime or not uptime_now:
        return 0.0
    return max(0.0, float(uptime_now.split()[0]) - float(uptime) - 0.01)


def output(*argv: "str") -> "str":
    """What a command prints, without the line's end; "" where there is no such command or it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def content(path: "str | Path") -> "str":
    """A file's text; "" where there is none or it can't be read."""
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def fields(text: "str", separator: "str") -> "dict[str, str]":
    """``key<separator>value`` lines; of a repeated key the first one counts."""
    found = {}  # type: dict[str, str]
    for line in text.splitlines():
        key, divider, value = line.partition(separator)
        if divider:
            found.setdefault(key.strip(), value.strip())
    return found


def distribution(system: "str") -> "str":
    if system == "Darwin":
        return f"macOS {output('sw_vers', '-productVersion')}".strip()
    named = fields(content("/etc/os-release") or content("/usr/lib/os-release"), "=")
    return named.get("PRETTY_NAME", named.get("NAME", "")).strip("\"'")


def cpu_model(system: "str") -> "str":
    if system == "Darwin":
        return output("sysctl", "-n", "machdep.cpu.brand_string")
    return cpu_model_of(content("/proc/cpuinfo"), content("/proc/device-tree/model"))


def cpu_model_of(cpuinfo: "str", board: "str") -> "str":
    """x86 names its CPU; ARM gives numbers, of which those of common servers are known here."""
    named = fields(cpuinfo, ":")
    if "model name" in named:
        return named["model name"]
    maker, part = named.get("CPU implementer", ""), named.get("CPU part", "")
    numbers = f"implementer {maker} part {part}" if part else ""
    model = ARM_CORES.get((maker, part), numbers)
    board = board.strip("\0 \n")
    return f"{model} ({board})" if model and board else model or board


def usable_cores() -> "list[int]":
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is not None:
        return sorted(affinity(0))
    return list(range(os.cpu_count() or 1))


def can_pin() -> "bool":
    pin, affinity = getattr(os, "sched_setaffinity", None), getattr(os, "sched_getaffinity", None)
    if pin is None or affinity is None:
        return False
    try:
        pin(0, affinity(0))
    except OSError:
        return False
    return True


def numbers(listed: "str") -> "list[int]":
    """What the kernel writes as ``0-1,8``."""
    found = []  # type: list[int]
    for part in listed.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found += range(int(first), int(last or first) + 1)
    return found


def thread_siblings(folder: "Path", usable: "list[int]") -> "list[list[int]]":
    """The usable CPUs of each physical core; empty where the system doesn't tell of one of them."""
    cores = set()  # type: set[tuple[int, ...]]
    for cpu in usable:
        listed = numbers(content(folder / f"cpu{cpu}" / "topology" / "thread_siblings_list"))
        if cpu not in listed:
            return []
        cores.add(tuple(sorted(set(listed) & set(usable))))
    return [list(core) for core in sorted(cores)]


def is_virtual(system: "str") -> "bool | None":
    """Whether a hypervisor is below this system; None where that can't be told."""
    if system == "Darwin":
        return {"1": True, "0": False}.get(output("sysctl", "-n", "kern.hv_vmm_present"))
    named = fields(content("/proc/cpuinfo"), ":")
    signs = (Path("/sys/hypervisor/type"), Path("/proc/device-tree/hypervisor"))
    return is_virtual_by(named, any(sign.exists() for sign in signs))


def is_virtual_by(cpuinfo: "dict[str, str]", has_sign: "bool") -> "bool | None":
    """x86 has a flag for it; of an ARM machine without a sign nothing is known."""
    if has_sign or "hypervisor" in cpuinfo.get("flags", "").split():
        return True
    return False if "flags" in cpuinfo else None


def loopback_mtu(system: "str") -> "int | None":
    text = content("/sys/class/net/lo/mtu")
    if system == "Darwin":
        text = output("ifconfig", "lo0").partition(" mtu ")[2].split("\n")[0]
    return int(text) if text.strip().isdigit() else None


def memory_bytes(system: "str") -> "int":
    if system == "Darwin":
        return int(output("sysctl", "-n", "hw.memsize") or 0)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def libc(system: "str") -> "str":
    """``glibc 2.36``, ``musl``, or "" where it is neither."""
    if system != "Linux":
        return ""
    try:
        named = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        named = None
    return named or ("musl" if any(Path("/lib").glob("ld-musl-*")) else "")


def user_name(user_id: "int") -> "str":
    import pwd  # lacks on Windows, where this file must start

    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def default_workdir(user_id: "int") -> "str":
    return "/var/lib/asgibench" if user_id == 0 else "~/.local/share/asgibench"


def nearest_existing(path: "Path") -> "Path":
    """The path itself or the first of its parents that is there (as a folder, a file or a dead link)."""
    absolute = path.absolute()
    for candidate in (absolute, *absolute.parents):
        if os.path.lexists(candidate):
            return candidate
    return Path("/")


def is_noexec(path: "Path") -> "bool":
    """Whether programs can't be started from there; False where the system doesn't tell."""
    if not hasattr(os, "ST_NOEXEC") or not path.exists():
        return False
    return bool(os.statvfs(path).f_flag & os.ST_NOEXEC)


def disk_free_bytes(path: "Path") -> "int":
    if not path.exists():
        return 0
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def boot_id(system: "str") -> "str":
    if system == "Darwin":
        return output("sysctl", "-n", "kern.bootsessionuuid") or output("sysctl", "-n", "kern.boottime")
    return content("/proc/sys/kernel/random/boot_id").strip()


def frequency_scaling(folder: "Path") -> "str | None":
    """The governors of all cores, each once, or None where the system shows none (most virtual machines)."""
    files = folder.glob("cpu[0-9]*/cpufreq/scaling_governor")
    return ", ".join(sorted({content(file).strip() for file in files} - {""})) or None


def open_files_limit() -> "int":
    import resource  # lacks on Windows, where this file must start

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def main(arguments: "list[str]", version: "tuple[int, ...]", system: "str") -> "dict[str, object]":
    answer = {
        "asgibench_probe": PROBE_VERSION,
        "python_version": ".".join(map(str, version)),
        "python_path": sys.executable,
        "system": system,
    }  # type: dict[str, object]
    if version >= OLDEST_PYTHON and system in SYSTEMS:
        answer.update(facts(system, *arguments))
    return answer


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:], sys.version_info[:3], platform.system())))
