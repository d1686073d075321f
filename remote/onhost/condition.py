"""Prints the condition of the host it runs on: limits, power, heat, interfaces (bench/wire/condition.py).

Standard library only. The parsers are pure: each takes what a file or a command printed. The one word of the
command line is the work folder.
"""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.wire.codec import encode_line
from bench.wire.condition import Condition, SystemCondition
from remote.onhost.look import content, output
from remote.onhost.quota import tightest_here

IDLE_ACTIONS_THAT_SLEEP = ("suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate")


def number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]+", text.strip()) else None


# ---------------------------------------------------------------- Linux


def linux(sys_folder: Path, proc_folder: Path, etc_folder: Path) -> SystemCondition:
    return SystemCondition(
        listen_queue=number(content(proc_folder / "net/core/somaxconn")),
        ephemeral_ports=pair(content(proc_folder / "net/ipv4/ip_local_port_range")),
        on_battery=supplies_on_battery(power_supplies(sys_folder / "class/power_supply")),
        low_power=profile_is_low_power(content(sys_folder / "firmware/acpi/platform_profile")),
        sleeps_after_minutes=logind_sleep_minutes(logind_texts(etc_folder)),
        cpu_speed_limit_percent=None,
        throttle_count=throttle_count(
            content(file)
            for file in (sys_folder / "devices/system/cpu").glob(
                "cpu[0-9]*/thermal_throttle/core_throttle_count"
            )
        ),
        interfaces={
            folder.name: sysfs_speed(content(folder / "speed"))
            for folder in sorted((sys_folder / "class/net").glob("*"))
            if folder.name != "lo" and folder.is_dir()
        },
    )


def power_supplies(folder: Path) -> list[dict[str, str]]:
    """Each supply's ``type``, ``scope``, ``online`` and ``status``."""
    return [
        {key: content(supply / key).strip() for key in ("type", "scope", "online", "status")}
        for supply in sorted(folder.glob("*"))
    ]


def supplies_on_battery(supplies: list[dict[str, str]]) -> bool | None:
    """True where a battery of the machine's own discharges and no mains is online; None without a battery."""
    own = [one for one in supplies if one.get("scope") != "Device"]
    if not any(one["type"] == "Battery" for one in own):
        return None
    if any(one["type"] in ("Mains", "USB") and one["online"] == "1" for one in own):
        return False
    return any(one["type"] == "Battery" and one["status"] == "Discharging" for one in own)


def profile_is_low_power(text: str) -> bool | None:
    return text.strip() in ("low-power", "quiet") if text.strip() else None


def logind_texts(etc_folder: Path) -> list[str]:
    systemd = etc_folder / "systemd"
    return [content(systemd / "logind.conf"), *map(content, sorted(systemd.glob("logind.conf.d/*.conf")))]


def logind_sleep_minutes(texts: list[str]) -> int | None:
    """From IdleAction and IdleActionSec; None where nothing is set (systemd's default is to stay awake)."""
    settings: dict[str, str] = {}
    for text in texts:
        for line in text.splitlines():
            key, divider, value = line.partition("=")
            if divider and not key.lstrip().startswith(("#", ";")):
                settings[key.strip()] = value.strip()
    if "IdleAction" not in settings:
        return None
    if settings["IdleAction"] not in IDLE_ACTIONS_THAT_SLEEP:
        return 0
    found = re.fullmatch(r"([0-9]+) ?(s|sec|min|m|h|)", settings.get("IdleActionSec", "30min"))
    if found is None:
        return None
    seconds = int(found[1]) * {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}[found[2]]
    return max(1, seconds // 60)


def throttle_count(texts: Iterable[str]) -> int | None:
    """Of the core that heat slowed most often since boot; None where no core tells."""
    counts = [count for text in texts if (count := number(text)) is not None]
    return max(counts) if counts else None


def sysfs_speed(text: str) -> int | None:
    """Bits per second of /sys/class/net/*/speed, which has Mbit/s, or -1 for not known."""
    megabits = number(text)
    return megabits * 1_000_000 if megabits is not None and megabits > 0 else None


# ---------------------------------------------------------------- macOS


def macos() -> SystemCondition:
    settings = output("pmset", "-g")
    names = output("ifconfig", "-lu").split()
    return SystemCondition(
        listen_queue=number(output("sysctl", "-n", "kern.ipc.somaxconn")),
        ephemeral_ports=pair(
            output("sysctl", "-n", "net.inet.ip.portrange.first", "net.inet.ip.portrange.last")
        ),
        on_battery=pmset_on_battery(output("pmset", "-g", "batt")),
        low_power=pmset_flag(settings, "lowpowermode"),
        sleeps_after_minutes=pmset_sleep_minutes(settings),
        cpu_speed_limit_percent=pmset_speed_limit(output("pmset", "-g", "therm")),
        throttle_count=None,
        interfaces={
            name: media_speed(output("ifconfig", name)) for name in names if not name.startswith("lo")
        },
    )


def pair(text: str) -> tuple[int, int] | None:
    """Two numbers and nothing else."""
    found = [number(word) for word in text.split()]
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return found[0], found[1]


def pmset_on_battery(text: str) -> bool | None:
    """From ``Now drawing from 'AC Power'``."""
    found = re.search(r"Now drawing from '([^']+)'", text)
    return None if found is None else found[1] == "Battery Power"


def pmset_value(text: str, key: str) -> int | None:
    found = re.search(rf"^\s*{key}\s+([0-9]+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def pmset_flag(text: str, key: str) -> bool | None:
    value = pmset_value(text, key)
    return None if value is None else value == 1


def pmset_sleep_minutes(text: str) -> int | None:
    """0: never, also where a program keeps the system awake (``sleep 1 (sleep prevented by …)``)."""
    if re.search(r"^\s*sleep\s.*sleep prevented by", text, re.MULTILINE):
        return 0
    return pmset_value(text, "sleep")


def pmset_speed_limit(text: str) -> int | None:
    """``CPU_Speed_Limit = 80``; 100 where it says that nothing was recorded, None where it says nothing."""
    found = re.search(r"CPU_Speed_Limit\s*=\s*([0-9]+)", text)
    if found:
        return int(found[1])
    return 100 if "No thermal warning level has been recorded" in text else None


def media_speed(text: str) -> int | None:
    """Bits per second of ifconfig's ``media: autoselect (1000baseT <full-duplex>)``; None for Wi-Fi."""
    found = re.search(r"media:.*?\b([0-9]+)(G?)base", text, re.IGNORECASE)
    return int(found[1]) * (1_000_000_000 if found[2] else 1_000_000) if found else None


# ---------------------------------------------------------------- the whole


def folder_bytes(folder: Path) -> int:
    """What its files take on the disk; 0 where there is none. What can't be read is left out."""
    return sum(
        os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118 - thousands of files
        for place, _, names in os.walk(folder)
        for name in names
        if os.path.lexists(os.path.join(place, name))  # noqa: PTH118
    )


def condition(workdir: Path) -> Condition:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    system = macos() if sys.platform == "darwin" else linux(Path("/sys"), Path("/proc/sys"), Path("/etc"))
    return Condition(
        open_files_soft=None if soft == resource.RLIM_INFINITY else soft,
        open_files_hard=None if hard == resource.RLIM_INFINITY else hard,
        load_1min=os.getloadavg()[0],
        workdir_bytes=folder_bytes(workdir),
        quota_cores=tightest_here() if sys.platform.startswith("linux") else None,
        **dataclasses.asdict(system),
    )


def main(arguments: list[str]) -> int:
    sys.stdout.write(encode_line(condition(Path(arguments[0]))).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
