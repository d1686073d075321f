"""A whole benchmark with eight load hosts, of Debian 12 and 13 in turn: unlike Pythons, and none left out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from inventory.lab import LabHost, lab_hosts, up
from tests.helpers.own_lab import Lab, own_lab
from tests.helpers.program import ended_well, run, run_results

pytestmark = [pytest.mark.lab, pytest.mark.pipeline, pytest.mark.timeout(900)]

LOAD_HOSTS = 8
ONE_CELL = ("--servers", "uvicorn", "--endpoints", "shortbody")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("large")
    with own_lab(folder, "large", loadgens=LOAD_HOSTS, network="198.19", releases=("bookworm", "trixie")) as (
        spec,
        hosts,
    ):
        yield Lab(folder, spec, hosts)


def release_of(host: LabHost) -> str:
    facts = dict(
        line.split("=", 1) for line in (host.root / "etc/os-release").read_text().splitlines() if line
    )
    return facts["VERSION_CODENAME"].strip('"')


def test_eight_load_hosts_of_two_releases_carry_one_load(lab: Lab) -> None:
    assert [release_of(host) for host in lab.hosts.values()] == ["bookworm", "trixie"] * 4 + ["bookworm"]
    done = run(*lab.bench("--name", "mixed", *ONE_CELL))
    assert ended_well(done, lab.results / "mixed"), done.stderr
    assert all(f"{name}: provisioned" in done.stderr for name in lab.hosts)
    (one,) = run_results(lab.results / "mixed")
    assert {worker["host"] for worker in one["load_workers"]} == set(lab.hosts) - {"large-server"}
    assert one["counts"]["engine"] == one["counts"]["locust"] == one["counts"]["spool"] > 0
    facts = msgspec.json.decode((lab.results / "mixed" / "hosts.json").read_bytes())["facts"]
    pythons = {name: facts[name]["python_version"].rsplit(".", 1)[0] for name in lab.hosts}
    assert pythons["large-load-1"] == "3.13"
    assert pythons["large-load-2"] == pythons["large-server"] == "3.11"
    summary = msgspec.json.decode((lab.results / "mixed" / "summary.json").read_bytes())
    assert "unlike_pythons" in {warning["code"] for warning in summary["warnings"]}


def test_two_lost_hosts_of_eight_are_both_named(lab: Lab) -> None:
    """Nothing of the others stays behind, and the order of the hosts does not decide who is told of."""
    lost = ("large-load-3", "large-load-8")
    for name in lost:
        lab.hosts[name].stop_sshd()
    try:
        done = run(*lab.bench("--name", "lost", *ONE_CELL))
    finally:
        for name in lost:
            lab.hosts[name].start_sshd()
    assert done.status == 11, done.stderr
    told = done.stderr.partition("2 hosts failed")[2]
    assert all(name in told for name in lost), done.stderr
    assert not any(name in told for name in lab.hosts if name not in lost), done.stderr
    assert all(lab.processes_on(name) == [] for name in lab.hosts)


def test_a_host_that_is_to_run_another_release_is_replaced(lab: Lab) -> None:
    server, load = lab.hosts["large-server"], lab.hosts["large-load-1"]
    kept = load.init
    smaller = msgspec.structs.replace(lab.spec, loadgens=1, releases=("trixie",))
    up(smaller, inventory_directory=lab.folder, report=lambda line: None)
    assert [release_of(host) for host in (server, load)] == ["trixie", "trixie"]
    assert load.init == kept
    assert len(lab_hosts(lab.spec.state_directory)) == 2
