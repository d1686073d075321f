"""The lab, on this machine's own kernel: real namespaces, real sshd. Its pure parts are tested everywhere."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.errors import LabError
from inventory import lab
from inventory.lab import network
from inventory.lab.base import base_path, ensure_base
from inventory.lab.files import inventory_text, known_hosts_text
from inventory.lab.host import is_reachable
from inventory.lab.lock import locked
from inventory.lab.mirror import debian_mirror
from inventory.lab.process import is_alive, mark_process, namespace_id, pids_in_namespace, send_signal
from inventory.lab.releases import check_keyring, mirror_of, release_named, script_of
from inventory.lab.spec import CoreSplit, LabSpec, plan_hosts, split_cores
from inventory.lab.state import load_record
from inventory.lab.system import check_kernel, check_rights, missing_capabilities, mounts_below, require
from tests.helpers.waiting import until

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 20.0
KINDS = ("net", "pid", "uts", "mnt", "ipc")


# What needs no lab.


def test_the_server_host_has_the_first_half_of_the_cores() -> None:
    assert split_cores([(0,)]) == CoreSplit((0,), (0,))
    assert split_cores([(0,), (1,)]) == CoreSplit((0,), (1,))
    assert split_cores([(0, 1)]) == CoreSplit((0,), (1,))
    assert split_cores([(0, 4), (1, 5), (2, 6), (3, 7)]) == CoreSplit((0, 1, 4, 5), (2, 3, 6, 7))
    assert split_cores([(0,), (1,), (2,)]) == CoreSplit((0,), (1, 2))


def test_hosts_get_ipv6_where_the_kernel_has_it(tmp_path: Path) -> None:
    listed = tmp_path / "if_inet6"
    assert not network.has_ipv6(listed)
    listed.touch()
    assert not network.has_ipv6(listed)
    listed.write_text("00000000000000000000000000000001 01 80 10 80       lo\n")
    assert network.has_ipv6(listed)


def test_a_host_keeps_its_address_whatever_the_number_of_hosts() -> None:
    two, three = plan_hosts(LabSpec(loadgens=2)), plan_hosts(LabSpec(loadgens=3))
    assert three[:3] == two
    assert [host.name for host in three] == ["lab-server", "lab-load-1", "lab-load-2", "lab-load-3"]
    assert [host.group for host in two] == ["server", "loadgen", "loadgen"]
    assert two[0].address == "198.18.0.10"
    assert two[0].address6 == "fda5:6b00:c612::a"
    with_database = plan_hosts(LabSpec(loadgens=2, database=True))
    assert with_database[:3] == two
    assert (with_database[3].name, with_database[3].group) == ("lab-database", "database")
    assert with_database[3].address == "198.18.0.9"


@pytest.mark.parametrize(
    "spec",
    [
        LabSpec(loadgens=0),
        LabSpec(loadgens=500),
        LabSpec(subnet="198.18.0.0"),
        LabSpec(subnet="198.18.0.0/29"),
        LabSpec(subnet="198.18.0.1/24"),
        LabSpec(subnet="no network"),
        LabSpec(bridge="a-name-too-long-for-linux"),
        LabSpec(bridge=""),
        LabSpec(prefix="../lab"),
        LabSpec(releases=()),
        LabSpec(releases=("bookworm", "buster")),
    ],
    ids=str,
)
def test_a_spec_that_cannot_be_is_refused_with_a_remedy(spec: LabSpec) -> None:
    with pytest.raises(LabError) as caught:
        spec.check()
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("platform", "is_root", "status", "said"),
    [
        ("darwin", True, "", "need Linux"),
        ("linux", False, "CapEff:\t000001ffffffffff\n", "needs root"),
        ("linux", True, "CapEff:\t00000000a80425fb\n", "CAP_SYS_ADMIN"),
    ],
)
def test_a_system_that_cannot_is_told_so(platform: str, is_root: bool, status: str, said: str) -> None:
    with pytest.raises(LabError, match=said) as caught:
        check_rights(platform=platform, is_root=is_root, process_status=status)
    assert caught.value.remedy
    assert caught.value.exit_code == 70


def test_a_kernel_without_namespaces_is_told_so(tmp_path: Path) -> None:
    for name in ("ipc", "mnt", "net", "uts"):
        (tmp_path / name).touch()
    with pytest.raises(LabError, match="no pid namespaces"):
        check_kernel(tmp_path)


def test_full_rights_are_enough() -> None:
    status = "Name:\tx\nCapEff:\t000001ffffffffff\n"
    check_rights(platform="linux", is_root=True, process_status=status)
    assert missing_capabilities(status) == ()


DEBIAN = 'ID=debian\nVERSION_CODENAME="bookworm"\n'
DEB822 = """\
# The mirror.
Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_the_mirror_is_the_one_that_the_system_uses() -> None:
    vendor = "Types: deb\nURIs: https://vendor.example/debian\nSuites: nodistro\nComponents: main\n"
    disabled = "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: stable\nComponents: main\n"
    sources = {"a.sources": vendor, "b.sources": disabled, "debian.sources": DEB822}
    assert debian_mirror(DEBIAN, sources) == "http://mirror.example/debian"
    lines = (
        "# deb http://no.example/debian bookworm main\n"
        "deb-src http://no.example/debian bookworm main\n"
        "deb cdrom:[Debian]/ bookworm main\n"
        "deb https://docker.example/linux/debian bookworm stable\n"
        "deb [signed-by=/k.gpg arch=amd64] https://two.example/debian bookworm main contrib # ours\n"
    )
    assert debian_mirror(DEBIAN, {"sources.list": lines}) == "https://two.example/debian"


def test_no_mirror_is_taken_from_another_distribution() -> None:
    assert debian_mirror("ID=ubuntu\nVERSION_CODENAME=noble\n", {"debian.sources": DEB822}) is None
    assert debian_mirror("", {}) is None


def test_a_release_that_debootstrap_does_not_know_gets_the_script_of_late(tmp_path: Path) -> None:
    trixie = release_named("trixie")
    with pytest.raises(LabError, match="neither trixie nor sid") as caught:
        script_of(trixie, tmp_path)
    assert "newer debootstrap" in caught.value.remedy
    (tmp_path / "sid").touch()
    assert script_of(trixie, tmp_path) == tmp_path / "sid"
    (tmp_path / "trixie").touch()
    assert script_of(trixie, tmp_path) is None


def test_only_debian_comes_from_this_systems_mirror() -> None:
    own = "http://mirror.example/debian"
    assert mirror_of(release_named("trixie"), own) == own
    assert mirror_of(release_named("trixie"), None) == "http://deb.debian.org/debian"
    assert "ubuntu" in mirror_of(release_named("noble"), own)


def test_a_missing_keyring_is_named_with_its_package(tmp_path: Path) -> None:
    noble = msgspec.structs.replace(release_named("noble"), keyring=str(tmp_path / "ubuntu-keyring.gpg"))
    with pytest.raises(LabError, match=r"Ubuntu 24\.04") as caught:
        check_keyring(noble)
    assert "(ubuntu-keyring)" in caught.value.remedy


def test_mounts_are_found_from_the_deepest_on() -> None:
    mountinfo = (
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "42 27 254:0 / /lab\\040x rw - ext4 /dev/vda rw\n"
        "43 42 0:4 / /lab\\040x/proc rw - proc proc rw\n"
        "44 27 0:4 / /lab\\040xyz rw - proc proc rw\n"
    )
    assert mounts_below(Path("/lab x"), mountinfo) == ("/lab x/proc", "/lab x")


def test_only_the_labs_lines_of_known_hosts_are_touched() -> None:
    before = (
        "# mine\n\n198.18.0.10 ssh-ed25519 OLD\n198.18.0.99 ssh-rsa OLD\n198.18.1.10 ssh-rsa A\n"
        "example.org,198.18.0.10 ssh-rsa B\n|1|abc|def ssh-rsa C"
    )
    subnet = ipaddress.IPv4Network("198.18.0.0/24")
    kept = "# mine\n\n198.18.1.10 ssh-rsa A\nexample.org,198.18.0.10 ssh-rsa B\n|1|abc|def ssh-rsa C\n"
    after = known_hosts_text(before, subnet, {"198.18.0.10": "ssh-ed25519 NEW"})
    assert after == kept + "198.18.0.10 ssh-ed25519 NEW\n"
    assert known_hosts_text(after, subnet, {}) == kept
    assert known_hosts_text("198.18.0.10 ssh-ed25519 NEW\n", subnet, {}) == ""


def test_ansible_reads_the_inventory(tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(inventory_text(plan_hosts(LabSpec()), Path("/keys/a b"), (1, 2)))
    program = Path(sys.executable).with_name("ansible-inventory")
    output = subprocess.run(
        [program, "-i", path, "--list"], check=True, capture_output=True, timeout=60, cwd=tmp_path
    )
    listed = json.loads(output.stdout)
    assert listed["server"]["hosts"] == ["lab-server"]
    assert listed["loadgen"]["hosts"] == ["lab-load-1", "lab-load-2"]
    assert listed["_meta"]["hostvars"]["lab-load-1"] == {
        "ansible_host": "198.18.0.11",
        "ansible_user": "bench",
        "ansible_ssh_private_key_file": "/keys/a b",
        "asgibench_address": "198.18.0.11",
        "asgibench_bind": "198.18.0.11",
        "asgibench_controller_cores": "1,2",
    }


def test_what_uses_the_subnet_is_named() -> None:
    subnet = ipaddress.IPv4Network("198.18.0.0/24")
    addresses = [
        {"ifname": "eth0", "addr_info": [{"family": "inet", "local": "192.0.2.2", "prefixlen": 24}]},
        {"ifname": "tun0", "addr_info": [{"family": "inet", "local": "198.18.0.1", "prefixlen": 16}]},
        {"ifname": "tun0", "addr_info": [{"family": "inet6", "local": "fe80::1", "prefixlen": 64}]},
    ]
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "128.0.0.0/1", "dev": "vpn0"},
        {"dst": "198.18.0.0/15", "dev": "tun1"},
        {"type": "local", "dst": "192.0.2.2", "dev": "eth0"},
        {"dst": "fe80::/64", "dev": "eth0"},
    ]
    used = network.conflicts(subnet, addresses, routes)
    assert used == ("198.18.0.1/16 on tun0", "a route to 198.18.0.0/15 by tun1")
    assert network.conflicts(subnet, addresses[:1], routes[:2]) == ()


def test_a_lock_is_held_by_one_and_goes_with_its_folder(tmp_path: Path) -> None:
    lines: list[str] = []
    with locked(tmp_path / "state", lines.append, timeout_seconds=0):
        with (
            pytest.raises(LabError, match="another process has worked"),
            locked(tmp_path / "state", lines.append, timeout_seconds=0),
        ):
            pass
        (tmp_path / "state").rmdir()
    with locked(tmp_path / "state", lines.append, timeout_seconds=0):
        assert (tmp_path / "state").is_dir()
    assert len(lines) == 1


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="processes are known by /proc, Linux only")


@linux_only
def test_a_process_is_known_by_its_start_and_not_by_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = mark_process(process.pid)
        assert mark is not None
        assert is_alive(mark)
        other = msgspec.structs.replace(mark, start_ticks=mark.start_ticks + 1)
        assert not is_alive(other)
        assert not send_signal(other, signal.SIGKILL)
        assert process.poll() is None
        assert send_signal(mark, signal.SIGKILL)
        assert not is_alive(mark)
    assert not send_signal(mark, signal.SIGKILL)


# What needs one.


class Lab(msgspec.Struct, frozen=True):
    """A lab that can't meet the user's own."""

    spec: LabSpec
    inventory_directory: Path

    def up(self, **changes: int) -> list[str]:
        lines: list[str] = []
        spec = msgspec.structs.replace(self.spec, **changes)
        lab.up(spec, inventory_directory=self.inventory_directory, report=lines.append)
        return lines

    def down(self) -> list[str]:
        lines: list[str] = []
        lab.down(
            inventory_directory=self.inventory_directory,
            report=lines.append,
            state_directory=self.spec.state_directory,
        )
        return lines

    def hosts(self) -> tuple[lab.LabHost, ...]:
        return lab.lab_hosts(self.spec.state_directory)

    def status(self) -> lab.LabStatus:
        return lab.status(state_directory=self.spec.state_directory)

    def inits(self) -> list[object]:
        return [host.init for host in self.hosts()]

    def ssh(self, host: lab.LabHost, command: str, user: str = "bench") -> subprocess.CompletedProcess[str]:
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=10"]
        options += [f"UserKnownHostsFile={self.inventory_directory / 'known_hosts'}"]
        argv = ["ssh", "-F", "/dev/null", "-i", str(self.spec.state_directory / "client_key")]
        argv += [word for option in options for word in ("-o", option)]
        argv += [f"{user}@{host.spec.address}", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def traces(self) -> list[str]:
        """Whatever of this lab is on the machine."""
        names = (self.spec.bridge, str(self.spec.state_directory))
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        links = [path.name for path in network.INTERFACE_DIRECTORY.glob(f"{self.spec.bridge}*")]
        files = (self.spec.state_directory, *self.inventory_directory.glob("*"))
        return [
            *(line for line in mounts if any(name in line for name in names)),
            *network.namespaces_of(self.spec.bridge),
            *links,
            *(str(path) for path in files if path.exists()),
        ]


def need_lab() -> None:
    """Skip where this machine can't hold a lab; in CI that is a failure."""
    try:
        require(lambda line: None)
    except LabError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to run the lab's tests: {error}")
        pytest.skip(str(error))


def make_lab(directory: Path, number: int, loadgens: int) -> Lab:
    """``number`` tells the labs of one test run apart, the process number those of several."""
    unique = (os.getpid() * 4 + number) % 256
    spec = LabSpec(
        loadgens=loadgens,
        state_directory=directory / "state",
        prefix=f"t{number}",
        bridge=f"at{os.getpid() % 10**7}x{number}"[:11],
        subnet=f"198.19.{unique}.0/24",
    )
    return Lab(spec, directory / "inventory")


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_lab()
    made = make_lab(tmp_path_factory.mktemp("lab"), 0, loadgens=2)
    made.up()
    yield made
    made.down()
    assert made.traces() == []


@pytest.fixture
def whole_lab(module_lab: Lab) -> Lab:
    """The module's lab, whatever the test before did to it."""
    module_lab.up()
    return module_lab


@pytest.fixture
def second_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab of its own for one test; not up yet."""
    need_lab()
    made = make_lab(tmp_path, 1, loadgens=1)
    yield made
    made.down()
    assert made.traces() == []


@pytest.mark.lab
def test_each_host_is_a_machine_of_its_own(whole_lab: Lab) -> None:
    server, first, second = whole_lab.hosts()
    for host in (server, first, second):
        words = "hostname; id -un; id -u; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'"
        *known, processes = whole_lab.ssh(host, words).stdout.split()
        assert known == [host.spec.name, "bench", "1000", "init"]
        assert int(processes) < 15
    inodes = {namespace_id(host.init.pid, kind) for host in whole_lab.hosts() if host.init for kind in KINDS}
    assert len(inodes) == 3 * len(KINDS)
    assert inodes.isdisjoint({namespace_id(os.getpid(), kind) for kind in KINDS})


@pytest.mark.lab
def test_no_two_hosts_have_the_same_monotonic_clock(whole_lab: Lab) -> None:
    """As real hosts, which were booted at different times: what forgets an offset is found here."""
    asked = 'python3 -c "import time; print(time.monotonic(), time.time())"'
    for host in whole_lab.hosts():
        monotonic, wall = map(float, whole_lab.ssh(host, asked).stdout.split())
        assert monotonic - time.monotonic() == pytest.approx(host.spec.clock_ahead_seconds, abs=5)
        assert wall == pytest.approx(time.time(), abs=5)
    assert len({host.spec.clock_ahead_seconds for host in whole_lab.hosts()}) == 3


@pytest.mark.lab
def test_a_host_is_bare(whole_lab: Lab) -> None:
    host = whole_lab.hosts()[0]
    assert (
        whole_lab.ssh(host, "python3 -c 'import sys; print(sys.version_info >= (3, 11))'").stdout == "True\n"
    )
    assert "No module named pip" in whole_lab.ssh(host, "python3 -m pip").stderr
    assert whole_lab.ssh(host, "python3 -m venv /tmp/environment").returncode != 0
    assert whole_lab.ssh(host, "command -v pip cc gcc make sudo uv curl").stdout == ""
    files = whole_lab.ssh(host, "stat -c '%a %U' / /etc /home/bench /tmp /dev/shm /dev/null").stdout
    expected = ["755 root", "755 root", "755 bench", "1777 root", "1777 root", "666 root"]
    assert [line.replace("700", "755") for line in files.splitlines()] == expected
    assert whole_lab.ssh(host, "ulimit -Sn").stdout == "1024\n"
    pty = "import os, pty; print(os.ttyname(pty.openpty()[1]))"
    assert whole_lab.ssh(host, f'python3 -c "{pty}"').stdout.startswith("/dev/pts/")


@pytest.mark.lab
def test_hosts_reach_each_other_and_nothing_else(whole_lab: Lab) -> None:
    server, first, second = whole_lab.hosts()
    connect = "import socket, sys; socket.create_connection((sys.argv[1], 22), 5)"
    for target in (server.spec.name, second.spec.address):
        assert whole_lab.ssh(first, f'python3 -c "{connect}" {target}').returncode == 0
    outside = whole_lab.ssh(first, f'python3 -c "{connect}" 192.0.2.1')
    assert "Network is unreachable" in outside.stderr
    routes = whole_lab.ssh(first, "tail -n +2 /proc/net/route").stdout.splitlines()
    assert len(routes) == 1
    assert whole_lab.ssh(first, f'python3 -c "{connect}" name.example').returncode != 0


@pytest.mark.lab
def test_work_goes_through_sshd_with_the_labs_key_only(whole_lab: Lab) -> None:
    host = whole_lab.hosts()[1]
    assert whole_lab.ssh(host, "true").returncode == 0
    log = (host.root / "var/log/sshd.log").read_text()
    public = subprocess.run(
        ["ssh-keygen", "-lf", whole_lab.spec.state_directory / "client_key"],
        check=True,
        capture_output=True,
        text=True,
    )
    fingerprint = public.stdout.split()[1]
    accepted = f"Accepted publickey for bench from {whole_lab.spec.controller_address}"
    assert any(accepted in line and fingerprint in line for line in log.splitlines())
    assert "Permission denied (publickey)" in whole_lab.ssh(host, "true", user="root").stderr


@pytest.mark.lab
def test_each_host_keeps_to_its_cores(whole_lab: Lab) -> None:
    affinity = "python3 -c 'import os; print(sorted(os.sched_getaffinity(0)))'"
    server, first, second = (json.loads(whole_lab.ssh(host, affinity).stdout) for host in whole_lab.hosts())
    assert first == second
    if sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1:
        assert not set(server) & set(first)
    text = (whole_lab.inventory_directory / "lab.yml").read_text()
    assert f'asgibench_controller_cores: "{",".join(map(str, first))}"' in text


@pytest.mark.lab
def test_orphans_are_taken_in(whole_lab: Lab) -> None:
    host = whole_lab.hosts()[0]
    orphan = (
        "import os\nif os.fork(): os._exit(0)\n"
        "if os.fork(): os._exit(0)\n"
        "import time\nwhile os.getppid() != 1: time.sleep(0.01)\nprint(os.getpid(), flush=True)"
    )
    number = int(whole_lab.ssh(host, f"python3 -c '{orphan}'").stdout)
    assert host.init is not None
    inode = namespace_id(host.init.pid, "pid")
    assert inode is not None
    until(lambda: number not in {numbers[-1] for _, numbers in pids_in_namespace("pid", inode)})


@pytest.mark.lab
def test_up_again_changes_nothing(whole_lab: Lab) -> None:
    files = [whole_lab.inventory_directory / name for name in ("lab.yml", "known_hosts")]
    before = whole_lab.inits(), [path.stat().st_mtime_ns for path in files]
    lines = whole_lab.up()
    assert (whole_lab.inits(), [path.stat().st_mtime_ns for path in files]) == before
    assert len(lines) == 1
    assert whole_lab.status().is_sound
    assert [host.groups for host in whole_lab.status().hosts] == [("server",), ("loadgen",), ("loadgen",)]


@pytest.mark.lab
def test_another_number_of_hosts_leaves_the_others_alone_and_they_outlive_lab_up(whole_lab: Lab) -> None:
    before = whole_lab.inits()
    done = up_in_a_process(whole_lab, loadgens=3, stop_at="never")
    assert done.returncode == 0, done.stderr
    grown = whole_lab.inits()
    assert grown[:3] == before
    assert len(grown) == 4
    fourth = whole_lab.hosts()[3]
    assert whole_lab.ssh(fourth, "hostname").stdout.strip() == fourth.spec.name
    assert fourth.spec.name in whole_lab.ssh(whole_lab.hosts()[0], "cat /etc/hosts").stdout
    whole_lab.up()
    assert whole_lab.inits() == before
    assert not is_reachable(fourth.spec.address)
    assert fourth.spec.address not in (whole_lab.inventory_directory / "known_hosts").read_text()


def up_in_a_process(one: Lab, loadgens: int, stop_at: str) -> subprocess.CompletedProcess[str]:
    """`lab.up` in a process of its own, which is killed outright when it reports a line with ``stop_at``."""
    program = f"""
import os, signal
from pathlib import Path
from inventory import lab
from inventory.lab.spec import LabSpec
def report(line):
    if {stop_at!r} in line:
        os.kill(os.getpid(), signal.SIGKILL)
spec = LabSpec(loadgens={loadgens}, state_directory=Path({str(one.spec.state_directory)!r}),
    prefix={one.spec.prefix!r}, bridge={one.spec.bridge!r}, subnet={one.spec.subnet!r})
lab.up(spec, inventory_directory=Path({str(one.inventory_directory)!r}), report=report)
"""
    argv = [sys.executable, "-c", program]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.lab
def test_a_host_whose_processes_were_killed_comes_back_with_its_disk(whole_lab: Lab) -> None:
    server, first, _ = whole_lab.hosts()
    server_init = server.init
    whole_lab.ssh(first, "echo kept > note")
    first.power_off()
    assert not is_reachable(first.spec.address)
    assert [host.is_reachable for host in whole_lab.status().hosts] == [True, False, True]
    whole_lab.up()
    assert whole_lab.status().is_sound
    assert whole_lab.ssh(first, "cat note").stdout == "kept\n"
    assert server.init == server_init


@pytest.mark.lab
def test_faults_can_be_made_and_are_mended(whole_lab: Lab) -> None:
    host = whole_lab.hosts()[2]
    host.stop_sshd()
    assert host.sshd_pid is None
    assert not is_reachable(host.spec.address)
    host.start_sshd()
    assert is_reachable(host.spec.address)
    host.cut_link()
    assert not is_reachable(host.spec.address)
    host.restore_link()
    until(lambda: is_reachable(host.spec.address))
    host.cut_link()
    host.stop_sshd()
    before = whole_lab.inits()
    assert len(whole_lab.up()) == 3
    assert whole_lab.status().is_sound
    assert whole_lab.inits() == before


@pytest.mark.lab
def test_a_network_that_was_taken_away_is_made_again(whole_lab: Lab) -> None:
    first = whole_lab.hosts()[1]
    network.ip("netns", "delete", first.spec.namespace)
    whole_lab.up()
    assert whole_lab.status().is_sound
    network.ip("link", "delete", whole_lab.spec.bridge)
    whole_lab.up()
    assert whole_lab.status().is_sound


@pytest.mark.lab
def test_what_is_not_ours_is_left_alone(whole_lab: Lab, tmp_path: Path) -> None:
    before = whole_lab.inits()
    other = msgspec.structs.replace(whole_lab.spec, state_directory=tmp_path / "state")
    same_bridge = Lab(other, tmp_path / "inventory")
    with pytest.raises(LabError, match="is not this lab's") as caught:
        same_bridge.up()
    assert caught.value.remedy
    same_subnet = Lab(msgspec.structs.replace(other, bridge="x" + other.bridge[1:]), tmp_path / "inventory")
    with pytest.raises(LabError, match="in use on this machine"):
        same_subnet.up()
    same_bridge.down()
    assert not other.state_directory.exists()
    assert whole_lab.inits() == before
    assert whole_lab.status().is_sound


@pytest.mark.lab
def test_down_leaves_nothing_and_may_be_repeated(second_lab: Lab) -> None:
    had_namespaces = network.NAMESPACE_DIRECTORY.exists()
    known_hosts = second_lab.inventory_directory / "known_hosts"
    second_lab.inventory_directory.mkdir()
    known_hosts.write_text("example.org ssh-rsa AAAA\n")
    second_lab.up()
    assert len(known_hosts.read_text().splitlines()) == 3
    inits = [host.init for host in second_lab.hosts()]
    inodes = {namespace_id(init.pid, "pid") for init in inits if init is not None}
    assert len(inodes) == 2
    second_lab.ssh(second_lab.hosts()[0], "setsid -f sleep 1000 > /dev/null 2>&1 < /dev/null")
    second_lab.down()
    for inode in inodes:
        assert inode is not None
        # Ended ones may wait for this machine's first process to take them in.
        assert [pid for pid, _ in pids_in_namespace("pid", inode) if mark_process(pid)] == []
    assert known_hosts.read_text() == "example.org ssh-rsa AAAA\n"
    known_hosts.unlink()
    assert second_lab.traces() == []
    assert network.NAMESPACE_DIRECTORY.exists() == had_namespaces
    assert base_path(second_lab.spec.cache_directory).is_dir()
    assert second_lab.status().hosts == ()
    assert second_lab.down() == ["no lab is up"]


@pytest.mark.lab
def test_a_lab_up_that_was_killed_is_finished_by_the_next(second_lab: Lab) -> None:
    killed = up_in_a_process(second_lab, loadgens=1, stop_at=", root overlay")
    assert killed.returncode == -signal.SIGKILL
    second_lab.up()
    assert second_lab.status().is_sound


@pytest.mark.lab
def test_a_lab_up_that_was_killed_is_removed_by_lab_down(second_lab: Lab) -> None:
    killed = up_in_a_process(second_lab, loadgens=1, stop_at=", root overlay")
    assert killed.returncode == -signal.SIGKILL
    second_lab.down()
    assert second_lab.traces() == []


@pytest.mark.lab
def test_a_lab_whose_record_was_lost_is_still_found(second_lab: Lab) -> None:
    second_lab.up()
    inits = [host.init for host in second_lab.hosts()]
    for path in [second_lab.spec.state_directory / "lab.json", *records(second_lab)]:
        path.unlink()
    second_lab.down()
    assert not any(init is not None and is_alive(init) for init in inits)
    (second_lab.inventory_directory / "known_hosts").unlink()
    assert second_lab.traces() == []


def records(one: Lab) -> list[Path]:
    return list((one.spec.state_directory / "hosts").glob("*/host.json"))


@pytest.mark.lab
def test_where_overlays_cannot_be_stacked_the_host_lives_in_memory(second_lab: Lab, tmp_path: Path) -> None:
    with overlay(tmp_path / "o") as merged:
        spec = msgspec.structs.replace(second_lab.spec, state_directory=merged / "state")
        stacked = Lab(spec, tmp_path / "inventory")
        try:
            lines = stacked.up()
            record = load_record(stacked.hosts()[0].spec.directory)
            assert record is not None
            assert record.root == "overlay in memory"
            assert any("no overlay (" in line for line in lines)
            assert stacked.ssh(stacked.hosts()[0], "echo x > note && cat note").stdout == "x\n"
        finally:
            stacked.down()
        assert stacked.traces() == []


@contextlib.contextmanager
def overlay(directory: Path) -> Iterator[Path]:
    lower, upper, work, merged = (directory / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work, merged):
        folder.mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True, timeout=10)
    try:
        yield merged
    finally:
        subprocess.run(["umount", merged], check=True, timeout=10)


@pytest.mark.lab
def test_where_there_are_no_overlays_the_host_has_a_copy(tmp_path: Path) -> None:
    need_lab()
    base, directory, target = (tmp_path / name for name in ("base", "host", "root"))
    for folder in (base, directory, target):
        folder.mkdir()
    (base / "file").write_text("of the base")
    (directory / "copy.partial").mkdir()
    program = (
        "import sys; from pathlib import Path; from inventory.lab.boot import mount_copy;"
        "mount_copy(*map(Path, sys.argv[1:])); (Path(sys.argv[3]) / 'file').write_text('of the host')"
    )
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", program]
    subprocess.run([*argv, base, directory, target], check=True, cwd=ROOT, timeout=30)
    assert (base / "file").read_text() == "of the base"
    assert (directory / "copy" / "file").read_text() == "of the host"
    assert not (directory / "copy.partial").exists()


@pytest.mark.lab
def test_a_base_system_that_was_not_completed_is_never_used(tmp_path: Path) -> None:
    need_lab()
    base = base_path(tmp_path)
    half = base.with_name(f"{base.name}.partial")
    (half / "etc").mkdir(parents=True)
    (half / "etc" / "half").touch()
    lines: list[str] = []
    with pytest.raises(LabError, match="debootstrap ended") as caught:
        ensure_base(tmp_path, lines.append, mirror="http://127.0.0.1:9/debian")
    assert caught.value.detail
    assert lines[0] == "deleting a base system that was never completed"
    assert not base.exists()
    assert not (half / "etc" / "half").exists()
    assert mounts_below(tmp_path, Path("/proc/self/mountinfo").read_text()) == ()
