"""One host of a lab: start it, mend it, stop it; and the faults that a test wants of it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import LabError
from inventory.default_signals import default_signals
from inventory.lab import network
from inventory.lab.process import (
    ProcessMark,
    is_alive,
    mark_process,
    namespace_id,
    pids_in_namespace,
    send_signal,
)
from inventory.lab.spec import USER_ID, HostSpec
from inventory.lab.state import (
    HOST_KEY_NAME,
    HostRecord,
    ensure_key,
    load_record,
    save_record,
    write_atomically,
)
from inventory.lab.system import Report, remove_tree, tail

HERE = Path(__file__).parent
BOOT_TIMEOUT_SECONDS = 120.0
ANSWER_TIMEOUT_SECONDS = 20.0
CONNECT_TIMEOUT_SECONDS = 1.0
POLL_SECONDS = 0.02
SSH_PORT = 22
SSHD_CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
"""


class HostPlan(msgspec.Struct, frozen=True):
    """All that a host is started from. ``hosts_file`` is its /etc/hosts, ``client_key`` a public key."""

    spec: HostSpec
    bridge: str
    base: Path
    cores: tuple[int, ...]
    hosts_file: str
    client_key: str


class LabHost(msgspec.Struct, frozen=True):
    """A host that was started, for tests that need to see into it or to make it fail."""

    spec: HostSpec

    @property
    def init(self) -> ProcessMark | None:
        """Its first process, or None when it doesn't run."""
        return find_init(self.spec)

    @property
    def root(self) -> Path:
        """Its root directory, seen from outside. Raises LabError when it doesn't run."""
        return root_of(running(self.spec))

    @property
    def sshd_pid(self) -> int | None:
        """The number, outside, of the sshd that listens; None when there is none."""
        init = self.init
        return None if init is None else find_sshd(init)

    def cut_link(self) -> None:
        """Pull its cable: connections stay open and nothing arrives."""
        network.set_link(self.spec.link, up=False)

    def restore_link(self) -> None:
        network.set_link(self.spec.link, up=True)

    def stop_sshd(self) -> None:
        """End the sshd that listens, and wait for it; open connections stay."""
        init = running(self.spec)
        pid = find_sshd(init)
        sshd = None if pid is None else mark_process(pid)
        send_signal(init, signal.SIGUSR2)
        # Its PID file goes before it does, and init starts no second one beside it.
        wait_until(lambda: sshd is None or not is_alive(sshd), f"sshd of {self.spec.name} does not end")

    def start_sshd(self) -> None:
        """Start sshd unless it runs, and wait until it answers."""
        send_signal(running(self.spec), signal.SIGUSR1)
        wait_until_reachable(self.spec)

    def power_off(self) -> None:
        """End every process of the host at once."""
        send_signal(running(self.spec), signal.SIGKILL)


def running(host: HostSpec) -> ProcessMark:
    init = find_init(host)
    if init is None:
        raise LabError(f"the lab host {host.name} doesn't run", remedy="Run `./invoke lab.up`")
    return init


def find_init(host: HostSpec) -> ProcessMark | None:
    """The host's first process: by its record, else as the first of a PID namespace on the host's network."""
    record = load_record(host.directory)
    if record is not None and is_alive(record.init):
        return record.init
    return init_in_namespace(host.namespace)


def init_in_namespace(namespace: str) -> ProcessMark | None:
    """The first process of a PID namespace that lives in a named network namespace, or None."""
    inode = network.namespace_inode(namespace)
    if inode is None:
        return None
    for pid, numbers in pids_in_namespace("net", inode):
        if len(numbers) > 1 and numbers[-1] == 1:
            return mark_process(pid)
    return None


def find_sshd(init: ProcessMark) -> int | None:
    """The sshd that listens, by the host's own PID file."""
    try:
        inner = int((root_of(init) / "run/sshd.pid").read_text())
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    inode = namespace_id(init.pid, "pid")
    for pid, numbers in pids_in_namespace("pid", inode) if inode is not None else ():
        if numbers[-1] == inner and mark_process(pid) is not None:
            return pid
    return None


def root_of(init: ProcessMark) -> Path:
    return Path(f"/proc/{init.pid}/root")


def ensure_host(plan: HostPlan, report: Report) -> str:
    """See to it that the host runs and answers, changing what has to be changed; its public host key.

    A host whose processes are gone is started again on its old disk, as after a power cut. Raises LabError.
    """
    spec = plan.spec
    init = find_init(spec)
    if init is not None and not is_sound(spec, init, plan.bridge):
        report(f"{spec.name}: has lost its network or its record; starting it again")
        send_signal(init, signal.SIGKILL)
        init = None
    if init is not None and has_other_base(plan):
        report(f"{spec.name}: is to run another release; replacing it")
        send_signal(init, signal.SIGKILL)
        init = None
    if init is None:
        start_host(plan, report)
    else:
        mend_host(plan, init, report)
    return ensure_key(spec.directory / HOST_KEY_NAME, spec.name)


def is_sound(spec: HostSpec, init: ProcessMark, bridge: str) -> bool:
    """Whether a running host is recorded and on the network that its name stands for."""
    on_bridge = (network.INTERFACE_DIRECTORY / bridge / "brif" / spec.link).exists()
    inode = network.namespace_inode(spec.namespace)
    return (
        on_bridge
        and inode is not None
        and inode == namespace_id(init.pid, "net")
        and load_record(spec.directory) is not None
    )


def has_other_base(plan: HostPlan) -> bool:
    record = load_record(plan.spec.directory)
    return record is not None and record.base != str(plan.base)


def mend_host(plan: HostPlan, init: ProcessMark, report: Report) -> None:
    """What can be put right on a running host: its view of the others, its link, its sshd."""
    spec = plan.spec
    write_atomically(root_of(init) / "etc/hosts", plan.hosts_file.encode(), 0o644)
    link = network.link_of(spec)
    if link is not None and not link.is_up:
        report(f"{spec.name}: link restored")
        network.set_link(spec.link, up=True)
    if find_sshd(init) is None:
        report(f"{spec.name}: sshd started again")
        send_signal(init, signal.SIGUSR1)
    wait_until_reachable(spec)


def start_host(plan: HostPlan, report: Report) -> None:
    """Make the host's network, start its first process, furnish its disk, let it go."""
    spec = plan.spec
    record = load_record(spec.directory)
    if record is None or record.base != str(plan.base):
        remove_tree(spec.directory)
    spec.directory.mkdir(parents=True, exist_ok=True)
    network.connect(spec, plan.bridge)
    ensure_key(spec.directory / HOST_KEY_NAME, spec.name)
    root = boot(plan)
    wait_until_reachable(spec)
    cores = ",".join(map(str, plan.cores))
    report(f"{spec.name}: {spec.address}, core {cores}, root {root}")


def boot(plan: HostPlan) -> str:
    """Run boot.py and let the host's init start; how its root was made. Raises LabError."""
    spec = plan.spec
    config = {
        "network_namespace": str(network.NAMESPACE_DIRECTORY / spec.namespace),
        "hostname": spec.name,
        "cores": plan.cores,
        "base": str(plan.base),
        "directory": str(spec.directory),
        "clock_ahead": spec.clock_ahead_seconds,
    }
    with subprocess.Popen(
        [sys.executable, "-IS", str(HERE / "boot.py"), json.dumps(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        preexec_fn=default_signals(),
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        ready, _, _ = select.select([process.stdout], [], [], BOOT_TIMEOUT_SECONDS)
        line = process.stdout.readline() if ready else b""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "it said nothing"}
        if "error" in answer:
            process.kill()
            raise LabError(
                f"{spec.name} could not be started: {answer['error']}",
                remedy="This system can't hold lab hosts, or run `./invoke lab.down` and try again",
                detail=tail(process.stderr.read().decode(errors="replace")) if line else "",
            )
        init = mark_process(answer["pid"])
        if init is None:
            raise LabError(f"{spec.name} ended at once", remedy="Run `./invoke lab.down`, then try again")
        save_record(spec.directory, HostRecord(init, str(plan.base), answer["root"]))
        try:
            write_host_files(root_of(init), plan)
            os.write(process.stdin.fileno(), b"\n")
        except OSError as error:
            raise LabError(
                f"{spec.name} could not be furnished: {error}",
                remedy="Run `./invoke lab.down`, then try again",
            ) from error
    notes = "".join(f"; {note}" for note in answer["notes"])
    return f"{answer['root']}{notes}"


def write_host_files(root: Path, plan: HostPlan) -> None:
    """What makes the base system this host."""
    keys = plan.spec.directory / HOST_KEY_NAME
    write_atomically(root / "sbin/init", (HERE / "init.py").read_bytes(), 0o755)
    write_atomically(root / "etc/hostname", f"{plan.spec.name}\n".encode(), 0o644)
    write_atomically(root / "etc/hosts", plan.hosts_file.encode(), 0o644)
    write_atomically(root / "etc/ssh/sshd_config.d/asgibench.conf", SSHD_CONFIG.encode(), 0o644)
    write_atomically(root / "etc/ssh/ssh_host_ed25519_key", keys.read_bytes(), 0o600)
    user = (USER_ID, USER_ID)
    home = root / "home/bench/.ssh"
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, *user)
    write_atomically(home / "authorized_keys", f"{plan.client_key}\n".encode(), 0o600, user)


def stop_namespace(namespace: str) -> None:
    """End whatever host lives on a network namespace, then remove the name."""
    init = init_in_namespace(namespace)
    if init is not None:
        send_signal(init, signal.SIGKILL)
    network.remove_namespace(namespace)


def stop_recorded(host_directory: Path) -> None:
    """End the host whose folder this is, if it still runs."""
    record = load_record(host_directory)
    if record is not None:
        send_signal(record.init, signal.SIGKILL)


def stop_host(spec: HostSpec) -> None:
    """End the host and remove everything of it."""
    stop_recorded(spec.directory)
    network.remove_link(spec.link)
    stop_namespace(spec.namespace)
    remove_tree(spec.directory)


def is_reachable(address: str) -> bool:
    """Whether an SSH server answers within a second."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address, SSH_PORT), timeout=CONNECT_TIMEOUT_SECONDS) as connection,
    ):
        return connection.recv(256).startswith(b"SSH-")
    return False


def wait_until_reachable(spec: HostSpec) -> None:
    wait_until(
        lambda: is_reachable(spec.address), f"{spec.name} does not answer at {spec.address}", logs_of(spec)
    )


def wait_until(condition: Callable[[], bool], failure: str, logs: Sequence[Path] = ()) -> None:
    """Poll until ``condition``; raises LabError with the ends of ``logs`` when it doesn't come about."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            lines = "\n".join(tail(log.read_text(errors="replace"), 10) for log in logs if log.exists())
            raise LabError(failure, remedy="Run `./invoke lab.down`, then `./invoke lab.up`", detail=lines)
        time.sleep(POLL_SECONDS)


def logs_of(spec: HostSpec) -> tuple[Path, ...]:
    init = find_init(spec)
    return (
        () if init is None else tuple(root_of(init) / "var/log" / name for name in ("init.log", "sshd.log"))
    )
