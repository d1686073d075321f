"""Facts: the real probe on this machine, recorded answers of others, and the search for a Python."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import platform
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.environment.hosts import Host, HostFacts
from bench.errors import HostUnsuitable
from bench.wire.probe import ProbeAnswer
from remote import bootstrap
from remote.facts import FIND_PYTHON, facts_command, parse_facts, read_facts
from remote.local import LocalConnection
from remote.onhost.bootstrap import probe

HOST = Host(name="box", groups=("server",), connection="local")
LINUX: dict[str, Any] = {
    "asgibench_probe": 1,
    "python_version": "3.12.3",
    "python_path": "/usr/bin/python3",
    "system": "Linux",
    "release": "6.8.0-45-generic",
    "distribution": "Ubuntu 24.04.1 LTS",
    "architecture": "aarch64",
    "pointer_bits": 64,
    "cpu_model": "Neoverse-N1",
    "cores_total": 4,
    "cores_usable": [0, 1, 2, 3],
    "memory_bytes": 25_217_392_640,
    "python_implementation": "CPython",
    "base_python_path": "/usr/bin/python3.12",
    "libc": "glibc 2.39",
    "macos_version": "",
    "user": "ubuntu",
    "is_root": False,
    "home": "/home/ubuntu",
    "workdir": "/home/ubuntu/.local/share/asgibench",
    "workdir_parent": "/home/ubuntu/.local/share",
    "workdir_writable": True,
    "workdir_noexec": False,
    "disk_free_bytes": 41_203_634_176,
    "boot_id": "0f4e1f0a-7c1e-4f0e-9d52-0b1c6f3f6a77",
    "cpu_frequency_scaling": None,
    "open_files_limit": 1024,
    "can_pin": True,
    "thread_siblings": [[0], [1], [2], [3]],
    "is_virtual": None,
    "loopback_mtu": 65_536,
    "clock": [1_790_000_100.0, 0.2],
}
MACBOOK: dict[str, Any] = {
    **LINUX,
    "python_version": "3.13.1",
    "python_path": "/opt/homebrew/opt/python@3.13/bin/python3.13",
    "base_python_path": "/opt/homebrew/opt/python@3.13/bin/python3.13",
    "system": "Darwin",
    "release": "23.6.0",
    "distribution": "macOS 14.7.1",
    "architecture": "arm64",
    "cpu_model": "Apple M3 Pro",
    "cores_total": 11,
    "cores_usable": list(range(11)),
    "libc": "",
    "macos_version": "14.7.1",
    "user": "anna",
    "home": "/Users/anna",
    "workdir": "/Users/anna/.local/share/asgibench",
    "workdir_parent": "/Users/anna/.local/share",
    "boot_id": "7C6F9A3E-3B6A-4C4B-9B1B-5B0E5C7C2B9F",
    "open_files_limit": 256,
    "can_pin": False,
    "thread_siblings": [],
    "is_virtual": False,
    "loopback_mtu": 16_384,
}
# What `sysctl` and `sw_vers` print on a MacBook.
MACOS_COMMANDS = {
    "sysctl -n machdep.cpu.brand_string": "Apple M3 Pro",
    "sysctl -n hw.memsize": "38654705664",
    "sysctl -n kern.bootsessionuuid": "7C6F9A3E-3B6A-4C4B-9B1B-5B0E5C7C2B9F",
    "sw_vers -productVersion": "14.7.1",
}


def parsed(answer: dict[str, Any], host: Host = HOST, before: str = "") -> HostFacts:
    output = f"{before}{json.dumps(answer)}\n".encode()
    return parse_facts(host, output, sent_at=1_790_000_000.0, received_at=1_790_000_000.4)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def old_python(path: Path, version: str) -> Path:
    """A program that acts like an old Python: it fails the test of its version, and runs the probe."""
    answer = json.dumps(
        {"asgibench_probe": 1, "python_version": version, "python_path": str(path), "system": "Linux"}
    )
    return program(
        path, f'case "$3" in *version_info*) exit 1;; pass) exit 0;; esac; cat >/dev/null; echo {answer!r}'
    )


def find(host: Host, folder: Path) -> HostFacts:
    """The search itself, with ``folder`` as all of PATH besides the system's tools that it needs."""
    (folder / "home").mkdir(exist_ok=True)
    for tool in ("sh", "cat"):
        target = next(Path(entry) / tool for entry in ("/bin", "/usr/bin") if (Path(entry) / tool).exists())
        if not (folder / tool).exists():
            (folder / tool).symlink_to(target)
    sent_at = time.time()
    completed = LocalConnection(host).run(
        [str(folder / "sh"), *facts_command(host)[1:]],
        stdin=bootstrap.script("probe"),
        env={"PATH": str(folder), "HOME": str(folder / "home")},
    )
    return parse_facts(host, completed.stdout, sent_at=sent_at, received_at=time.time())


def test_this_machines_facts_are_read_in_one_command(tmp_path: Path) -> None:
    host = Host(name="here", groups=(), connection="local", workdir=str(tmp_path / "a" / "b"))
    facts = read_facts(LocalConnection(host))
    assert facts.host == "here"
    assert facts.system == platform.system()
    assert facts.architecture == platform.machine()
    assert facts.cores_total == os.cpu_count()
    assert facts.memory_bytes > 2**28
    assert facts.workdir == str(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    assert facts.disk_free_bytes > 0
    assert facts.is_root == (os.geteuid() == 0)
    assert Path(facts.python_path).exists()
    assert facts.boot_id
    assert facts.open_files_limit > 0
    # Its own clock is this clock: the true offset, 0, lies within the error.
    assert abs(facts.clock_offset_seconds) <= facts.clock_offset_error_seconds + 0.001
    assert 0 < facts.clock_offset_error_seconds < 5


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's side of the probe")
def test_linux_facts_come_from_the_kernel() -> None:
    facts = probe.facts("Linux")
    assert facts["cores_usable"] == sorted(os.sched_getaffinity(0))
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts["can_pin"] is True
    assert facts["macos_version"] == ""
    assert facts["distribution"]


def test_macos_facts_come_from_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = "".join(f"'{command}') echo '{answer}';;\n" for command, answer in MACOS_COMMANDS.items())
    for name in ("sysctl", "sw_vers"):
        program(tmp_path / name, f'case "{name} $*" in\n{cases}*) exit 1;; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    facts = probe.facts("Darwin")
    assert facts["cpu_model"] == "Apple M3 Pro"
    assert facts["memory_bytes"] == 38_654_705_664
    assert facts["boot_id"] == "7C6F9A3E-3B6A-4C4B-9B1B-5B0E5C7C2B9F"
    assert facts["distribution"] == "macOS 14.7.1"
    assert facts["macos_version"] == "14.7.1"
    assert facts["libc"] == ""


def test_without_affinity_calls_all_cores_are_usable_and_none_can_be_pinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    assert probe.usable_cores() == list(range(os.cpu_count() or 1))
    assert not probe.can_pin()


def test_missing_commands_and_files_leave_facts_empty(tmp_path: Path) -> None:
    assert probe.output("asgibench-no-such-program") == ""
    assert probe.output("sh", "-c", "echo broken; exit 1") == ""
    assert probe.content(tmp_path / "none") == ""
    assert probe.frequency_scaling(tmp_path) is None
    assert probe.user_name(2**31 - 7) == str(2**31 - 7)


def test_governors_are_named_once_each(tmp_path: Path) -> None:
    for core, governor in enumerate(("powersave", "performance", "powersave")):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
    assert probe.frequency_scaling(tmp_path) == "performance, powersave"


def test_cpu_model_of_x86_arm_and_boards() -> None:
    x86 = "processor\t: 0\nmodel name\t: AMD EPYC 7B13\n\nprocessor\t: 1\nmodel name\t: other\n"
    neoverse = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
    unknown = "processor\t: 0\nCPU implementer\t: 0x61\nCPU part\t: 0x022\n"
    assert probe.cpu_model_of(x86, "") == "AMD EPYC 7B13"
    assert probe.cpu_model_of(neoverse, "") == "Neoverse-N1"
    assert probe.cpu_model_of(unknown, "") == "implementer 0x61 part 0x022"
    assert probe.cpu_model_of(unknown, "Some Board\0") == "implementer 0x61 part 0x022 (Some Board)"
    assert probe.cpu_model_of("", "") == ""


def test_default_work_folder_follows_the_user() -> None:
    assert probe.default_workdir(0) == "/var/lib/asgibench"
    assert probe.default_workdir(1000) == "~/.local/share/asgibench"


def test_recorded_linux_host_is_parsed() -> None:
    facts = parsed(LINUX, before="Welcome!\nNo mail.\n")
    assert facts.cpu_model == "Neoverse-N1"
    assert facts.cores_usable == (0, 1, 2, 3)
    assert facts.python_path == "/usr/bin/python3.12"
    assert facts.libc == "glibc 2.39"


def test_recorded_macbook_is_parsed() -> None:
    facts = parsed(MACBOOK)
    assert (facts.system, facts.architecture, facts.macos_version) == ("Darwin", "arm64", "14.7.1")
    assert not facts.can_pin
    assert facts.cpu_frequency_scaling is None


def test_python_named_in_the_inventory_is_kept_as_named() -> None:
    host = Host(name="box", groups=(), python="/srv/venv/bin/python")
    answer = {**LINUX, "python_path": "/srv/venv/bin/python"}
    assert parsed(answer, host).python_path == "/srv/venv/bin/python"


def test_clock_offset_has_half_the_round_trip_as_its_error() -> None:
    facts = parsed(LINUX)  # 0.4 s there and back, of which 0.2 s on the host; it is 100 s ahead
    assert facts.clock_offset_seconds == pytest.approx(99.9, abs=1e-6)
    assert facts.clock_offset_error_seconds == pytest.approx(0.1, abs=1e-6)


def test_time_spent_on_looking_for_python_is_counted_in_full_steps() -> None:
    assert probe.seconds_since("100.00", "100.35 12.0\n") == pytest.approx(0.34)
    assert probe.seconds_since("100.00", "100.00 12.0\n") == 0
    assert probe.seconds_since("", "100.00 12.0\n") == 0
    assert probe.seconds_since("100.00", "") == 0


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"python_version": "3.9.6"}, "/usr/bin/python3 is 3.9.6, and 3.11 is needed", "asgibench_python"),
        ({"libc": "musl"}, "built on musl", "asgibench_python"),
        ({"libc": ""}, "an unknown C library", "asgibench_python"),
        ({"system": "Windows", "release": "10"}, "Windows is not supported", "WSL"),
        ({"system": "MSYS_NT-10.0"}, "Windows is not supported", "WSL"),
        ({"system": "FreeBSD", "release": "14.1"}, "FreeBSD 14.1 is not supported", "Linux or macOS"),
        ({"architecture": "riscv64"}, "riscv64 is not supported", "x86-64 or arm64"),
        ({"pointer_bits": 32}, "32-bit Python", "asgibench_python"),
        ({"workdir_writable": False}, "ubuntu can't write to /home/ubuntu/.local", "asgibench_workdir"),
        ({"workdir_noexec": True}, "mounted noexec", "asgibench_workdir"),
        ({"workdir": "~nobody/x"}, "~nobody/x is not to be found", "asgibench_workdir"),
        ({"workdir": "/home/ubuntu"}, "the home of ubuntu lies in asgibench_workdir", "of its own"),
        ({"workdir": "/home"}, "the home of ubuntu lies in asgibench_workdir", "of its own"),
        ({"cores_total": "many"}, "can't be read", "report"),
    ],
)
def test_unsuitable_host_is_named_with_its_remedy(changes: dict[str, Any], message: str, remedy: str) -> None:
    with pytest.raises(HostUnsuitable, match=re.escape(message)) as caught:
        parsed({**LINUX, **changes})
    assert caught.value.message.startswith("box: ")
    assert remedy in caught.value.remedy


def test_cores_that_the_host_lacks_are_an_error() -> None:
    assert parsed(LINUX, Host(name="box", groups=(), cores=(2, 3))).cores_total == 4
    with pytest.raises(HostUnsuitable, match="asgibench_cores names core 4, and the host has 4"):
        parsed(LINUX, Host(name="box", groups=(), cores=(3, 4)))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"", "no output"),
        (b"This account is currently not available.\n", "This account is currently not available"),
        (b"'sh' is not recognized as an internal or external command\r\n", "Windows"),
        (b'{"asgibench_probe": 1, "python_ver', "its facts could not be read"),
    ],
)
def test_output_without_facts_is_shown(output: bytes, message: str) -> None:
    with pytest.raises(HostUnsuitable, match=re.escape(message)):
        parse_facts(HOST, output, sent_at=0.0, received_at=1.0)


def test_newer_python_beside_an_old_python3_is_found(tmp_path: Path) -> None:
    old_python(tmp_path / "python3", "3.9.6")
    (tmp_path / "python3.12").symlink_to(sys.executable)
    facts = find(HOST, tmp_path)
    assert facts.python_version == platform.python_version()


def test_python_in_the_users_own_folder_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".local" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3.13").symlink_to(sys.executable)
    program(tmp_path / "python3", "exit 1")  # Apple's placeholder
    assert find(HOST, tmp_path).python_version == platform.python_version()


def test_only_old_pythons_are_a_clear_error(tmp_path: Path) -> None:
    old = old_python(tmp_path / "python3", "3.6.8")
    shadowed = old_python(tmp_path / "python3.11", "3.6.9")
    for name in ("python3.12", "python3.13", "python3.14"):
        program(tmp_path / name, "exit 1")
    with pytest.raises(HostUnsuitable, match=re.escape(f"{old} is 3.6.8, and 3.11 is needed")):
        find(HOST, tmp_path)
    assert shadowed.exists()


def test_named_python_is_the_only_one_that_is_tried(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    named = Host(name="box", groups=(), connection="local", python=str(tmp_path / "my python"))
    with pytest.raises(HostUnsuitable, match="my python") as caught:
        find(named, tmp_path)
    assert "asgibench_python" in caught.value.remedy
    (tmp_path / "my python").symlink_to(sys.executable)
    assert find(named, tmp_path).python_version == platform.python_version()


def test_tilde_in_the_named_python_is_the_home_there(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine").symlink_to(sys.executable)
    host = Host(name="box", groups=(), connection="local", python="~/mine")
    assert find(host, tmp_path).python_version == platform.python_version()


def test_search_survives_every_login_shell() -> None:
    assert not set(FIND_PYTHON) & set("'\\!\n")
    assert shlex.split(shlex.join(facts_command(HOST))) == list(facts_command(HOST))


def test_probe_parses_on_python_3_6_and_stops_there_with_its_version() -> None:
    tree = ast.parse(bootstrap.script("probe"), feature_version=(3, 6))
    assert bootstrap.script("probe").isascii()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            named = [*arguments.args, *arguments.posonlyargs, *arguments.kwonlyargs, arguments.vararg]
            annotations = [one.annotation for one in named if one is not None]
            assert all(isinstance(one, ast.Constant) for one in (*annotations, node.returns)), node.name
    answer = probe.main([], (3, 6, 8), "Linux")
    assert answer["python_version"] == "3.6.8"
    assert "memory_bytes" not in answer


def test_probe_prints_what_the_controller_reads() -> None:
    """It is a single script, which can't import the type."""
    answer = probe.main([], sys.version_info[:3], platform.system())
    assert answer.pop("asgibench_probe") == 1
    assert set(answer) == {field.name for field in dataclasses.fields(ProbeAnswer)}
    msgspec.convert(answer, ProbeAnswer)


def test_probe_on_windows_says_only_what_it_is() -> None:
    answer = probe.main([], (3, 12, 0), "Windows")
    assert set(answer) == {"asgibench_probe", "python_version", "python_path", "system"}


def test_the_threads_of_each_physical_core(tmp_path: Path) -> None:
    def cpus(*listed: str) -> Path:
        for number, text in enumerate(listed):
            folder = tmp_path / f"cpu{number}" / "topology"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "thread_siblings_list").write_text(f"{text}\n")
        return tmp_path

    assert probe.thread_siblings(cpus("0,2", "1,3", "0,2", "1,3"), [0, 1, 2, 3]) == [[0, 2], [1, 3]]
    assert probe.thread_siblings(cpus("0-1", "0-1", "2-3", "2-3"), [0, 1, 2, 3]) == [[0, 1], [2, 3]]
    assert probe.thread_siblings(tmp_path, [0, 2, 3]) == [[0], [2, 3]]
    assert probe.thread_siblings(tmp_path, [0, 7]) == []


def test_whether_a_hypervisor_is_below() -> None:
    assert probe.is_virtual_by({"flags": "fpu hypervisor lahf_lm"}, False) is True
    assert probe.is_virtual_by({"flags": "fpu lahf_lm"}, False) is False
    assert probe.is_virtual_by({"Features": "fp asimd"}, False) is None
    assert probe.is_virtual_by({"Features": "fp asimd"}, True) is True
