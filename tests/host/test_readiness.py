"""From what the hosts are to what stops or limits a plan; the links' part in judging a run; leftovers."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.environment.hosts import HostFacts
from bench.environment.links import LINKS_VERSION, Link, Links, known_links, link_use, save_links
from bench.environment.ports import PortProblem
from bench.environment.readiness import (
    Demand,
    Finding,
    link_findings,
    load_findings,
    port_finding,
    response_bytes,
    server_findings,
    unreached_finding,
)
from bench.errors import HostsNotReady, LeftBehind, PortTaken
from bench.wire.condition import Condition
from bench.wire.guard import PortState
from bench.wire.leftovers import LeftoverMarks, Leftovers
from bench.wire.links import LinkMeasured, PacketRate, Transfer
from loadgen.traffic import answer_bytes, traffic_of
from remote.check import not_ready
from remote.clean import clean_hosts
from remote.onhost import link_probe
from remote.onhost.bootstrap import leftovers
from remote.provision.ship import shipped_program
from reports.terminal.findings import finding_lines
from tests.helpers.endpoints import ENDPOINTS, LONGBODY
from tests.helpers.program import LOCAL_INVENTORY, ROOT, work_folder

pytestmark = pytest.mark.alone

FACTS = HostFacts(
    host="box", system="Linux", release="6.8", distribution="Debian GNU/Linux 12", architecture="x86_64",
    cpu_model="EPYC", cores_total=4, cores_usable=(0, 1, 2, 3), memory_bytes=2**34, python_version="3.11.2",
    python_path="/usr/bin/python3", python_implementation="CPython", libc="glibc 2.36", macos_version="",
    user="bench", is_root=False, home="/home/bench", workdir="/home/bench/w", disk_free_bytes=10**11,
    boot_id="b1", cpu_frequency_scaling=None, open_files_limit=1024, clock_offset_seconds=0.0,
    clock_offset_error_seconds=0.001, can_pin=True,
)  # fmt: skip
CALM = Condition(
    open_files_soft=1024, open_files_hard=4096, listen_queue=4096, ephemeral_ports=(32768, 60999),
    on_battery=None, low_power=None, sleeps_after_minutes=None, cpu_speed_limit_percent=None,
    throttle_count=None, load_1min=0.1, interfaces={"eth0": 10**9}, workdir_bytes=0,
)  # fmt: skip
DEMAND = Demand(connections=50, backlog=2048, response_bytes={"shortbody": 167, "longbody": 430_160})
GIGABIT = Transfer(125e6, 0.1, 1.0)
MILLISECOND = 0.001


def states(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {one.what: one.state for one in findings if one.state != "ok"}


def links(*downloads: Transfer | None, together: Transfer | None = None) -> Links:
    hosts = {f"load-{n}": Link("b", one, None, n * MILLISECOND) for n, one in enumerate(downloads, 1)}
    return Links(LINKS_VERSION, "lab", "2026-11-24", "box", "b1", "192.0.2.1", hosts, together)


# ---------------------------------------------------------------- findings


def test_a_calm_host_has_nothing_against_a_plan() -> None:
    assert states(server_findings(FACTS, CALM, DEMAND)) == {}
    assert states(load_findings(FACTS, CALM, DEMAND, 2)) == {}


def test_what_binds_stops_with_a_remedy() -> None:
    many = msgspec.structs.replace(DEMAND, connections=5_000)
    assert states(server_findings(FACTS, CALM, many)) == {"open files": "stops"}
    # The engine raises its own limit as far as it may.
    assert states(load_findings(FACTS, CALM, many, 1)) == {"open files": "stops"}
    assert states(load_findings(FACTS, CALM, many, 2)) == {}
    narrow = dataclasses.replace(CALM, ephemeral_ports=(40_000, 40_010))
    assert states(load_findings(FACTS, narrow, DEMAND, 2)) == {"ports": "stops"}
    full = dataclasses.replace(FACTS, disk_free_bytes=200_000_000)
    assert states(server_findings(full, CALM, DEMAND)) == {"disk": "stops"}
    there = dataclasses.replace(CALM, workdir_bytes=500_000_000)
    assert states(server_findings(full, there, DEMAND)) == {}
    late = dataclasses.replace(FACTS, clock_offset_error_seconds=0.7)
    assert states(server_findings(late, CALM, DEMAND)) == {"clock": "stops"}
    for one in (*server_findings(late, CALM, many), *load_findings(full, narrow, many, 1)):
        assert one.state == "ok" or one.remedy


def test_what_slows_a_host_limits_and_does_not_stop() -> None:
    laptop = dataclasses.replace(
        CALM, on_battery=True, low_power=True, sleeps_after_minutes=10, cpu_speed_limit_percent=62,
        throttle_count=3, load_1min=2.0, listen_queue=16,
    )  # fmt: skip
    facts = dataclasses.replace(FACTS, cpu_frequency_scaling="powersave", clock_offset_error_seconds=0.1)
    found = server_findings(facts, laptop, DEMAND)
    assert set(states(found).values()) == {"limits"}
    assert set(states(found)) == {"frequency", "power", "heat", "sleep", "cores", "listen queue", "clock"}
    assert all(one.remedy for one in found if one.state == "limits")


def test_a_gigabit_link_carries_290_longbody_a_second() -> None:
    assert answer_bytes([traffic_of(LONGBODY, 1)]) == {"longbody": response_bytes(LONGBODY, 430_000)}
    (found,) = link_findings(links(GIGABIT), DEMAND)
    assert found.state == "limits"
    assert "125.0 MB/s (1,000 Mbit/s)" in found.text
    assert "291 longbody a second" in found.text
    assert "round trip 1.000 ms" in found.text


def test_an_answer_has_its_headers() -> None:
    found = answer_bytes(traffic_of(one, 1) for one in ENDPOINTS)
    assert 22 + 100 < found["shortbody"] < 22 + 200
    assert 700 < found["orders"] < 2_000


def test_a_link_that_outran_the_probe_is_no_limit() -> None:
    (found,) = link_findings(links(Transfer(2e9, 0.97, 1.0)), DEMAND)
    assert found.state == "ok"
    assert "at least 2,000.0 MB/s" in found.text


def test_a_rate_that_no_link_carries_stops_the_plan() -> None:
    rated = msgspec.structs.replace(DEMAND, rates=(250.0, 400.0))
    stops = [one for one in link_findings(links(GIGABIT), rated) if one.state == "stops"]
    assert [one.text for one in stops] == ["400 longbody/s are 172 MB/s, and the link carries 125.0"]
    # A load on the server's own host has no link.
    assert link_findings(links(), rated) == ()
    # Two load hosts behind one link of the server's.
    both = links(GIGABIT, GIGABIT, together=GIGABIT)
    assert [one.state for one in link_findings(both, rated)].count("stops") == 1


def port_problem(errno_name: str) -> PortProblem | None:
    return PortProblem.of(PortState(8000, errno_name, "x", is_answered=False))


def test_ports_and_walls_say_what_to_do() -> None:
    taken = port_finding("box", "192.0.2.1", 8000, port_problem("EADDRINUSE"))
    assert taken.state == "stops"
    assert "--port" in taken.remedy
    assert "asgibench_bind" in port_finding("box", "192.0.2.9", 8000, port_problem("EADDRNOTAVAIL")).remedy
    assert "1023" in port_finding("box", "192.0.2.9", 80, port_problem("EACCES")).remedy
    for problem in ("refused", "timeout", "stranger", "unreachable: No route to host"):
        assert unreached_finding("load", "192.0.2.1", 8000, problem).remedy
    assert isinstance(not_ready((taken,)), PortTaken)
    both = not_ready((taken, unreached_finding("load", "192.0.2.1", 8000, "timeout")))
    assert isinstance(both, HostsNotReady)
    assert both.exit_code == 19
    assert both.detail.count("\n") == 1


def test_findings_are_grouped_and_fit_the_terminal() -> None:
    found = (*server_findings(FACTS, CALM, DEMAND), *link_findings(links(GIGABIT), DEMAND))
    found += (port_finding("box", "192.0.2.1", 8000, port_problem("EADDRINUSE")),)
    for columns in (50, 80, 160):
        lines = finding_lines(found, columns)
        assert all(len(line) <= columns for line in lines), columns
        heads = [line for line in lines if line and not line.startswith(" ")]
        assert heads == ["Stops the plan", "Limits it, or makes its figures shaky", "Well"]
    assert len(finding_lines(found, None)) == len(found) + 3 + 2


# ---------------------------------------------------------------- links kept, and judged by


def test_links_are_kept_and_hold_for_the_same_machines_only(tmp_path: Path) -> None:
    saved = links(GIGABIT)
    path = save_links(tmp_path, saved)
    found = known_links(path)
    assert found == saved
    assert found.is_of("b1", "192.0.2.1", {"load-1": "b"})
    assert not found.is_of("b2", "192.0.2.1", {"load-1": "b"})
    assert not found.is_of("b1", "192.0.2.2", {"load-1": "b"})
    assert not found.is_of("b1", "192.0.2.1", {"load-1": "b", "load-2": "b"})
    path.write_text("{}")
    assert known_links(path) is None
    assert known_links(tmp_path / "none") is None


def test_the_fullest_link_is_the_one_that_is_judged() -> None:
    slow = Transfer(10e6, 0.1, 1.0)
    two = links(GIGABIT, slow, together=Transfer(130e6, 0.1, 1.0))
    use = link_use(two, {"load-1": 60e6, "load-2": 9.5e6})
    assert (use.bytes_per_second, use.link_bytes_per_second) == (9.5e6, 10e6)
    assert use.round_trip_seconds == MILLISECOND
    shared = links(GIGABIT, GIGABIT, together=GIGABIT)
    use = link_use(shared, {"load-1": 60e6, "load-2": 60e6})
    assert (use.bytes_per_second, use.link_bytes_per_second) == (120e6, 125e6)
    unknown = link_use(links(Transfer(2e9, 0.9, 1.0)), {"load-1": 60e6})
    assert (unknown.bytes_per_second, unknown.link_bytes_per_second) == (60e6, None)
    assert link_use(None, {"load-1": 1.0, "load-2": 2.0}).bytes_per_second == 3.0


# ---------------------------------------------------------------- the probe, for real on loopback


def is_closed(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def probe_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setenv("ASGIBENCH_LINK_TOKEN", "right")
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = int(chosen.getsockname()[1])
    serving = threading.Thread(target=link_probe.serve, args=("127.0.0.1", port, 4.0, "right"))
    serving.start()
    deadline = time.monotonic() + 3
    while is_closed(port) and time.monotonic() < deadline:
        time.sleep(0.01)
    yield port
    serving.join()


def measured(port: int, token: str = "right") -> LinkMeasured:
    argv, env = shipped_program(sys.executable, str(ROOT), "remote.onhost.link_probe")
    done = subprocess.run(
        [*argv, "measure", "--address", "127.0.0.1", "--port", str(port), "--seconds", "0.2", "--upload"],
        env={**os.environ, **env, "ASGIBENCH_LINK_TOKEN": token},
        capture_output=True,
        check=True,
        timeout=30,
    )
    return msgspec.json.decode(done.stdout, type=LinkMeasured)


def test_the_probe_measures_both_ways_and_serves_no_stranger(probe_port: int) -> None:
    found = measured(probe_port)
    assert found.problem == ""
    for transfer in (found.download, found.upload):
        assert transfer is not None
        # Loopback: as fast as the probe is, which is what it has to say.
        assert transfer.bytes_per_second > 50e6
        assert transfer.seconds == 0.2
    assert found.round_trip_seconds is not None
    assert 0 < found.round_trip_seconds < 0.05
    assert found.packets is not None
    assert found.packets.packets_per_second > 1_000
    assert found.packets.is_lower_bound, "loopback carries more than the probe can send"
    assert measured(probe_port, token="wrong").problem == "stranger"


def test_a_closed_port_is_told_and_not_raised() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert measured(bound.getsockname()[1]).problem == "refused"


def test_packets_are_of_one_link_and_known_where_the_probe_was_not_the_limit() -> None:
    def carries(*found: PacketRate) -> float | None:
        hosts = {f"load-{n}": Link("b", None, None, None, None, one) for n, one in enumerate(found, 1)}
        return link_use(Links(LINKS_VERSION, "lab", "t", "box", "b", "a", hosts), {}).link_packets_per_second

    free, busy = PacketRate(5_000.0, 0.2, 1.0), PacketRate(50_000.0, 0.9, 1.0)
    assert carries(free) == 5_000.0
    assert carries(busy) is None
    assert carries(free, free) is None, "what several hosts share isn't known"


def test_bytes_are_counted_after_the_run_up_only() -> None:
    count = link_probe.Count(1.0)
    count.add(10**9, 100.0)  # a shaper's bucket
    for step in range(1, 200):
        count.add(1_000, 100.0 + step / 100)
    assert count.bytes_per_second() == pytest.approx(100_000, rel=0.02)


# ---------------------------------------------------------------- leftovers


def test_leftovers_prints_what_the_controller_reads(tmp_path: Path) -> None:
    """It is a single script, which can't import the types."""
    marks = leftovers.main(["marks", str(tmp_path)])
    assert list(marks) == [field.name for field in dataclasses.fields(LeftoverMarks)]
    msgspec.convert(marks, LeftoverMarks)
    looked = leftovers.main(["look", str(tmp_path / "none"), json.dumps(marks)])
    assert list(looked) == [field.name for field in dataclasses.fields(Leftovers)]
    msgspec.convert(looked, Leftovers)


def test_a_folder_with_a_longer_name_is_not_ours() -> None:
    ours = leftovers.within("/var/lib/asgibench")
    for text in ("/var/lib/asgibench", "a=/var/lib/asgibench/x", "/var/lib/asgibench:/usr/bin"):
        assert ours.search(text), text
    for text in ("/var/lib/asgibench-controller/x", "/var/lib/asgibench2", "/var/lib/asgibench.old"):
        assert not ours.search(text), text


def test_shared_memory_is_read_of_both_systems() -> None:
    """The headings of Linux's /proc/sysvipc/shm and of macOS's ipcs(1)."""
    linux = (
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid\n"
        "   5489335         32   600                    56  4711  4711      6   999   999\n"
    )
    macos = (
        "IPC status from <running system> as of Tue Nov 24 11:00:00 UTC 2026\n"
        "T     ID     KEY        MODE       OWNER    GROUP\nShared Memory:\n"
        "m  65536 0x0052e2c1 --rw-------      bench    staff\n"
    )
    assert list(leftovers.linux_segments(linux)) == [32]
    assert list(leftovers.macos_segments(macos)) == [65536]


def test_processes_of_a_listing_are_ours_by_command_and_environment() -> None:
    listing = (
        "    1     0 /sbin/launchd\n"
        "  101     1 /Users/b/w/env/bin/python -m locust HOME=/Users/b\n"
        "  102     1 sleep 60 ASGIBENCH_COUNTS=/Users/b/w/server/counts\n"
        "  103     1 -zsh PWD=/Users/b/w HOME=/Users/b\n"
        f"  {os.getpid()}     1 python - look /Users/b/w\n"
    )
    found = dict(leftovers.listed_processes(leftovers.within("/Users/b/w"), listing))
    assert set(found) == {101, 102}


def test_hosts_clean_says_nothing_is_left_only_when_nothing_is(tmp_path: Path) -> None:
    said: list[str] = []
    with work_folder() as folder:
        workdir = folder / "work"
        workdir.mkdir()
        (workdir / ".asgibench").touch()
        inventory = tmp_path / "here.yml"
        inventory.write_text(LOCAL_INVENTORY.format(workdir=workdir))
        stray = subprocess.Popen(["sleep", "123"], cwd=workdir, start_new_session=True)
        try:
            with pytest.raises(LeftBehind) as caught:
                clean_hosts(ROOT, str(inventory), say=said.append)
            assert caught.value.exit_code == 21
            assert f"process {stray.pid} (sleep 123: works in {workdir}" in caught.value.detail
            assert "left behind" in said.pop()
            assert not workdir.exists()
        finally:
            stray.kill()
            stray.wait()
        clean_hosts(ROOT, str(inventory), say=said.append)
        assert f"{workdir} is gone, nothing left" in said.pop()
        assert not workdir.exists()
