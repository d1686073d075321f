"""CPU quotas of control groups: the kernel's files of both versions, and what the judge makes of them.

The files have the formats of the kernel's Documentation/scheduler/sched-bwc.rst (first version) and
Documentation/admin-guide/cgroup-v2.rst (second), and of proc_pid_mountinfo(5).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.judge.figures import CpuUse, LoadUse, RunFigures
from bench.judge.judge import judge
from bench.results.quota import Party, QuotaUse
from bench.samples.quotas import quota_use
from bench.samples.read import parse_samples
from bench.samples.view import HostSamples
from remote.onhost.quota import Mount, Quotas, cfs_cores, cpu_mount, folders_of, group_of, max_cores
from tests.helpers.samples_example import MONOTONIC, WALL, end, head, sample

SECOND = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
FIRST = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "36 31 0:33 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
)
HYBRID = FIRST + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
IN_A_CONTAINER = "700 650 0:29 /docker/abc /sys/fs/cgroup/cpu ro master:9 - cgroup cgroup rw,cpu\n"


def test_the_controllers_tree_is_found_in_either_version() -> None:
    assert cpu_mount(SECOND) == Mount(2, "/", "/sys/fs/cgroup")
    assert cpu_mount(FIRST) == Mount(1, "/", "/sys/fs/cgroup/cpu,cpuacct")
    assert cpu_mount(HYBRID) == Mount(1, "/", "/sys/fs/cgroup/cpu,cpuacct")
    assert cpu_mount(SECOND.replace("/sys/fs/cgroup", "/my\\040groups")) == Mount(2, "/", "/my groups")
    assert cpu_mount("23 1 254:0 / / rw - ext4 /dev/vda rw\n") is None


def test_a_processs_group_is_that_of_the_version() -> None:
    text = "3:cpuset:/set\n2:cpu,cpuacct:/a/b\n0::/user.slice/one.scope\n"
    assert group_of(text, 1) == "/a/b"
    assert group_of(text, 2) == "/user.slice/one.scope"
    assert group_of("3:cpuset:/set\n", 1) is None


@pytest.mark.parametrize(
    ("group", "root", "folders"),
    [
        ("/a/b", "/", ("/m/a/b", "/m/a", "/m")),
        ("/", "/", ("/m",)),
        ("/docker/abc", "/docker/abc", ("/m",)),
        ("/docker/abc/x", "/docker/abc", ("/m/x", "/m")),
        ("/docker/abcd", "/docker/abc", ("/m",)),
        ("/../other", "/", ("/m",)),
    ],
)
def test_the_folders_of_a_group_are_its_own_and_all_above_that_are_mounted(
    group: str, root: str, folders: tuple[str, ...]
) -> None:
    assert folders_of(group, Mount(2, root, "/m")) == folders
    assert cpu_mount(IN_A_CONTAINER) == Mount(1, "/docker/abc", "/sys/fs/cgroup/cpu")


def test_a_quota_in_cores() -> None:
    assert max_cores(b"50000 100000\n") == 0.5
    assert max_cores(b"max 100000\n") is None
    assert cfs_cores(b"250000\n", b"100000\n") == 2.5
    assert cfs_cores(b"-1\n", b"100000\n") is None


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_cpu_max_of_every_parent_is_read_with_its_throttling(tmp_path: Path) -> None:
    """The second version: no quota on the process's own group, one above it, and a wider one above that."""
    stat = "usage_usec 900\nuser_usec 500\nnr_periods {}\nnr_throttled {}\nthrottled_usec {}\n"
    write(tmp_path, cpu__stat="usage_usec 7\n")
    write(tmp_path / "pods", cpu__max="400000 100000\n", cpu__stat=stat.format(121, 0, 0))
    write(tmp_path / "pods/one", cpu__max="50000 100000\n", cpu__stat=stat.format(121, 88, 3_500_000))
    write(tmp_path / "pods/one/app", cpu__max="max 100000\n", cpu__stat=stat.format(0, 0, 0))
    quotas = Quotas(Mount(2, "/", str(tmp_path)))
    tightest, wider = quotas.rows([b"0::/pods/one/app\n"])
    assert tightest == (f"{tmp_path}/pods/one", 0.5, 121, 88, 3.5)
    assert wider == (f"{tmp_path}/pods", 4.0, 121, 0, 0.0)
    # A quota that is changed in mid-run is read anew.
    write(tmp_path / "pods/one", cpu__max="max 100000\n")
    assert [row.group for row in quotas.rows([b"0::/pods/one/app\n"])] == [f"{tmp_path}/pods"]
    quotas.close()


def test_cfs_quotas_of_the_first_version_are_read(tmp_path: Path) -> None:
    write(
        tmp_path / "a",
        cpu__cfs_quota_us="150000\n",
        cpu__cfs_period_us="100000\n",
        cpu__stat="nr_periods 40\nnr_throttled 4\nthrottled_time 250000000\nnr_bursts 0\nburst_time 0\n",
    )
    write(tmp_path / "a/b", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    quotas = Quotas(Mount(1, "/", str(tmp_path)))
    # Two processes of one group, and one of a group below it, are in one quota.
    assert quotas.rows([b"2:cpu:/a\n", b"2:cpu:/a/b\n", b"2:cpu:/a/b\n"]) == (
        (f"{tmp_path}/a", 1.5, 40, 4, 0.25),
    )
    quotas.close()


def test_without_control_groups_there_is_no_quota() -> None:
    assert Quotas(None).rows([b"0::/a\n"]) == ()


# ---------------------------------------------------------------- the samples


def quota_sample(seconds: float, **rows: list[list[Any]]) -> bytes:
    return sample(seconds, [1, 1, 0.0], t=WALL + seconds, c=0.0, late=0.0, missed=0, q=rows)


def test_the_windows_own_throttling_counts_and_who_is_in_the_group() -> None:
    lines = head(targets={"server": 1, "database": 2, "h/0": 3})
    for second in range(6):
        above = ["/g/all", 2.0, 10 * second, second, 0.1 * second]
        alone = ["/g/all/server", 0.5, 10 * second, 9 * second, 0.4 * second]
        lines += quota_sample(second, server=[alone, above], **{"h/0": [above]})
    samples = parse_samples(lines + end(7))
    own, shared = quota_use(samples, "there", (MONOTONIC + 1, MONOTONIC + 4))
    assert (own.group, own.parties, own.cores) == ("/g/all/server", ("server",), 0.5)
    assert (own.periods, own.throttled_periods) == (30, 27)
    assert own.throttled_seconds == pytest.approx(1.2)
    assert (shared.parties, shared.periods, shared.throttled_periods) == (("server", "load"), 30, 3)
    assert own.throttled_share == pytest.approx(0.9)
    # A window in which one reading lies has the ones beside it.
    (found, _) = HostSamples(samples, (MONOTONIC + 1.8, MONOTONIC + 2.4)).quotas("there")
    assert found.periods == 20


# ---------------------------------------------------------------- the judge


def quota(*parties: Party, throttled: int = 88) -> tuple[QuotaUse, ...]:
    return (QuotaUse("there", "/g", parties, 0.5, 121, throttled, 3.5),)


def figures(server: float = 0.5, **rest: Any) -> RunFigures:
    return RunFigures(10_000, CpuUse(server, 1.0), (LoadUse("w1", 0.3),), **rest)


def test_a_server_throttled_in_88_of_121_periods_is_held_back_by_its_quota_and_so_said() -> None:
    judged = judge(figures(quotas=quota("server")))
    assert (judged.limit, judged.valid) == ("cpu_quota", True)
    (reason,) = judged.as_reasons()
    assert (reason.code, reason.unranks) == ("CpuQuota", True)
    assert reason.text == (
        "the server has a CPU quota of 0.5 cores on there, which stopped it in 88 of 121 periods, for "
        "3.50 s in all: the figure is that of the server within this quota"
    )


@pytest.mark.parametrize("parties", [("server", "load"), ("load",), ("database",), ("server", "database")])
def test_a_quota_on_more_than_the_server_voids_the_run(parties: tuple[Party, ...]) -> None:
    judged = judge(figures(quotas=quota(*parties)))
    assert (judged.limit, judged.valid) == ("cpu_quota", False)
    measured = judge(figures(quotas=quota(*parties), generator_is_measured=True))
    assert (measured.limit, measured.valid) == ("cpu_quota", True)


def test_a_quota_that_stops_hardly_ever_is_no_limit() -> None:
    judged = judge(figures(quotas=quota("server", throttled=3)))
    assert judged == judge(figures())
    assert judged.limit != "cpu_quota"


def test_a_server_that_fills_its_core_all_the_same_is_the_limit() -> None:
    judged = judge(figures(server=0.97, quotas=quota("server", "load")))
    assert (judged.limit, judged.valid) == ("server_cpu", True)
    assert [reason.code for reason in judged.as_reasons()] == ["CpuQuotaBesideFullServer"]


def test_of_groups_above_each_other_the_one_that_stopped_longest_is_named() -> None:
    wider = QuotaUse("there", "/", ("server",), 4.0, 121, 10, 0.2)
    (reason,) = judge(figures(quotas=(wider, *quota("server")))).as_reasons()
    assert "0.5 cores" in reason.text
