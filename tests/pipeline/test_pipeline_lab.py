"""The whole pipeline over SSH, on a lab that the tests make: one server host and two load hosts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.judge.judge import MACHINE_REASONS
from bench.wire.links import PROBE_AT_LIMIT
from inventory.read import read_inventory
from remote.ssh.connect import connect
from remote.ssh.hop import host_keys_of
from tests.helpers.own_lab import PORT, USER_ID, Lab, own_lab
from tests.helpers.program import BRIEF_PROFILE, ROOT, Finished, command, ended_well, run, run_results
from tests.helpers.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.pipeline, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with own_lab(folder, "pipe", loadgens=2) as (spec, hosts):
        yield Lab(folder, spec, hosts)


@pytest.fixture(scope="module")
def whole(lab: Lab) -> Finished:
    return run(*lab.bench("--name", "whole"))


def test_a_bare_lab_is_provisioned_and_measured(whole: Finished, lab: Lab) -> None:
    assert ended_well(whole, lab.results / "whole"), whole.stderr
    assert Path(whole.last_line) == lab.results / "whole" / "report.html"
    assert len(run_results(lab.results / "whole")) == 9
    assert all(f"{name}: provisioned" in whole.stderr for name in lab.hosts)


def test_the_work_went_through_sshd(whole: Finished, lab: Lab) -> None:
    for name in lab.hosts:
        controller = lab.spec.subnet.replace(".0/24", ".1")
        assert f"Accepted publickey for bench from {controller} " in lab.ssh_log(name)
    hosts = msgspec.json.decode((lab.results / "whole" / "hosts.json").read_bytes())
    assert set(hosts["facts"]) == set(lab.hosts)
    assert {facts["user"] for facts in hosts["facts"].values()} == {"bench"}


def test_both_load_hosts_carried_load_and_all_counts_agree(whole: Finished, lab: Lab) -> None:
    for one in run_results(lab.results / "whole"):
        assert {worker["host"] for worker in one["load_workers"]} == {"pipe-load-1", "pipe-load-2"}
        assert all(worker["requests"] > 0 for worker in one["load_workers"])
        counts = one["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 0, one["run_id"]
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"], one["run_id"]


def test_the_interfaces_of_every_host_are_watched(whole: Finished, lab: Lab) -> None:
    for one in run_results(lab.results / "whole"):
        if one["cell"]["endpoint"] == "longbody":
            received = sum(
                one["network"][name]["received_bytes_per_second"] for name in lab.hosts if "load" in name
            )
            assert received > 430_000 * one["requests_per_second"] * 0.5


def test_a_run_costs_at_most_two_seconds_beside_its_load(whole: Finished, lab: Lab) -> None:
    overheads = sorted(one["timing"]["overhead_seconds"] for one in run_results(lab.results / "whole"))
    assert overheads[len(overheads) // 2] < 2.0, overheads


def test_nothing_is_left_on_any_host(whole: Finished, lab: Lab) -> None:
    for name in lab.hosts:
        until(lambda name=name: lab.processes_on(name) == [], 10)  # type: ignore[misc]


def test_a_second_time_nothing_is_provisioned_and_the_first_request_comes_soon(
    whole: Finished, lab: Lab
) -> None:
    began = time.time()
    again = run(*lab.bench("--name", "again", "--servers", "uvicorn", "--endpoints", "shortbody"))
    assert ended_well(again, lab.results / "again"), again.stderr
    assert "provisioned in" not in again.stderr
    (one,) = run_results(lab.results / "again")
    plan_made = (lab.results / "again" / "plan.json").stat().st_mtime
    assert plan_made - began < 8
    assert one["counts"]["engine"] > 0


def test_poisson_arrivals_keep_their_rate_over_two_load_hosts(whole: Finished, lab: Lab) -> None:
    words = ("--servers", "uvicorn", "--endpoints", "shortbody", "--rate", "400", "--arrivals", "poisson")
    done = run(*lab.bench("--name", "poisson", *words))
    assert ended_well(done, lab.results / "poisson"), done.stderr
    one = next(one for one in run_results(lab.results / "poisson") if one["cell"]["rate_per_second"])
    assert {worker["host"] for worker in one["load_workers"]} == {"pipe-load-1", "pipe-load-2"}
    # 800 arrivals in the window: five times their standard deviation.
    assert abs(one["open_loop"]["achieved_rate_per_second"] - 400) < 5 * 800**0.5 / 2
    counts = one["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"] > 0
    assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"]


def test_a_locustfile_of_the_users_own_is_run_by_every_load_host(whole: Finished, lab: Lab) -> None:
    example = ROOT / "loadgen" / "examples" / "fast_http_user.py"
    done = run(*lab.bench("--name", "own", "--servers", "uvicorn", "--locustfile", str(example)))
    assert done.status in (0, 60), done.stderr
    (one,) = run_results(lab.results / "own")
    # The load hosts share a core here, and so slow a client may be the limit.
    void = {reason["code"] for reason in one["reasons"] if reason["invalidates"]}
    assert void <= MACHINE_REASONS | {"LoadWorkerAtLimit"}
    assert (done.status == 60) == bool(void)
    assert {worker["host"] for worker in one["load_workers"] if worker["requests"]} == {
        "pipe-load-1",
        "pipe-load-2",
    }
    counts = one["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"] > 0
    assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"]


def test_load_hosts_without_h2load_are_sent_it_and_drive_it(whole: Finished, lab: Lab) -> None:
    words = ("--servers", "uvicorn", "--endpoints", "shortbody", "--clients", "h2load")
    done = run(*lab.bench("--name", "h2load", *words))
    assert ended_well(done, lab.results / "h2load"), done.stderr
    (one,) = run_results(lab.results / "h2load")
    assert {worker["host"] for worker in one["load_workers"] if worker["requests"]} == {
        "pipe-load-1",
        "pipe-load-2",
    }
    counts = one["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"] > 0
    assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"]
    versions = msgspec.json.decode((lab.results / "h2load" / "hosts.json").read_bytes())["versions"]
    for name in ("pipe-load-1", "pipe-load-2"):
        assert "Debian's nghttp2-client_" in versions[name]["programs"]["h2load"]
        sent = lab.hosts[name].root / "home/bench/.local/share/asgibench/debian"
        (folder,) = sent.iterdir()
        assert (folder / "bin/h2load").exists()
        # What the host has by itself is not sent: OpenSSL came with its Python.
        libraries = {path.name for path in (folder / "lib").iterdir()}
        assert "libnghttp2.so.14" in libraries
        assert not any(name.startswith(("libssl", "libc.so")) for name in libraries)
    # The load hosts are one machine with the same cores, which the report says.
    assert "pipe-load-1, pipe-load-2 are one machine and have the same cores" in done.stderr


def test_a_lost_load_worker_voids_the_run_and_it_is_run_again(whole: Finished, lab: Lab) -> None:
    words = lab.bench("--name", "lost", "--servers", "uvicorn", "--endpoints", "shortbody")
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        # The server starts once for the check of its answers; the run folder's agent file says a run is on.
        samples = lab.hosts["pipe-server"].root / "home/bench/.local/share/asgibench/agent"
        until(lambda: bool(list(samples.glob("001*.jsonl"))))
        victims = [
            child for child in lab.children("pipe-load-1") if {"locust", "--worker"} <= set(child.cmdline())
        ]
        assert victims
        for victim in victims:
            victim.kill()
        _, stderr = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert ended_well(Finished(process.returncode, "", stderr), lab.results / "lost"), stderr
    assert "pipe-load-1/0" in stderr
    assert "once more" in stderr
    (one,) = run_results(lab.results / "lost")
    assert one["attempt"] == 2
    assert {worker["host"] for worker in one["load_workers"]} == {"pipe-load-1", "pipe-load-2"}


def test_a_connection_that_breaks_in_mid_run_is_taken_up_again(whole: Finished, lab: Lab) -> None:
    words = lab.bench("--name", "broken", "--servers", "uvicorn", "--endpoints", "shortbody")
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        samples = lab.hosts["pipe-server"].root / "home/bench/.local/share/asgibench/agent"
        until(lambda: bool(list(samples.glob("001*.jsonl"))))
        # The sshd process of the server's connection, not the listener.
        for child in lab.children("pipe-server"):
            if child.name() == "sshd" and child.uids().real == USER_ID:
                child.kill()
        _, stderr = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert ended_well(Finished(process.returncode, "", stderr), lab.results / "broken"), stderr
    assert "once more" in stderr
    (one,) = run_results(lab.results / "broken")
    assert one["attempt"] == 2


def test_the_load_moves_to_the_servers_own_host_and_back(lab: Lab) -> None:
    ways = 'load_workers_in_all = 3\nclients = ["http_user", "engine"]\nload_on = ["server", "loadgen"]\n'
    (lab.folder / "own.toml").write_text(BRIEF_PROFILE + ways)
    done = run(*lab.bench("--name", "moved", "--servers", "uvicorn", "--endpoints", "shortbody"))
    (lab.folder / "own.toml").write_text(BRIEF_PROFILE)
    assert ended_well(done, lab.results / "moved"), done.stderr
    made = {
        (one["cell"]["client"], one["cell"]["load_on"]): one for one in run_results(lab.results / "moved")
    }
    assert len(made) == 4
    for (_, load_on), one in made.items():
        hosts = [worker["host"] for worker in one["load_workers"]]
        assert sorted(hosts) == sorted(
            ["pipe-server"] * 3 if load_on == "server" else ["pipe-load-1"] * 2 + ["pipe-load-2"]
        )
        assert one["counts"]["engine"] == one["counts"]["locust"] == one["counts"]["spool"] > 0
    assert lab.processes_on("pipe-server") == lab.processes_on("pipe-load-1") == []


def test_an_unknown_host_key_is_refused_with_the_command_that_pins_it(lab: Lab) -> None:
    elsewhere = lab.folder / "untrusted"
    elsewhere.mkdir()
    inventory = elsewhere / "lab.yml"
    inventory.write_text(lab.inventory.read_text())
    done = run(*lab.bench("--name", "unknown", inventory=inventory), env={"HOME": str(elsewhere)})
    assert done.status == 12, done.stderr
    assert "hosts.trust" in done.stderr
    assert "SHA256:" in done.stderr
    assert not (lab.results / "unknown").exists()

    trusted = run("hosts.trust", "--hosts", str(inventory), "--yes", env={"HOME": str(elsewhere)})
    assert trusted.status == 0, trusted.stderr
    words = ("--hosts", str(inventory), "--results", str(elsewhere))
    checked = run("hosts.check", *words, env={"HOME": str(elsewhere)})
    assert checked.status == 0, checked.stderr
    assert "pipe-load-2" in checked.stdout


def test_a_changed_host_key_is_refused(lab: Lab) -> None:
    elsewhere = lab.folder / "changed"
    elsewhere.mkdir()
    lines = (lab.folder / "known_hosts").read_text().splitlines()
    fields = [line.split() for line in lines]
    # Each host is given its neighbour's key.
    swapped = [[own[0], *other[1:]] for own, other in zip(fields, fields[1:] + fields[:1], strict=True)]
    (elsewhere / "known_hosts").write_text("".join(" ".join(words) + "\n" for words in swapped))
    inventory = elsewhere / "lab.yml"
    inventory.write_text(lab.inventory.read_text())
    done = run(*lab.bench("--name", "changed", inventory=inventory), env={"HOME": str(elsewhere)})
    assert done.status == 12, done.stderr


def test_a_wrong_key_a_closed_port_and_a_bad_name_are_told_apart(lab: Lab) -> None:
    load = f"ansible_host: {lab.hosts['pipe-load-1'].spec.address}"
    for change, status, said in (
        (("ansible_user: bench", "ansible_user: nobody-here"), 13, "refused the login"),
        ((load, f"{load}\n          ansible_port: 2222"), 11, "2222"),
    ):
        text = lab.inventory.read_text().replace('"', "")
        assert change[0] in text
        inventory = lab.folder / "wrong.yml"
        inventory.write_text(text.replace(*change))
        done = run(*lab.bench("--name", "wrong", inventory=inventory))
        assert done.status == status, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def tc(lab: Lab, host: str, *words: str) -> None:
    namespace = lab.hosts[host].spec.namespace
    subprocess.run(["ip", "netns", "exec", namespace, "tc", "qdisc", *words], check=True, capture_output=True)


@pytest.fixture
def shaped_bytes_per_second(lab: Lab) -> Iterator[float]:
    """The server's link slowed down for what it sends: 200 Mbit/s in frames of 1,514 bytes; TCP's part of it.

    The bucket holds 40 ms: this machine's own pauses are not to cost the link anything.
    """
    tc(lab, "pipe-server", "replace", "dev", "eth0", "root",
       "tbf", "rate", "200mbit", "burst", "1mb", "latency", "50ms")  # fmt: skip
    try:
        yield 25e6 * 1_448 / 1_514
    finally:
        tc(lab, "pipe-server", "delete", "dev", "eth0", "root")
        # What was measured meanwhile is of no use to other tests.
        (lab.results / "links-lab.json").unlink(missing_ok=True)


def test_the_measured_link_is_the_shaped_one_and_a_run_that_fills_it_is_judged_so(
    lab: Lab, shaped_bytes_per_second: float
) -> None:
    told = lab.folder / "check.json"
    words = ("--results", str(lab.results), "--port", PORT, "--json", str(told))
    checked = run("hosts.check", "--hosts", str(lab.inventory), *words)
    assert checked.status == 0, checked.stderr
    found = msgspec.json.decode(told.read_bytes())
    assert {host["outcome"] for name, host in found["hosts"].items() if "load" in name} == {"limits"}
    links = found["links"]
    assert set(links["hosts"]) == {"pipe-load-1", "pipe-load-2"}
    downloads = [link["download"] for link in (*links["hosts"].values(), {"download": links["together"]})]
    for one in downloads:
        assert one["bytes_per_second"] == pytest.approx(shaped_bytes_per_second, rel=0.1)
        assert f"{one['bytes_per_second'] / 430_160:,.0f} longbody" in checked.stdout
    # The other way isn't shaped, which shows that it is the way of the answers that was measured.
    assert all(
        link["upload"]["bytes_per_second"] > 2 * shaped_bytes_per_second for link in links["hosts"].values()
    )
    assert all(0 < link["round_trip_seconds"] < 0.05 for link in links["hosts"].values())

    # A benchmark of its own accord, briefly, where nothing is known yet.
    (lab.results / "links-lab.json").unlink()
    words = ("--name", "narrow", "--servers", "uvicorn", "--endpoints", "longbody")
    done = run(*lab.bench(*words))
    assert done.status == 60, done.stderr
    assert "longbody a second at most" in done.stderr
    kept = msgspec.json.decode((lab.results / "narrow" / "links.json").read_bytes())
    assert kept["together"]["bytes_per_second"] == pytest.approx(shaped_bytes_per_second, rel=0.1)
    (one,) = run_results(lab.results / "narrow")
    assert one["limit"]["name"] == "network"
    assert "NetworkAtLimit" in {reason["code"] for reason in one["reasons"]}


def test_a_link_that_is_slower_in_the_run_than_in_its_probe_is_said_and_nothing_is_claimed(lab: Lab) -> None:
    """As with burst credits: the probe saw the whole link, and 80 Mbit/s are left of it."""
    told = lab.folder / "quick-link.json"
    words = ("--results", str(lab.results), "--port", PORT, "--json", str(told))
    checked = run("hosts.check", "--hosts", str(lab.inventory), *words)
    assert checked.status == 0, checked.stderr
    assert msgspec.json.decode(told.read_bytes())["links"]["together"]["bytes_per_second"] > 50e6
    words = ("--name", "slower", "--servers", "uvicorn", "--endpoints", "longbody")
    tc(lab, "pipe-server", "replace", "dev", "eth0", "root",
       "tbf", "rate", "80mbit", "burst", "100kb", "latency", "200ms")  # fmt: skip
    try:
        done = run(*lab.bench(*words))
    finally:
        tc(lab, "pipe-server", "delete", "dev", "eth0", "root")
    assert done.status in (0, 60), done.stderr
    (one,) = run_results(lab.results / "slower")
    assert one["bytes_per_second"] == pytest.approx(10e6, rel=0.15)
    assert one["limit"]["name"] == "none_found", "it was said to be latency"
    void = {reason["code"] for reason in one["reasons"] if reason["invalidates"]}
    assert void <= MACHINE_REASONS
    if not void:
        (reason,) = [reason for reason in one["reasons"] if reason["code"] == "LinkMayBeSlower"]
        assert "it may carry less in a run than the probe found" in reason["text"]


def test_a_link_that_carries_no_more_packets_is_found_by_its_probe_and_judged(lab: Lab) -> None:
    """Each packet costs as much as 8,000 bytes do: 1,000 of them a second, however small."""
    text = lab.inventory.read_text()
    inventory = lab.folder / "one.yml"
    inventory.write_text(text[: text.index("        pipe-load-2:")])
    words = ("--name", "packets", "--servers", "uvicorn", "--endpoints", "shortbody")
    tc(lab, "pipe-server", "replace", "dev", "eth0", "root", "stab", "mpu", "8000", "linklayer", "ethernet",
       "tbf", "rate", "64mbit", "burst", "100kb", "latency", "500ms")  # fmt: skip
    try:
        done = run(*lab.bench(*words, inventory=inventory))
    finally:
        tc(lab, "pipe-server", "delete", "dev", "eth0", "root")
    assert done.status in (0, 60), done.stderr
    links = msgspec.json.decode((lab.results / "packets" / "links.json").read_bytes())
    probed = links["hosts"]["pipe-load-1"]["packets"]
    assert probed["packets_per_second"] == pytest.approx(1_000, rel=0.15)
    (one,) = run_results(lab.results / "packets")
    assert one["network"]["pipe-server"]["sent_packets_per_second"] <= 1_150
    if probed["busiest_process"] >= PROBE_AT_LIMIT:
        pytest.skip("what else this machine does kept the probe from knowing")
    assert one["limit"]["name"] == "network"
    assert "PacketsAtLimit" in {reason["code"] for reason in one["reasons"]}


def test_a_load_host_that_cannot_reach_the_port_stops_the_plan_and_the_others_are_shown(lab: Lab) -> None:
    server, load = lab.hosts["pipe-server"].spec.address, lab.hosts["pipe-load-1"].spec.namespace
    route = ("ip", "-netns", load, "route")
    subprocess.run([*route, "add", "prohibit", f"{server}/32"], check=True)
    try:
        words = ("--hosts", str(lab.inventory), "--results", str(lab.results), "--port", PORT)
        checked = run("hosts.check", *words)
        done = run(*lab.bench("--name", "walled"))
    finally:
        subprocess.run([*route, "delete", "prohibit", f"{server}/32"], check=True)
    assert (checked.status, done.status) == (19, 19), checked.stderr + done.stderr
    assert f"{server}:{PORT} is not reached" in checked.stdout
    stops, _, rest = checked.stdout.partition("Well")
    assert "pipe-load-1" in stops.partition("Limits")[0]
    assert "pipe-load-2" in rest
    assert "asgibench_address" in done.stderr
    assert not (lab.results / "walled").exists()


def test_hosts_clean_names_what_it_cannot_end(whole: Finished, lab: Lab) -> None:
    """A process that nobody's guard started, in our folder."""
    inventory = read_inventory(str(lab.inventory), root=lab.folder)
    connection = connect(inventory.loadgen[0], host_keys_of(inventory))
    try:
        connection.run(
            ["sh", "-c", "cd ~/.local/share/asgibench && setsid sleep 321 >/dev/null 2>&1 </dev/null &"]
        )
        done = run("hosts.clean", "--hosts", str(lab.inventory))
    finally:
        connection.close()
    for process in lab.children("pipe-load-1"):
        if process.name() == "sleep":
            process.kill()
    assert done.status == 21, done.stderr
    assert "pipe-load-1: left behind: process " in done.stdout
    assert "sleep 321" in done.stderr
    assert done.stdout.count("nothing left") == 2


def test_hosts_clean_removes_every_trace(whole: Finished, lab: Lab) -> None:
    done = run("hosts.clean", "--hosts", str(lab.inventory))
    assert done.status == 0, done.stderr
    assert done.stdout.count("nothing left") == len(lab.hosts)
    for name, host in lab.hosts.items():
        assert not (host.root / "home/bench/.local/share/asgibench").exists(), name
        assert lab.processes_on(name) == []
