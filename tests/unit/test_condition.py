"""A host's condition: the real script on this machine, and recorded outputs of Linux and macOS.

The macOS samples have the format that pmset(1), sysctl(8) and ifconfig(8) print: `pmset -g` with
``sleep 1 (sleep prevented by …)``, `pmset -g batt` with ``Now drawing from '…'``, and `pmset -g therm`, whose
``CPU_Speed_Limit`` its manual page describes, as users have published them. None was recorded by us.
"""

from __future__ import annotations

import dataclasses
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.environment.hosts import Host
from bench.environment.readiness import Demand, Finding, server_findings
from bench.wire.condition import SystemCondition
from remote.check import read_condition
from remote.facts import read_facts
from remote.local import LocalConnection
from remote.onhost import condition
from tests.helpers.own_cgroup import cpu_quota, joining
from tests.helpers.program import ROOT

PMSET = """System-wide power settings:
 SleepDisabled\t\t0
Currently in use:
 standby              1
 Sleep On Power Button 1
 hibernatefile        /var/vm/sleepimage
 powernap             1
 networkoversleep     0
 disksleep            10
 sleep                {sleep}
 ttyskeepawake        1
 displaysleep         10
 tcpkeepalive         1
 lowpowermode         {low}
 womp                 1
"""
BATTERY = "Now drawing from '{}'\n -InternalBattery-0 (id=22806627)\t78%; discharging; 5:05 remaining\n"
COOL = (
    "Note: No thermal warning level has been recorded\nNote: No performance warning level has been recorded\n"
)
HOT = (
    "2026-08-20 05:08:37 -0700 CPU Power notify\n"
    "\tCPU_Scheduler_Limit \t= 100\n\tCPU_Available_CPUs \t= 12\n\tCPU_Speed_Limit \t= 62\n"
)
EN0 = """en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tether a8:20:66:00:00:00
\tmedia: autoselect (1000baseT <full-duplex,flow-control>)
\tstatus: active
"""


def test_this_machine_tells_its_condition() -> None:
    connection = LocalConnection(Host(name="here", groups=("server",), connection="local"))
    found = read_condition(connection, read_facts(connection))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert found.open_files_soft == (None if soft == resource.RLIM_INFINITY else soft)
    assert found.open_files_hard == (None if hard == resource.RLIM_INFINITY else hard)
    assert found.listen_queue is not None
    assert found.listen_queue > 0
    assert found.ephemeral_ports is not None
    assert found.ephemeral_ports[0] < found.ephemeral_ports[1]
    if sys.platform == "linux":
        assert found.listen_queue == int(Path("/proc/sys/net/core/somaxconn").read_text())


def test_a_quota_below_the_cores_limits_a_plan_and_is_said_with_its_remedy() -> None:
    connection = LocalConnection(Host(name="here", groups=("server",), connection="local"))
    facts = dataclasses.replace(read_facts(connection), cores_usable=(0, 1))
    here = read_condition(connection, facts)
    demand = Demand(connections=1, backlog=1, response_bytes={})

    def found(cores: float | None) -> list[Finding]:
        condition_ = dataclasses.replace(here, quota_cores=cores)
        of_server = server_findings(facts, condition_, demand)
        return [one for one in of_server if one.what == "quota"]

    (limited,) = found(0.5)
    assert limited.state == "limits"
    assert limited.text.startswith("a CPU quota lets what runs there use 0.5 of its 2 usable cores")
    assert limited.remedy.startswith("Lift it")
    assert [one.state for one in found(2.0)] == ["ok"]
    assert found(None) == []


def test_a_real_quota_is_in_the_condition_of_what_is_started_under_it(tmp_path: Path) -> None:
    with cpu_quota(0.75) as group:
        code = f"{joining(group)}from remote.onhost.condition import main; main([{str(tmp_path)!r}])"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=30
        )
    assert msgspec.json.decode(done.stdout)["quota_cores"] == 0.75


def test_a_folder_counts_what_its_files_take(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(100_000))
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    assert 100_000 <= condition.folder_bytes(tmp_path) < 120_000
    assert condition.folder_bytes(tmp_path / "nowhere") == 0


# ---------------------------------------------------------------- Linux


def a_laptop(root: Path) -> None:
    """The files that Documentation/ABI/testing/sysfs-class-power and the like describe."""
    files = {
        "sys/class/power_supply/AC/type": "Mains\n",
        "sys/class/power_supply/AC/online": "0\n",
        "sys/class/power_supply/BAT0/type": "Battery\n",
        "sys/class/power_supply/BAT0/status": "Discharging\n",
        "sys/class/power_supply/BAT0/scope": "System\n",
        "sys/class/power_supply/hidpp_battery_0/type": "Battery\n",
        "sys/class/power_supply/hidpp_battery_0/status": "Discharging\n",
        "sys/class/power_supply/hidpp_battery_0/scope": "Device\n",
        "sys/firmware/acpi/platform_profile": "low-power\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "7\n",
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "12\n",
        "sys/class/net/eth0/speed": "1000\n",
        "sys/class/net/wlan0/operstate": "down\n",
        "sys/class/net/veth/speed": "-1\n",
        "sys/class/net/lo/mtu": "65536\n",
        "proc/net/core/somaxconn": "4096\n",
        "proc/net/ipv4/ip_local_port_range": "32768\t60999\n",
        "etc/systemd/logind.conf": "[Login]\n#IdleAction=ignore\n",
        "etc/systemd/logind.conf.d/sleep.conf": "[Login]\nIdleAction=suspend\nIdleActionSec=20min\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_a_linux_laptop_on_battery(tmp_path: Path) -> None:
    a_laptop(tmp_path)
    assert condition.linux(tmp_path / "sys", tmp_path / "proc", tmp_path / "etc") == SystemCondition(
        listen_queue=4096,
        ephemeral_ports=(32768, 60999),
        on_battery=True,
        low_power=True,
        sleeps_after_minutes=20,
        cpu_speed_limit_percent=None,
        throttle_count=12,
        interfaces={"eth0": 1_000_000_000, "veth": None, "wlan0": None},
    )
    (tmp_path / "sys/class/power_supply/AC/online").write_text("1\n")
    found = condition.linux(tmp_path / "sys", tmp_path / "proc", tmp_path / "etc")
    assert found.on_battery is False


def test_a_linux_machine_without_any_of_it_says_so(tmp_path: Path) -> None:
    found = condition.linux(tmp_path, tmp_path, tmp_path)
    values = dataclasses.asdict(found)
    assert values.pop("interfaces") == {}
    assert set(values.values()) == {None}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("IdleAction=ignore", 0),
        ("IdleAction=suspend", 30),
        ("IdleAction=suspend\nIdleActionSec=90", 1),
        ("IdleAction=hibernate\nIdleActionSec=2h", 120),
        ("IdleAction=suspend\nIdleActionSec=1h 20min", None),
        ("#IdleAction=suspend", None),
    ],
)
def test_when_logind_sends_to_sleep(text: str, minutes: int | None) -> None:
    assert condition.logind_sleep_minutes([text]) == minutes


# ---------------------------------------------------------------- macOS


def test_a_macbooks_power_settings() -> None:
    assert condition.pmset_sleep_minutes(PMSET.format(sleep=10, low=0)) == 10
    assert condition.pmset_sleep_minutes(PMSET.format(sleep=0, low=0)) == 0
    held = PMSET.format(sleep="1 (sleep prevented by caffeinate, powerd)", low=1)
    assert condition.pmset_sleep_minutes(held) == 0
    assert condition.pmset_flag(held, "lowpowermode") is True
    assert condition.pmset_flag(PMSET.format(sleep=1, low=0), "lowpowermode") is False
    assert condition.pmset_flag("", "lowpowermode") is None


def test_a_macbooks_battery_heat_and_interface() -> None:
    assert condition.pmset_on_battery(BATTERY.format("Battery Power")) is True
    assert condition.pmset_on_battery(BATTERY.format("AC Power")) is False
    assert condition.pmset_on_battery("") is None
    assert condition.pmset_speed_limit(COOL) == 100
    assert condition.pmset_speed_limit(HOT) == 62
    assert condition.pmset_speed_limit("") is None
    assert condition.media_speed(EN0) == 1_000_000_000
    assert condition.media_speed("\tmedia: autoselect (10Gbase-T <full-duplex>)\n") == 10_000_000_000
    assert condition.media_speed("\tmedia: autoselect\n") is None
    assert condition.pair("49152\n65535\n") == (49152, 65535)
    assert condition.pair("") is None
