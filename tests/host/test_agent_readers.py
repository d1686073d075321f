"""The agent's readers, trees and schedule, in this process: what a system lacks, and processes that go."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from bench.samples.memory import memory_of
from bench.samples.processes import processes_of
from bench.samples.read import Samples, parse_samples
from bench.samples.tree import tree_of
from bench.wire.agent import (
    Begin,
)
from bench.wire.samples import QuotaRow
from remote.onhost.agent import linux, portable
from remote.onhost.agent.forest import Forest
from remote.onhost.agent.host import reader_here
from remote.onhost.agent.readers import Handle, Reader
from remote.onhost.agent.run import SampledRun
from remote.onhost.agent.schedule import Schedule
from remote.onhost.processes import Gone, Kin, Unreadable
from tests.helpers.process_trees import GRANDCHILD, HOLD_50_MIB, MIB, SPAWNER, line_of, program, say
from tests.helpers.running_agent import ROOT, lines_of, whole

pytestmark = pytest.mark.alone

IS_LINUX = sys.platform.startswith("linux")


@pytest.fixture(params=["proc", "psutil"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    if request.param == "proc" and not IS_LINUX:
        pytest.skip("needs /proc")
    one: Reader = linux.ProcReader() if request.param == "proc" else portable.PsutilReader()
    yield one
    one.close()


def sample_in_this_process(reader: Reader, folder: Path, times: int = 3, **targets: int) -> Samples:
    request = Begin("one", targets, 0.01, 0.01, 60.0)
    run = SampledRun(request, reader, folder)
    for _ in range(times):
        run.sample()
    run.finish("asked")
    return parse_samples((folder / "one.jsonl").read_bytes())


def test_both_readers_see_the_same_tree(reader: Reader, tmp_path: Path) -> None:
    with program(GRANDCHILD, GRANDCHILD) as parent:
        assert line_of(parent) == "ready"
        samples = sample_in_this_process(reader, tmp_path, server=parent.pid)
        family = {parent.pid, *(child.pid for child in psutil.Process(parent.pid).children(recursive=True))}
    assert samples.header.reader == reader.name
    assert samples.header.system == platform.system()
    assert processes_of(tree_of(samples, "server"), whole(samples)).at_end == family
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.rss is not None
    assert 50 * MIB < memory.rss.median < 120 * MIB
    assert memory.uss is not None


def test_both_readers_take_a_zombie_for_gone(reader: Reader) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        handle = reader.hold(server.pid)
        assert handle.basic().threads == 1
        server.kill()
        # WNOWAIT leaves the zombie where it is.
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Gone):
            handle.basic()
        handle.close()


def test_both_readers_take_a_reaped_process_for_gone(
    reader: Reader,
) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        handle = reader.hold(server.pid)
        server.kill()
        server.wait()
        for read in (
            handle.basic,
            handle.full,
            lambda: reader.hold(server.pid),
            lambda: reader.kin(server.pid),
        ):
            with pytest.raises(Gone):
                read()
        handle.close()


class Delegate:
    """A reader that passes everything on; the tests below change one part each."""

    def __init__(self, real: Reader) -> None:
        self.real = real
        self.name = real.name
        self.absent = real.absent

    def newest(self) -> bytes | None:
        return self.real.newest()

    def pids(self) -> list[int]:
        return list(self.real.pids())

    def kin(self, pid: int) -> Kin:
        return self.real.kin(pid)

    def hold(self, pid: int) -> Handle:
        return self.real.hold(pid)

    def quotas(self, groups: Iterable[bytes]) -> tuple[QuotaRow, ...]:
        return self.real.quotas(groups)

    def close(self) -> None:
        self.real.close()


class VanishingReader(Delegate):
    """Every process but the target ends between being listed (and its kin read) and being held."""

    def __init__(self, real: Reader, target: int) -> None:
        super().__init__(real)
        self._target = target
        self.asked: list[int] = []

    def hold(self, pid: int) -> Handle:
        if pid != self._target:
            self.asked.append(pid)
            raise Gone
        return super().hold(pid)


def test_a_process_that_vanishes_between_listing_and_reading_is_left_out(
    reader: Reader, tmp_path: Path
) -> None:
    with program(SPAWNER) as server:
        assert line_of(server) == "ready"
        say(server, "child")
        child = int(line_of(server))
        vanishing = VanishingReader(reader, server.pid)
        samples = sample_in_this_process(vanishing, tmp_path, server=server.pid)
    assert child in vanishing.asked
    assert processes_of(tree_of(samples, "server"), whole(samples)).at_end == {server.pid}


class RefusingReader(Delegate):
    """One process may not be read."""

    def __init__(self, real: Reader, refused: int) -> None:
        super().__init__(real)
        self.refused: int | None = refused

    def hold(self, pid: int) -> Handle:
        if pid == self.refused:
            raise Unreadable("Permission denied")
        return super().hold(pid)


def test_a_process_that_may_not_be_read_is_null_and_said_once(reader: Reader, tmp_path: Path) -> None:
    with program(SPAWNER) as server:
        assert line_of(server) == "ready"
        say(server, "child")
        child = int(line_of(server))
        samples = sample_in_this_process(RefusingReader(reader, child), tmp_path, server=server.pid)
    rows = {row.pid: row for row in samples.samples[-1].processes["server"]}
    assert (rows[child].rss_kib, rows[child].cpu_seconds) == (None, None)
    assert rows[server.pid].rss_kib is not None
    assert [(note["pid"], note["why"]) for note in lines_of(tmp_path, "note")] == [
        (child, "Permission denied")
    ]
    assert tree_of(samples, "server").points[-1].rss_bytes is None
    assert tree_of(samples, "server").points[-1].unreadable == 1


def test_an_unreadable_process_that_becomes_readable_is_read(tmp_path: Path) -> None:
    reader = reader_here()
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        refusing = RefusingReader(reader, server.pid)
        run = SampledRun(Begin("one", {"server": server.pid}, 0.01, 0.01, 60.0), refusing, tmp_path)
        refusing.refused = None
        run.sample()
        run.finish("asked")
    reader.close()
    points = tree_of(parse_samples((tmp_path / "one.jsonl").read_bytes()), "server").points
    assert (points[0].unreadable, points[-1].unreadable) == (1, 0)


# Imports first: a checkout may be closed to other users.
SAMPLE_AS_NOBODY = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench.wire.agent import Begin
from remote.onhost.agent.host import reader_here
from remote.onhost.agent.run import SampledRun
os.setgid(65534)
os.setuid(65534)
request = Begin('one', {'server': int(sys.argv[3])}, 0.1, 1.0, 60.0)
SampledRun(request, reader_here(), Path(sys.argv[2])).finish('asked')
"""


@pytest.mark.skipif(not IS_LINUX or os.geteuid() != 0, reason="needs root, to read as somebody else")
def test_another_users_process_has_rss_but_no_pss_and_says_so() -> None:
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder, program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        Path(folder).chmod(0o777)
        command = [sys.executable, "-c", SAMPLE_AS_NOBODY, str(ROOT), folder, str(server.pid)]
        subprocess.run(command, check=True, timeout=30)
        samples = parse_samples(Path(folder, "one.jsonl").read_bytes())
        notes = {(note["what"], note["why"]) for note in lines_of(Path(folder), "note")}
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.rss is not None
    assert memory.rss.median > 50 * MIB
    assert memory.pss is None
    assert ("pss, uss", "Permission denied") in notes


def stand_in_for_proc(folder: Path, pid: int, **files: bytes) -> Path:
    """A folder that looks like /proc with one process in it."""
    process = folder / str(pid)
    process.mkdir(parents=True)
    for name, content in files.items():
        (process / name).write_bytes(content)
    (process / "fd").mkdir()
    (process / "task").mkdir()
    return folder


STAT = b"7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 100 1 2\n"


@pytest.mark.skipif(not hasattr(os, "pread"), reason="needs pread")
def test_a_kernel_without_smaps_rollup_is_said_in_the_header(tmp_path: Path) -> None:
    root = stand_in_for_proc(tmp_path / "proc", 7, stat=STAT, statm=b"900 100 50 1 0 80 0\n")
    reader = linux.ProcReader(str(root))
    assert reader.newest() is None
    samples = sample_in_this_process(reader, tmp_path, server=7)
    assert samples.header.absent == {
        **dict.fromkeys(("pss", "uss"), "this kernel has no smaps_rollup"),
        "threads": "this kernel has no schedstat",
    }
    (process,) = samples.samples[0].processes["server"]
    page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert (process.pid, process.rss_kib, process.threads) == (7, 100 * page_kib, 3)
    assert process.cpu_seconds == pytest.approx(200 * tick)
    (full,) = samples.samples[0].full["server"]
    assert (full.pss_kib, full.uss_kib) == (None, None)


def test_psutil_without_pss_is_said_in_the_header(tmp_path: Path) -> None:
    reader = portable.PsutilReader()
    reader.absent = {"pss": "Darwin has no PSS"}
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        samples = sample_in_this_process(reader, tmp_path, server=server.pid)
    assert samples.header.absent == {"pss": "Darwin has no PSS"}
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.pss is None
    assert memory.uss is not None
    assert memory.uss.median > 50 * MIB


@pytest.mark.skipif(not IS_LINUX, reason="needs /proc")
def test_the_newest_process_number_tells_of_every_new_process() -> None:
    reader = linux.ProcReader()
    before = reader.newest()
    if before is None:
        pytest.skip("this kernel doesn't tell of new processes")
    subprocess.run(["true"], check=True)
    assert reader.newest() != before
    reader.close()


class CountingReader(Delegate):
    """Counts how often all processes are listed; tells of new processes only when told to."""

    def __init__(self, real: Reader) -> None:
        super().__init__(real)
        self.listings = 0
        self.news: bytes | None = b"1"

    def newest(self) -> bytes | None:
        return self.news

    def pids(self) -> list[int]:
        self.listings += 1
        return super().pids()


def test_processes_are_listed_only_when_there_are_new_ones(tmp_path: Path) -> None:
    real = reader_here()
    counting = CountingReader(real)
    forest = Forest(counting, {"own": os.getpid()})
    forest.discover(100.0)
    after_first = counting.listings
    for now in (100.3, 100.6, 100.9):
        forest.discover(now)
    assert counting.listings == after_first
    counting.news = b"2"
    forest.discover(100.95)
    assert counting.listings == after_first + 1
    forest.discover(200.0)  # now and then all the same
    assert counting.listings == after_first + 2
    forest.close()
    real.close()


def test_a_reused_number_is_not_taken_for_the_parent_it_once_was() -> None:
    class Scripted(Delegate):
        table: dict[int, Kin]

        def newest(self) -> bytes | None:
            return None

        def pids(self) -> list[int]:
            return list(self.table)

        def kin(self, pid: int) -> Kin:
            return self.table[pid]

        def hold(self, pid: int) -> Handle:
            return self.real.hold(os.getpid())

    real = reader_here()
    scripted = Scripted(real)
    scripted.table = {10: Kin(1, 10), 11: Kin(10, 10)}
    forest = Forest(scripted, {"server": 10})
    assert set(forest.members["server"]) == {10, 11}
    forest.drop("server", 11)
    scripted.table = {10: Kin(1, 10), 11: Kin(1, 99), 12: Kin(11, 99)}
    forest.discover(1e6)
    assert set(forest.members["server"]) == {10}
    forest.close()
    real.close()


def test_a_missed_slot_is_counted_and_not_made_up_for() -> None:
    schedule = Schedule(100.0, 0.1)
    assert schedule.take(100.0) == pytest.approx(0.0)
    assert schedule.take(100.11) == pytest.approx(0.01)
    assert schedule.take(100.45) == pytest.approx(0.05)  # slots 2 and 3 are lost
    assert (schedule.missed, schedule.taken) == (2, 3)
    assert schedule.deadline == pytest.approx(100.5)
    assert schedule.late_max == pytest.approx(0.05)


def test_context_switches_are_found_whatever_follows_them() -> None:
    status = (
        b"Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\nx86_Thread_features:\t\n"
    )
    assert linux.switch_counts(status) == (12, 3)


def test_uss_is_the_sum_of_what_is_private() -> None:
    text = b"00-ff ---p 0 00:00 0 [rollup]\nRss: 90 kB\nPss: 50 kB\nPss_Anon: 9 kB\nPrivate_Clean: 1 kB\n"
    assert linux.rollup_sums(text + b"Private_Dirty: 30 kB\nPrivate_Hugetlb: 4 kB\n") == (50, 35)
    with pytest.raises(Gone):
        linux.rollup_sums(b"")
