"""Hosts as people have them, on a lab that the tests make: a database host, an existing database, jump hosts,
other ports, IPv6, agents and prompts, all with a real sshd."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inventory.lab import LabHost, LabSpec
from inventory.lab.network import has_ipv6
from tests.helpers.environments import (
    passable_folder,
    shipped_program,
    started_postgres,
)
from tests.helpers.own_lab import cannot, own_lab
from tests.helpers.ports import free_port
from tests.helpers.program import Finished, command, ended_well, run, run_results
from tests.helpers.terminal import at_terminal
from tests.helpers.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.pipeline, pytest.mark.timeout(600)]

PASSPHRASE, PASSWORD = "open-sesame-7", "correct-horse-9"
SERVER, LOAD, DATABASE = "odd-server", "odd-load-1", "odd-database"


class Lab(msgspec.Struct, frozen=True):
    """A lab of this module's own: a server, a load host, a database host. ``home`` is the user's."""

    folder: Path
    spec: LabSpec
    hosts: dict[str, LabHost]

    @property
    def key(self) -> Path:
        return self.spec.state_directory / "client_key"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def address(self, host: str) -> str:
        return self.hosts[host].spec.address

    def address6(self, host: str) -> str:
        return self.hosts[host].spec.address6

    def inventory(self, name: str, **variables: dict[str, str]) -> Path:
        """An inventory of the lab's hosts in a folder of its own, with its known_hosts; ``variables`` by role
        overrule; a role whose variables are {"absent": ""} is left out."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        shutil.copy(self.folder / "known_hosts", folder)
        groups: dict[str, Any] = {}
        for role, host in (("server", SERVER), ("loadgen", LOAD), ("database", DATABASE)):
            given = variables.get(role, {})
            if "absent" not in given:
                plain = {
                    "ansible_host": self.address(host),
                    "ansible_user": "bench",
                    "ansible_ssh_private_key_file": str(self.key),
                }
                hosts = {host: {key: value for key, value in (plain | given).items() if value}}
                groups[role] = {"hosts": hosts}
        path = folder / f"{name}.yml"
        path.write_bytes(msgspec.json.encode(groups))
        return path

    def bench(self, inventory: Path, *words: str, env: Mapping[str, str] = {}) -> Finished:
        return run(
            "bench", "--hosts", str(inventory), "--profile", "brief", "--servers", "uvicorn",
            "--catalogue", str(self.folder / "own.toml"), "--results", str(self.results),
            "--name", inventory.stem, *words,
            env=env,
        )  # fmt: skip

    def one_run(self, name: str) -> dict[str, Any]:
        (one,) = run_results(self.results / name)
        return one


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("odd")
    with own_lab(folder, "odd", loadgens=1, database=True) as (spec, hosts):
        yield Lab(folder, spec, hosts)


@pytest.fixture(scope="module")
def home(lab: Lab) -> Path:
    """A user's home with nothing in it but an ~/.ssh, and in that a key with a passphrase for every host."""
    ssh = lab.folder / "home/.ssh"
    ssh.mkdir(parents=True, mode=0o700)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", str(ssh / "locked")]
    subprocess.run(make, check=True)
    for host in lab.hosts.values():
        with (host.root / "home/bench/.ssh/authorized_keys").open("a") as keys:
            keys.write((ssh / "locked.pub").read_text())
    return ssh.parent


@pytest.fixture(scope="module")
def agent(lab: Lab, home: Path) -> Iterator[dict[str, str]]:
    """A real ssh-agent that holds the locked key; the variables that lead to it, and fill it."""
    socket = lab.folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    answer = lab.folder / "answer"
    answer.write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
    answer.chmod(0o700)
    variables = {"SSH_AUTH_SOCK": str(socket)}
    try:
        until(socket.exists)
        variables |= {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        add_key(variables, home / ".ssh/locked")
        yield variables
    finally:
        process.terminate()
        process.wait()


def add_key(agent: Mapping[str, str], key: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, **agent}, check=True)


@contextlib.contextmanager
def two_addresses(lab: Lab) -> Iterator[tuple[str, str]]:
    """The server comes to the database from another address than its own: (by UDP, by TCP).

    That is as behind a NAT: what the server's own kernel says is not what the database sees.
    """
    namespace = lab.hosts[SERVER].spec.namespace
    told, seen = (str(lab.spec.network[number]) for number in (70, 71))
    target = f"{lab.address(DATABASE)}/32"
    rule = ("to", target, "ipproto", "tcp", "lookup", "77")
    undo = []
    try:
        for words in (
            ("address", "add", f"{told}/24", "dev", "eth0"),
            ("address", "add", f"{seen}/24", "dev", "eth0"),
            ("route", "add", target, "dev", "eth0", "src", told),
            ("route", "add", target, "dev", "eth0", "src", seen, "table", "77"),
            ("rule", "add", *rule),
        ):
            subprocess.run(["ip", "-netns", namespace, *words], check=True)
            undo.append((words[0], "del", *words[2:]))
        yield told, seen
    finally:
        for words in reversed(undo):
            subprocess.run(["ip", "-netns", namespace, *words], check=True)


@contextlib.contextmanager
def no_way_from_controller(lab: Lab, host: str) -> Iterator[None]:
    """The host answers everybody but the controller."""
    route = ("blackhole", f"{lab.spec.controller_address}/32")
    inside = ["ip", "-netns", lab.hosts[host].spec.namespace, "route"]
    subprocess.run([*inside, "add", *route], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "del", *route], check=True)


def invoke_at_terminal(
    words: Sequence[str], answers: Mapping[str, str], env: Mapping[str, str]
) -> tuple[int, str]:
    """As at_terminal, of ``./invoke``; each answer is a line."""
    lines = {question: f"{answer}\n" for question, answer in answers.items()}
    return at_terminal(command(*words), lines, {**env, "TERM": "dumb"})


def test_a_database_host_behind_two_jumps_serves_a_server_on_an_ipv6_address(
    lab: Lab, agent: dict[str, str], home: Path
) -> None:
    if not has_ipv6():
        cannot("this kernel has no IPv6")
    # The database's name is known to the lab's hosts only. The agent's key opens the jump hosts.
    inventory = lab.inventory(
        "named",
        server={"ansible_host": lab.address6(SERVER)},
        database={
            "ansible_ssh_private_key_file": str(home / ".ssh/locked"),
            "ansible_ssh_common_args": f"-J bench@{lab.address(LOAD)},bench@[{lab.address6(SERVER)}]:22",
            "asgibench_address": DATABASE,
            "asgibench_database_port": "5544",
        },
    )
    with no_way_from_controller(lab, DATABASE), two_addresses(lab) as (_, seen):
        (inventory.parent / "known_hosts").unlink()
        trusted = run("hosts.trust", "--hosts", str(inventory), "--yes", env=agent)
        assert trusted.status == 0, trusted.stderr
        assert len((inventory.parent / "known_hosts").read_text().splitlines()) >= 3
        refused = lab.bench(inventory, "--endpoints", "orders", env=agent)
        assert refused.status == 33, refused.stderr
        assert f'no pg_hba.conf entry for host "{seen}"' in refused.stderr
        assert f"set asgibench_source_address of {SERVER}" in refused.stderr
        text = inventory.read_text()
        inventory.write_text(
            text.replace('"ansible_user"', f'"asgibench_source_address":"{seen}","ansible_user"', 1)
        )
        done = lab.bench(inventory, "--endpoints", "orders", env=agent)
    assert ended_well(done, lab.results / "named"), done.stderr
    one = lab.one_run("named")
    assert lab.address6(SERVER) in " ".join(one["server_command"])
    assert one["counts"]["engine"] == one["counts"]["server"] > 0
    assert 2.98 < one["database"]["transactions_per_request"] < 3.1
    assert one["database_cpu"]["cpu_seconds"] > 0
    known = msgspec.json.decode((lab.results / "named" / "hosts.json").read_bytes())
    assert known["database"] == DATABASE
    assert known["database_version"]
    log = (lab.hosts[DATABASE].root / "var/log/sshd.log").read_text()
    accepted = [line for line in log.splitlines() if "Accepted publickey" in line]
    assert accepted
    assert all(f"from {seen} " in line for line in accepted), accepted


def test_an_existing_database_by_url_is_used_and_its_password_kept_nowhere(lab: Lab) -> None:
    controller = lab.spec.controller_address
    with passable_folder() as folder:
        place = ("--directory", str(folder))
        port = str(free_port(controller))
        words = ("--port", port, "--bind", controller, "--allow", lab.spec.subnet)
        status, prepared = shipped_program("postgres", "prepare", *place, *words)
        assert status == 0, prepared
        with started_postgres(folder):
            status, ready = shipped_program("postgres", "wait", *place, "--host", controller)
            assert status == 0, ready
            url = ready["url"]
            password = url.partition("@")[0].rpartition(":")[2]
            inventory = lab.inventory(
                "existing", server={"asgibench_database_url": url}, database={"absent": ""}
            )
            done = lab.bench(inventory, "--endpoints", "orders")
            assert ended_well(done, lab.results / "existing"), done.stderr
            one = lab.one_run("existing")
            assert one["database_cpu"] is None
            assert 2.98 < one["database"]["transactions_per_request"] < 3.1
            known = msgspec.json.decode((lab.results / "existing" / "hosts.json").read_bytes())
            assert known["database"] == f"{controller}:{port}/asgibench"
            assert f"{known['database']}, not ours: PostgreSQL" in known["placement"]["database"]
            report = (lab.results / "existing" / "report.html").read_text()
            assert known["placement"]["database"] in report
            assert "its memory and CPU are not sampled" in report
            summary = msgspec.json.decode((lab.results / "existing" / "summary.json").read_bytes())
            assert "database_not_sampled" in [one["code"] for one in summary["warnings"]]
            kept = [path for path in lab.results.rglob("*") if path.is_file()]
            work = lab.hosts[SERVER].root / "home/bench/.local/share/asgibench"
            kept += [
                path for path in work.rglob("*") if path.is_file() and path.suffix not in (".so", ".pyc")
            ]
            assert len(kept) > 100
            assert [path for path in kept if password.encode() in path.read_bytes()] == []
            assert password not in done.stdout + done.stderr

            wrong = lab.inventory(
                "wrong", server={"asgibench_database_url": url.replace(password, "s3cret")},
                database={"absent": ""},
            )  # fmt: skip
            refused = lab.bench(wrong, "--endpoints", "orders")
            cleaned = run("hosts.clean", "--hosts", str(inventory))
            assert cleaned.status == 0, cleaned.stderr
            assert "our schema is gone" in cleaned.stdout
            status, told = shipped_program("database", "drop", database_url=url)
            assert (status, told) == (0, {"dropped": False})
    assert refused.status == 33, refused.stderr
    assert f"{controller}:{port}/asgibench: password authentication failed" in refused.stderr
    assert "s3cret" not in refused.stdout + refused.stderr


def test_jump_hosts_of_the_users_own_ssh_config_are_gone_through_in_its_order(lab: Lab, home: Path) -> None:
    # All that OpenSSH takes: an included file, comments behind values, a key file of another machine.
    (home / ".ssh/more").write_text(
        f"Host hop   # Bob's server\n  HostName {lab.address(SERVER)}\n  User bench  # not root\n"
    )
    (home / ".ssh/config").write_text(
        f"Include {home}/.ssh/more\n"
        f"Host {lab.address(LOAD)}\n  ProxyJump hop,bench@{lab.address(DATABASE)}\n"
        f"Match final all\n  IdentityFile ~/.ssh/of_the_other_machine\n  IdentityFile {lab.key}\n"
    )
    inventory = lab.inventory("config", database={"absent": ""})
    env = {"HOME": str(home), "SSH_AUTH_SOCK": ""}
    with no_way_from_controller(lab, LOAD):
        done = run("hosts.check", "--hosts", str(inventory), env=env)
        assert done.status == 0, done.stderr
        # A jump host's key is checked as every other is.
        known = inventory.parent / "known_hosts"
        lines = known.read_text().splitlines()
        known.write_text("".join(f"{line}\n" for line in lines if lab.address(DATABASE) not in line))
        unknown = run("hosts.check", "--hosts", str(inventory), env=env)
        assert unknown.status == 12, unknown.stderr
        assert lab.address(DATABASE) in unknown.stderr
    (home / ".ssh/config").unlink()
    accepted = (lab.hosts[LOAD].root / "var/log/sshd.log").read_text()
    assert f"Accepted publickey for bench from {lab.address(DATABASE)} " in accepted


def test_a_passphrase_is_the_agents_or_asked_once_a_key_or_its_lack_is_said(
    lab: Lab, home: Path, agent: dict[str, str]
) -> None:
    locked = str(home / ".ssh/locked")
    inventory = lab.inventory(
        "locked",
        server={"ansible_ssh_private_key_file": locked},
        loadgen={"ansible_ssh_private_key_file": locked},
        database={"absent": ""},
    )
    words = ("hosts.check", "--hosts", str(inventory))
    # Behind more keys than sshd lets anyone try.
    subprocess.run(["ssh-add", "-q", "-D"], env={**os.environ, **agent}, check=True)
    for number in range(8):
        decoy = lab.folder / f"decoy{number}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(decoy)], check=True)
        add_key(agent, decoy)
    add_key(agent, home / ".ssh/locked")
    by_agent = run(*words, env={"HOME": str(home), **agent})
    assert by_agent.status == 0, by_agent.stderr
    alone = {"HOME": str(home), "SSH_AUTH_SOCK": ""}
    mute = run(*words, env=alone)
    assert mute.status == 13, mute.stderr
    assert f"ssh-add {locked}" in mute.stderr
    status, shown = invoke_at_terminal(words, {f"Passphrase of {locked}": PASSPHRASE}, alone)
    assert status == 0, shown
    assert shown.count("Passphrase of") == 1
    assert PASSPHRASE not in shown
    status, shown = invoke_at_terminal(words, {f"Passphrase of {locked}": "wrong"}, alone)
    assert status == 13, shown
    assert shown.count("Passphrase of") == 1


def test_a_password_is_read_or_asked_once_a_host_on_whatever_port(lab: Lab, home: Path) -> None:
    for name in (SERVER, LOAD):
        host = lab.hosts[name]
        subprocess.run(
            ["chroot", str(host.root), "chpasswd"], input=f"bench:{PASSWORD}\n", text=True, check=True
        )
        # Read before the lab's own file: the first value counts.
        (host.root / "etc/ssh/sshd_config.d/a.conf").write_text(
            "Port 22\nPort 2022\nPasswordAuthentication yes\n"
        )
        host.stop_sshd()
        host.start_sshd()
    alone = {"HOME": str(home), "SSH_AUTH_SOCK": ""}
    given = {"ansible_ssh_private_key_file": "", "ansible_port": "2022"}
    inventory = lab.inventory("password", server=given, loadgen=given, database={"absent": ""})
    words = ("hosts.check", "--hosts", str(inventory))
    trusted = run("hosts.trust", "--hosts", str(inventory), "--yes", env=alone)
    assert trusted.status == 0, trusted.stderr
    mute = run(*words, env=alone)
    assert mute.status == 13, mute.stderr
    assert "ansible_password" in mute.stderr
    asked = {f"Password of bench@{lab.address(name)}": PASSWORD for name in (SERVER, LOAD)}
    status, shown = invoke_at_terminal(words, asked, alone)
    assert status == 0, shown
    assert shown.count("Password of") == 2
    assert PASSWORD not in shown
    known = lab.inventory(
        "known",
        server={**given, "ansible_password": PASSWORD},
        loadgen={**given, "ansible_password": PASSWORD},
        database={"absent": ""},
    )
    shutil.copy(inventory.parent / "known_hosts", known.parent)
    read = run("hosts.check", "--hosts", str(known), env=alone)
    assert read.status == 0, read.stderr
