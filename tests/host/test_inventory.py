"""Inventories: read by the real ansible-inventory where a file is given, built from its JSON elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.environment.hosts import Host, Inventory
from bench.errors import InventoryError
from inventory.find import find_inventory, inventory_names
from inventory.listing import Listing, list_inventory, parse_listing
from inventory.programs import find_programs
from inventory.read import build_inventory, read_inventory
from inventory.ssh_arguments import parse_ssh_arguments
from inventory.values import parse_cores
from inventory.variables import VARIABLES

ROOT = Path(__file__).parents[2]
YAML = """\
server:
  children:
    web:
      hosts:
        w1:
          ansible_host: 192.0.2.1
          ansible_port: 2222
          ansible_user: bench
          asgibench_address: 10.0.0.1
          asgibench_bind: 0.0.0.0
          asgibench_cores: 0-1,3
          asgibench_workdir: ~/bench
loadgen:
  hosts:
    l[1:2]:
      asgibench_python: /opt/python
  vars:
    ansible_ssh_common_args: -J ops@gate:2200
database:
  hosts:
    l1:
all:
  vars:
    asgibench_controller_cores: "1"
"""
INI = """\
[web]
w1 ansible_host=192.0.2.1 ansible_port=2222 ansible_user=bench asgibench_address=10.0.0.1

[web:vars]
asgibench_bind=0.0.0.0
asgibench_cores=0-1,3
asgibench_workdir=~/bench

[server:children]
web

[loadgen]
l[1:2] asgibench_python=/opt/python

[loadgen:vars]
ansible_ssh_common_args=-J ops@gate:2200

[database]
l1

[all:vars]
asgibench_controller_cores=1
"""


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(file: Path) -> Inventory:
    return read_inventory(str(file), root=ROOT)


def built(variables: dict[str, Any], **others: dict[str, Any]) -> Inventory:
    """An inventory whose server has ``variables`` and the load host ``others["load"]``, from JSON alone."""
    load = others.get("load", {"ansible_host": "192.0.2.2"})
    listing = Listing({"server": ("web",), "loadgen": ("load",)}, {"web": variables, "load": load})
    return build_inventory(Path("/inventories/lab.yml"), listing)


def refused(variables: dict[str, Any], **others: dict[str, Any]) -> InventoryError:
    with pytest.raises(InventoryError) as caught:
        built(variables, **others)
    assert caught.value.message.startswith("/inventories/lab.yml: ")
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(("name", "text"), [("lab.yml", YAML), ("lab.ini", INI), ("lab", INI)])
def test_yaml_and_ini_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    inventory = read(written(tmp_path, name, text))
    assert inventory.name == "lab"
    assert inventory.controller_cores == (1,)
    assert inventory.server == Host(
        name="w1",
        groups=inventory.server.groups,
        ssh_host="192.0.2.1",
        ssh_port=2222,
        ssh_user="bench",
        address="10.0.0.1",
        bind="0.0.0.0",
        workdir="~/bench",
        cores=(0, 1, 3),
    )
    assert set(inventory.server.groups) == {"server", "web"}
    assert [host.name for host in inventory.loadgen] == ["l1", "l2"]
    assert inventory.loadgen[1].address == inventory.loadgen[1].ssh_host == "l2"
    assert inventory.loadgen[1].proxy_jump == "ops@gate:2200"
    assert inventory.loadgen[1].python == "/opt/python"
    assert inventory.database == inventory.loadgen[0]
    assert [host.name for host in inventory.hosts] == ["w1", "l1", "l2"]


def test_local_inventory_is_this_machine_in_both_roles() -> None:
    inventory = read_inventory("local", root=ROOT)
    assert inventory.server == inventory.loadgen[0]
    assert inventory.server.is_local
    assert inventory.server.address == "127.0.0.1"
    assert [host.name for host in inventory.hosts] == ["localhost"]


def test_example_for_the_cloud_is_read_once_its_keys_exist(tmp_path: Path) -> None:
    text = (ROOT / "inventory" / "cloud.example.yml").read_text()
    written(tmp_path, "id_ed25519", "key")
    file = written(tmp_path, "cloud.yml", text.replace("~/.ssh/id_ed25519", "id_ed25519"))
    inventory = read(file)
    assert inventory.server.address == "10.0.0.10"
    assert inventory.server.ssh_host == "203.0.113.10"
    assert [host.name for host in inventory.loadgen] == ["cloud-load", "macbook"]
    assert inventory.loadgen[1].proxy_jump == "anna@gate.example.org"
    assert {host.ssh_key_file for host in inventory.hosts} == {str(tmp_path / "id_ed25519")}


def test_dynamic_inventory_is_run(tmp_path: Path) -> None:
    json_text = '{"server": {"hosts": ["w1"]}, "loadgen": {"hosts": ["l1"]}, "_meta": {"hostvars": {}}}'
    file = written(tmp_path, "cloud", f"#!/bin/sh\necho '{json_text}'\n")
    file.chmod(0o755)
    assert read(file).server.name == "w1"


def test_variables_beside_the_inventory_count(tmp_path: Path) -> None:
    file = written(tmp_path, "lab.yml", YAML)
    written(tmp_path, "host_vars/l2.yml", "ansible_user: other\n")
    assert read(file).loadgen[1].ssh_user == "other"


MERGED = """
all:
  vars:
    site: &site
      ansible_user: deploy
      ansible_port: 22
server:
  hosts:
    w1:
      <<: *site
      ansible_port: 2222
loadgen:
  hosts:
    l1: {ansible_host: other}
"""


def test_what_a_merge_key_says_anew_is_no_duplicate(tmp_path: Path) -> None:
    server = read(written(tmp_path, "lab.yml", MERGED)).server
    assert (server.ssh_port, server.ssh_user) == (2222, "deploy")
    twice = MERGED.replace("ansible_port: 2222", "ansible_port: 2222\n      ansible_port: 2223")
    with pytest.raises(InventoryError, match=r"line 12: duplicate mapping key 'ansible_port'"):
        read(written(tmp_path, "lab.yml", twice))


def test_a_duplicate_beside_the_inventory_is_refused_by_its_own_file(tmp_path: Path) -> None:
    file = written(tmp_path, "lab.yml", YAML)
    beside = written(tmp_path, "host_vars/l2.yml", "ansible_user: one\nansible_user: two\n")
    with pytest.raises(InventoryError, match="line 2: duplicate mapping key 'ansible_user'") as caught:
        read(file)
    assert str(beside) in caught.value.message


def test_the_users_ansible_cfg_does_not_change_how_answers_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = written(tmp_path, "ansible.cfg", "[defaults]\ncallback_result_format = yaml\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(settings))
    text = "server:\n  hosts:\n    w1: {ansible_user: \"{{ 'a' ~ 'b' }}\"}\nloadgen:\n  hosts:\n    l1:\n"
    assert read(written(tmp_path, "lab.yml", text)).server.ssh_user == "ab"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("lab.yml", "server:\n  hosts: [\n", r"lab\.yml: line \d+: YAML parsing failed"),
        ("lab.ini", "[server\nw1\n", r"lab\.ini: Failed to parse inventory"),
        ("lab.yml", "server:\n  hosts:\n    w1:\n    w1:\n", r"lab\.yml: .*duplicate mapping key 'w1'"),
        ("lab.yml", "server:\n  host:\n    w1:\n", r"lab\.yml: unexpected key \(host\) in group \(server\)"),
        ("lab.yml", "", r"lab\.yml: group server: missing: the file names no group and no host"),
        ("lab.ini", "", r"lab\.ini: group server: missing: the file names no group and no host"),
        ("lab.yml", "plugin: no.such.plugin\n", r"lab\.yml: .*no\.such\.plugin"),
        ("lab.yml", "servers:\n  hosts:\n    w1:\n", r"group server: missing; the groups are: servers"),
        ("lab.ini", "[server]\nw1\n", r"lab\.ini: group loadgen: missing; the groups are: server"),
        ("lab.ini", "[server]\nw1\n[loadgen]\nl1\n[database]\n", r"group database: has no host"),
        (
            "lab.ini",
            "[server]\nw1 asgibench_adress=10.0.0.1\n[loadgen]\nl1\n",
            r"lab\.ini: host w1: asgibench_adress: unknown variable",
        ),
    ],
)
def test_broken_inventory_is_an_error_naming_the_file(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InventoryError, match=message) as caught:
        read(written(tmp_path, name, text))
    assert caught.value.message.startswith(str(tmp_path / name))
    assert "\n" not in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("groups", "message", "remedy"),
    [
        ({"server": ("a", "b"), "loadgen": ("c",)}, "group server: 2 hosts (a, b)", "Leave one"),
        ({"server": ("a",), "loadgen": ()}, "group loadgen: has no host", "at least one host"),
        ({"server": ("a",), "loadgen": ("b",), "database": ()}, "group database: has no host", "one host"),
        (
            {"server": ("a",), "loadgen": ("b",), "database": ("c", "d")},
            "group database: 2 hosts (c, d)",
            "Leave one",
        ),
        (
            {"server": ("a",), "loadgens": ("b",)},
            "group loadgen: missing; the groups are: server, loadgens",
            "Rename the group loadgens to loadgen",
        ),
    ],
)
def test_role_with_too_many_or_too_few_hosts_is_refused(
    groups: dict[str, tuple[str, ...]], message: str, remedy: str
) -> None:
    with pytest.raises(InventoryError) as caught:
        build_inventory(Path("/inventories/lab.yml"), Listing(groups, {}))
    assert caught.value.message.startswith(f"/inventories/lab.yml: {message}")
    assert remedy in caught.value.remedy


def test_file_encrypted_by_vault_is_read_with_its_password_and_else_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "lab.yml", YAML)
    secrets = written(tmp_path, "group_vars/server.yml", "ansible_password: geheim\n")
    password = written(tmp_path, "password", "open sesame\n")
    subprocess.run(
        [Path(sys.executable).parent / "ansible-vault", "encrypt", secrets],
        env={**os.environ, "ANSIBLE_VAULT_PASSWORD_FILE": str(password)},
        check=True,
        capture_output=True,
    )
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    with pytest.raises(InventoryError, match="vault") as caught:
        read(file)
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in caught.value.remedy
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    assert read(file).server.ssh_password == "geheim"


def test_users_settings_do_not_change_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ANSIBLE_VERBOSITY": "3",
        "ANSIBLE_FORCE_COLOR": "1",
        "ANSIBLE_INVENTORY_EXPORT": "1",
        "LC_ALL": "xx_YY.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    inventory = read(written(tmp_path, "lab.ini", INI))
    assert inventory.server.bind == "0.0.0.0"


def test_names_find_files_with_any_ending(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    (folder / "lab").mkdir(parents=True)
    for name in ("lab.yml", "cloud.yaml", "office.ini", "plain", "x.example.yml"):
        written(folder, name, INI)
    for name, file in {
        "lab": "lab.yml",
        "lab.yml": "lab.yml",
        "cloud": "cloud.yaml",
        "office": "office.ini",
        "plain": "plain",
    }.items():
        assert find_inventory(name, root=tmp_path) == folder / file
    assert inventory_names(tmp_path) == ("cloud", "lab", "office")
    written(folder, "lab.ini", INI)
    with pytest.raises(InventoryError, match=r"'lab' fits several inventories: .*lab\.yml, .*lab\.ini"):
        find_inventory("lab", root=tmp_path)
    assert find_inventory("lab.ini", root=tmp_path) == folder / "lab.ini"


def test_missing_inventory_names_those_that_exist(tmp_path: Path) -> None:
    written(tmp_path / "inventory", "local.yml", YAML)
    with pytest.raises(InventoryError, match="no inventory 'locl' in") as caught:
        find_inventory("locl", root=tmp_path)
    assert "Did you mean 'local'? There are: local" in caught.value.remedy
    with pytest.raises(InventoryError, match=r"nowhere/lab\.yml: no such file"):
        find_inventory(str(tmp_path / "nowhere" / "lab.yml"), root=tmp_path)
    with pytest.raises(InventoryError, match="is a folder"):
        find_inventory(str(tmp_path), root=tmp_path)
    with pytest.raises(InventoryError, match="has a comma in it"):
        find_inventory(str(written(tmp_path, "a,b/lab.yml", YAML)), root=tmp_path)
    with pytest.raises(InventoryError, match="no inventory is named"):
        find_inventory(" ", root=tmp_path)
    with pytest.raises(InventoryError) as caught:
        find_inventory("lab", root=tmp_path / "empty")
    assert "cloud.example.yml" in caught.value.remedy


def test_users_own_program_comes_before_ours(tmp_path: Path) -> None:
    own, users, dead = tmp_path / "own", tmp_path / "users", tmp_path / "dead"
    for folder in (own, users):
        program = written(folder, "ansible-inventory", "#!/bin/sh\nexit 127\n")
        program.chmod(0o755)
    written(dead, "ansible-inventory", "not a program")
    found = find_programs([own, dead, tmp_path / "none", users], own)
    assert found == (users / "ansible-inventory", own / "ansible-inventory")
    assert find_programs([dead], dead) == ()


def test_program_that_is_only_a_shim_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims, stale = tmp_path / "shims", tmp_path / "stale"
    written(shims, "ansible-inventory", "#!/bin/sh\nexit 127\n").chmod(0o755)
    written(stale, "ansible-inventory", "#!/no/such/python\n").chmod(0o755)
    monkeypatch.setenv("PATH", f"{shims}:{stale}:{os.environ['PATH']}")
    assert list_inventory(written(tmp_path, "lab.ini", INI)).groups["web"] == ("w1",)


def test_program_that_prints_something_else_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="can't be read") as caught:
        parse_listing(tmp_path / "lab.yml", "Using no config file\n{}")
    assert "ansible-inventory --list" in caught.value.remedy


def test_groups_hold_their_childrens_hosts_once_even_in_a_ring() -> None:
    text = """{"_meta": {"hostvars": {"a": {"user": {"__ansible_unsafe": "{{"}}}},
    "server": {"hosts": ["a"], "children": ["inner", "empty"]},
    "inner": {"hosts": ["b", "a"], "children": ["server"]}}"""
    listing = parse_listing(Path("lab.yml"), text)
    assert listing.groups == {"server": ("a", "b"), "inner": ("b", "a"), "empty": ()}
    assert listing.variables == {"a": {"user": "{{"}}


def test_plain_host_needs_no_variable() -> None:
    host = built({}).server
    assert (host.connection, host.ssh_host, host.address) == ("ssh", "web", "web")
    assert (host.ssh_port, host.ssh_user, host.ssh_key_file, host.python) == (None, None, None, None)


def test_ansibles_other_names_are_read() -> None:
    host = built(
        {
            "ansible_ssh_host": "[2001:db8::1]",
            "ansible_ssh_port": "22",
            "ansible_ssh_user": 1000,
            "ansible_ssh_pass": "a b",
            "ansible_connection": "ansible.builtin.paramiko_ssh",
            "ansible_python_interpreter": "/usr/bin/python3.12",
        }
    ).server
    assert (host.ssh_host, host.ssh_port, host.ssh_user) == ("2001:db8::1", 22, "1000")
    assert (host.ssh_password, host.connection, host.python) == ("a b", "ssh", "/usr/bin/python3.12")


def test_own_python_comes_before_ansibles_and_auto_is_none() -> None:
    both = {"asgibench_python": "/a", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    assert built(both).server.python == "/a"
    assert built({"ansible_python_interpreter": "auto_silent"}).server.python is None


def test_an_interpreter_by_env_is_the_name_alone() -> None:
    assert built({"ansible_python_interpreter": "/usr/bin/env python3"}).server.python == "python3"
    assert built({"asgibench_python": "/opt/my python"}).server.python == "/opt/my python"


def test_key_file_is_relative_to_the_inventory_and_must_be_readable(tmp_path: Path) -> None:
    listing = Listing(
        {"server": ("web",), "loadgen": ("load",)}, {"web": {"ansible_private_key_file": "keys/k"}}
    )
    with pytest.raises(InventoryError, match="ansible_private_key_file: there is no file") as caught:
        build_inventory(tmp_path / "lab.yml", listing)
    assert str(tmp_path / "keys" / "k") in caught.value.message
    assert "ssh-keygen" in caught.value.remedy
    key = written(tmp_path, "keys/k", "key")
    assert build_inventory(tmp_path / "lab.yml", listing).server.ssh_key_file == str(key)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_key_file_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, "k", "key").chmod(0)
    with pytest.raises(InventoryError, match="can't be read"):
        build_inventory(
            tmp_path / "lab.yml",
            Listing({"server": ("web",), "loadgen": ("web",)}, {"web": {"ansible_private_key_file": "k"}}),
        )


def test_home_is_filled_in_for_key_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "k", "key")
    assert built({"ansible_ssh_private_key_file": "~/k"}).server.ssh_key_file == str(tmp_path / "k")


@pytest.mark.parametrize(
    ("variables", "message", "remedy"),
    [
        ({"asgibench_adress": "x"}, "asgibench_adress: unknown", "Did you mean asgibench_address?"),
        ({"asgibench_core": 1}, "asgibench_core: unknown", "asgibench_cores"),
        ({"ansible_host": "{{ ip }}"}, "ansible_host: '{{ ip }}' is a template", "the value itself"),
        ({"asgibench_cores": ["{% x %}"]}, "asgibench_cores: .* is a template", "the value itself"),
        (
            {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "ansible_python_interpreter: .* is a template",
            "the value itself",
        ),
        ({"ansible_password": {"__ansible_vault": "$A"}}, "ansible_password: encrypted", "ansible-vault"),
        ({"ansible_port": 0}, "ansible_port: 0 is not a port", "65535"),
        ({"ansible_port": "ssh"}, "ansible_port: 'ssh' is not a port", "65535"),
        ({"ansible_user": 1e5}, "ansible_user: 100000.0 is not text", "quotes"),
        ({"asgibench_bind": True}, "asgibench_bind: True is not text", "quotes"),
        ({"ansible_host": None}, "ansible_host: has no value", "take the line out"),
        ({"ansible_ssh_private_key_file": ""}, "ansible_ssh_private_key_file: has no value", "take the line"),
        ({"ansible_connection": "winrm"}, "ansible_connection: 'winrm' is not supported", "ssh or local"),
        ({"asgibench_cores": "3-1"}, "asgibench_cores: '3-1' names no cores", "0-3,5"),
        ({"asgibench_workdir": "bench"}, "asgibench_workdir: 'bench' is a relative path", "~/"),
        ({"asgibench_workdir": "~/"}, "asgibench_workdir: '~/' is not a folder of its own", "~/asgibench"),
        ({"asgibench_workdir": "/"}, "asgibench_workdir: '/' is not a folder of its own", "~/asgibench"),
        ({"asgibench_workdir": "~/a/.."}, "'~/a/..' is not a folder of its own", "~/asgibench"),
        ({"ansible_ssh_private_key": "---"}, "ansible_ssh_private_key: not supported", "private_key_file"),
        (
            {"ansible_ssh_common_args": "-o StrictHostKeyChecking=no -J gate"},
            "ansible_ssh_common_args: StrictHostKeyChecking can't be honoured",
            "ProxyJump",
        ),
        ({"ansible_ssh_extra_args": "-A"}, "ansible_ssh_extra_args: -A can't be honoured", "ProxyJump"),
        ({"ansible_ssh_args": "-C -c none"}, "ansible_ssh_args: -c, none can't be honoured", "ProxyJump"),
        ({"ansible_ssh_extra_args": "-J 'a"}, "ansible_ssh_extra_args: .* can't be split", "quotes"),
        ({"ansible_ssh_extra_args": "-J a,,b"}, "'a,,b' names no jump hosts", "with commas"),
        ({"ansible_ssh_extra_args": "-J a:ssh"}, "'a:ssh' names no jump hosts", "with commas"),
        ({"ansible_ssh_extra_args": "-J"}, "'' names no jump hosts", "with commas"),
        ({"asgibench_source_address": "web"}, "'web' is no IP address", "10.0.0.10"),
    ],
)
def test_value_that_cannot_be_used_is_an_error_naming_its_key(
    variables: dict[str, Any], message: str, remedy: str
) -> None:
    error = refused(variables)
    assert re.search(f"host web: .*{message}|host web: {message}", error.message)
    assert remedy in error.remedy


def test_two_names_for_one_machine_are_refused() -> None:
    error = refused(
        {"ansible_host": "box", "ansible_port": 22, "asgibench_address": "10.0.0.1"},
        load={"ansible_host": "BOX"},
    )
    assert "the hosts web and load are the same machine" in error.message


def test_one_address_behind_different_ports_users_or_jump_hosts_is_fine() -> None:
    for load in (
        {"ansible_host": "box", "ansible_port": 2222},
        {"ansible_host": "box", "ansible_user": "other"},
        {"ansible_host": "box", "ansible_ssh_common_args": "-J gate"},
    ):
        assert built({"ansible_host": "box"}, load=load).loadgen[0].ssh_host == "box"


def test_address_that_load_hosts_cannot_reach_is_refused() -> None:
    for variables in ({"ansible_connection": "local"}, {"ansible_host": "127.0.0.1", "ansible_port": 2222}):
        error = refused(variables)
        assert "asgibench_address: load can't reach it as '127.0.0.1'" in error.message
        assert built({**variables, "asgibench_address": "192.0.2.7"}).server.address == "192.0.2.7"


def test_controller_cores_that_differ_are_refused() -> None:
    cores = {"asgibench_controller_cores": "0-1"}
    assert built(cores, load={**cores}).controller_cores == (0, 1)
    assert built(cores).controller_cores == (0, 1)
    error = refused(cores, load={"asgibench_controller_cores": [1]})
    assert "asgibench_controller_cores: differs between the hosts web, load" in error.message


@pytest.mark.parametrize(
    ("value", "cores"),
    [("0-3,5", (0, 1, 2, 3, 5)), (" 2 , 1", (1, 2)), (7, (7,)), ([3, "0-1"], (0, 1, 3)), ("1,1", (1,))],
)
def test_cores_are_read(value: object, cores: tuple[int, ...]) -> None:
    assert parse_cores(value) == cores


@pytest.mark.parametrize("value", ["", "a", "-1", "1-", "0-9999999999", True, [1.5], "1_0", "٣"])
def test_what_names_no_cores_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="core"):
        parse_cores(value)


@pytest.mark.parametrize(
    ("text", "jump", "others"),
    [
        ("", None, ()),
        ("-J gate", "gate", ()),
        ("-Jgate", "gate", ()),
        ("-o ProxyJump=ops@gate:22", "ops@gate:22", ()),
        ("-oproxyjump=gate", "gate", ()),
        ("-o 'ProxyJump gate'", "gate", ()),
        ("-o ProxyJump=none", "none", ()),
        ("-J a,ssh://b@c:2200/ -J d", "a,b@c:2200", ()),
        ("-C -o ControlMaster=auto -o ControlPersist=60s -J gate", "gate", ()),
        ("-J ssh://gate:2200/", "gate:2200", ()),
        ("-o ProxyCommand='nc gate %h %p' -v", None, ("ProxyCommand", "-v")),
        ("-o ProxyCommand='ssh -W %h:%p gate' -v", "gate", ("-v",)),
        ('-o ProxyCommand="ssh -W %h:%p -q user@gate" -C', "user@gate", ()),
        ("-o proxycommand='/usr/bin/ssh -q -p 2200 -l ops -W%h:%p gate'", "ops@gate:2200", ()),
        ("-o ProxyCommand='ssh -p 7 fd00::1 -W %h:%p'", "[fd00::1]:7", ()),
        ("-o ProxyCommand='ssh -i key -W %h:%p gate'", None, ("ProxyCommand",)),
        ("-o ProxyCommand='ssh gate nc %h %p'", None, ("ProxyCommand",)),
        ("-o ProxyCommand=none", "none", ()),
    ],
)
def test_only_jump_hosts_are_read_from_ssh_arguments(
    text: str, jump: str | None, others: tuple[str, ...]
) -> None:
    assert parse_ssh_arguments(text) == (jump, others)


def test_program_is_there() -> None:
    assert shutil.which("ansible-inventory", path=str(Path(sys.executable).parent))


# ---------------------------------------------------------------- the table of variables


def test_the_document_has_the_table_of_our_variables() -> None:
    document = (ROOT / "docs" / "hosts.md").read_text()
    rows = re.findall(r"^\| `asgibench_.*\|$", document, re.MULTILINE)
    assert rows == [f"| `{one.name}` | {one.meaning} | {one.default} |" for one in VARIABLES]


def test_each_variable_is_a_field_of_what_it_is_of() -> None:
    for one in VARIABLES:
        kind = Host if one.of == "host" else Inventory
        assert one.field in kind.__struct_fields__
        assert one.name.startswith("asgibench_")


def test_a_hosts_note_is_kept_as_it_is_written() -> None:
    assert built({"asgibench_note": "c7g.large, eu-central-1"}).server.note == "c7g.large, eu-central-1"
    assert built({}).server.note is None
    assert "not text" in refused({"asgibench_note": ["c7g"]}).message
