"""Several environments in one inventory, templates and inline vaults, by the real Ansible; database URLs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.environment.hosts import Host, Inventory
from bench.errors import InventoryError
from inventory.database_url import parse_database_url
from inventory.read import read_inventory
from inventory.templates import parse_answers

ROOT = Path(__file__).parents[2]
SEVERAL = """\
server:
  hosts:
    p1:
    s1:
loadgen:
  hosts:
    p2:
    s2:
    s3:
database:
  hosts:
    p3:
prod:
  hosts:
    p[1:3]:
staging:
  hosts:
    s[1:3]:
  vars:
    ansible_user: stage
half:
  hosts:
    s1:
"""
TEMPLATES = """\
all:
  vars:
    network: 192.0.2
    base_port: 2200
server:
  hosts:
    web:
      ansible_host: "{{ network }}.7"
      ansible_port: "{{ base_port + 22 }}"
      asgibench_cores: "{{ [0, 1] }}"
      not_ours: "{{ nowhere }}"
loadgen:
  hosts:
    load:
      ansible_host: 192.0.2.8
"""


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def read(hosts: str) -> Inventory:
    return read_inventory(hosts, root=ROOT)


def refused(hosts: str) -> InventoryError:
    with pytest.raises(InventoryError) as caught:
        read(hosts)
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    return caught.value


# ---------------------------------------------------------------- several environments


def test_a_group_chooses_one_of_several_environments(tmp_path: Path) -> None:
    file = written(tmp_path, "cloud.yml", SEVERAL)
    prod, staging = read(f"{file}:prod"), read(f"{file}:staging")
    assert [host.name for host in prod.hosts] == ["p1", "p3", "p2"]
    assert [host.name for host in staging.hosts] == ["s1", "s2", "s3"]
    assert (prod.name, prod.wanted, prod.path) == ("cloud-prod", f"{file}:prod", str(file))
    assert staging.database is None
    assert {host.ssh_user for host in staging.hosts} == {"stage"}


def test_of_several_environments_none_is_taken_by_itself(tmp_path: Path) -> None:
    file = written(tmp_path, "cloud.yml", SEVERAL)
    error = refused(str(file))
    assert "group server: 2 hosts (p1, s1)" in error.message
    assert error.remedy == f"Choose one environment: --hosts {file}:prod or {file}:staging"


@pytest.mark.parametrize(
    ("group", "message", "remedy"),
    [
        ("prd", "no group prd", "Did you mean cloud:prod? Environments there: prod, staging"),
        ("server", "server is a role", "Environments there: prod, staging"),
        ("half", "group loadgen: missing", "group loadgen"),
        ("", "names no group", "INVENTORY:GROUP"),
    ],
)
def test_a_group_that_is_no_environment_is_refused(
    group: str, message: str, remedy: str, tmp_path: Path
) -> None:
    error = refused(f"{written(tmp_path, 'cloud.yml', SEVERAL)}:{group}")
    assert message in error.message
    assert remedy in error.remedy


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path: Path) -> None:
    plain = "server:\n  hosts:\n    a:\nloadgen:\n  hosts:\n    b:\n"
    assert read(str(written(tmp_path, "odd:name.yml", plain))).server.name == "a"


def test_a_missing_file_is_missing_whatever_its_group(tmp_path: Path) -> None:
    assert "no such file" in refused(f"{tmp_path}/none.yml:prod").message


# ---------------------------------------------------------------- templates, vaults


def test_templates_are_filled_in_by_ansible_and_others_are_left_alone(tmp_path: Path) -> None:
    web = read(str(written(tmp_path, "lab.yml", TEMPLATES))).server
    assert (web.ssh_host, web.ssh_port, web.cores) == ("192.0.2.7", 2222, (0, 1))


def test_a_template_that_cannot_be_filled_in_is_refused_by_name(tmp_path: Path) -> None:
    text = TEMPLATES.replace("asgibench_cores:", "ansible_user: '{{ missing }}'\n      asgibench_cores:")
    error = refused(str(written(tmp_path, "lab.yml", text)))
    assert "host web: ansible_user: can't be filled in" in error.message
    assert "'missing' is undefined" in error.message


def test_values_encrypted_inline_are_read_with_the_vaults_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = written(tmp_path, "password", "open sesame\n")
    encrypted = subprocess.run(
        [Path(sys.executable).parent / "ansible-vault", "encrypt_string", "geheim", "--name", "PLACE"],
        env={**os.environ, "ANSIBLE_VAULT_PASSWORD_FILE": str(password), "LC_ALL": "C.UTF-8"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    indented = "".join(f"      {line}\n" for line in encrypted.splitlines())
    vaulted = indented.replace("PLACE", "ansible_password")
    file = written(tmp_path, "lab.yml", TEMPLATES.replace("      not_ours", f"{vaulted}      not_ours"))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    error = refused(str(file))
    assert "ansible_password" in error.message
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in error.remedy
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    host = read(str(file)).server
    assert host.ssh_password == "geheim"
    assert host.without_secrets().ssh_password is None


def test_answers_of_all_hosts_are_told_apart_though_one_has_failed() -> None:
    answers = parse_answers(
        'a | SUCCESS => {\n  "msg": {"x": "} b | SUCCESS => "}\n}\n[ERROR]: oh\n'
        'b | FAILED! => {"msg": "no"}\n'
        "c | FAILED! => nothing\n"
    )
    assert answers["a"] == ("SUCCESS", {"msg": {"x": "} b | SUCCESS => "}})
    assert answers["b"] == ("FAILED", {"msg": "no"})
    assert answers["c"][0] == "FAILED"


# ---------------------------------------------------------------- an existing database


def test_a_database_url_is_read_and_shown_without_its_credentials() -> None:
    for url, shown in (
        ("postgresql://u:p%40w@db.example/app", "db.example:5432/app"),
        ("postgres://u:secret@[fd00::1]:6000/app?sslmode=require", "[fd00::1]:6000/app"),
    ):
        existing = parse_database_url(url)
        assert (existing.url, existing.shown) == (url, shown)
        assert repr(existing) == f"ExistingDatabase({shown})"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:sesame@db/app",
        "u:sesame@db/app",
        "postgresql://db/app?password=sesame",
        "postgresql:///app?host=/run&password=sesame",
        "postgresql://u:sesame@db/",
        "postgresql://u:sesame@a,b/app",
        "postgresql://u:sesame@db:port/app",
    ],
)
def test_what_is_no_database_url_is_refused_without_being_shown(url: str, tmp_path: Path) -> None:
    text = f"server:\n  hosts:\n    a:\n      asgibench_database_url: {url}\nloadgen:\n  hosts:\n    b:\n"
    error = refused(str(written(tmp_path, "lab.yml", text)))
    assert "host a: asgibench_database_url: is no URL" in error.message
    assert "sesame" not in str(error)
    assert error.__cause__ is None


def test_two_databases_are_refused(tmp_path: Path) -> None:
    text = (
        "all:\n  vars:\n    asgibench_database_url: postgresql://u:p@db/app\n"
        "server:\n  hosts:\n    a:\nloadgen:\n  hosts:\n    b:\ndatabase:\n  hosts:\n    c:\n"
    )
    assert "name two databases" in refused(str(written(tmp_path, "lab.yml", text))).message


def test_secrets_are_not_kept() -> None:
    host = Host("a", (), ssh_password="p", ssh_key_passphrase="q")
    assert host.without_secrets() == Host("a", ())
