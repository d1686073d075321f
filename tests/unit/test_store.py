"""Results on disk: whole or absent, checked when read."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.errors import DiskFull, ResultError, UsageError
from bench.results.store import Store, result_names
from bench.results.store import _writing as writing
from tests.helpers.results_example import QUICK, Example, example

EXAMPLE = example(QUICK, name="first")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return EXAMPLE.save(tmp_path)


def test_what_is_written_is_read_back(store: Store) -> None:
    assert store.read_plan() == EXAMPLE.plan
    assert store.read_runs() == EXAMPLE.runs
    assert store.done_run_ids() == {run.id for run in EXAMPLE.plan.runs}
    assert store.read_environment().facts == EXAMPLE.environment.facts


def test_a_runs_other_files_come_back_as_they_were(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "x", EXAMPLE.plan)
    samples = gzip.compress(b"{}\n", mtime=0)
    run = EXAMPLE.runs[0]
    store.write_run(run, {"samples-lab-server.jsonl.gz": samples})
    folder = store.runs_directory / run.run_id
    assert (folder / "samples-lab-server.jsonl.gz").read_bytes() == samples
    assert store.read_runs() == (run,)


def test_no_password_reaches_the_disk(store: Store) -> None:
    assert any(host.ssh_password for host in EXAMPLE.environment.hosts)
    assert all(host.ssh_password is None for host in store.read_environment().hosts)
    assert b"correct horse" not in (store.directory / "hosts.json").read_bytes()


def test_a_name_that_exists_is_refused_and_left_as_it_is(store: Store) -> None:
    before = sorted(path.name for path in store.directory.iterdir())
    with pytest.raises(UsageError, match="--resume"):
        Store.create(store.directory.parent, "first", EXAMPLE.plan)
    assert sorted(path.name for path in store.directory.iterdir()) == before
    assert result_names(store.directory.parent) == ("first",)
    assert [path.name for path in store.directory.parent.iterdir()] == ["first"]


def test_opening_an_unknown_name_names_the_known_ones(store: Store) -> None:
    with pytest.raises(UsageError, match=r"no results named .* There are first"):
        Store.open(store.directory.parent, "second")
    with pytest.raises(ResultError, match=r"plan\.json is missing"):
        Store.at(store.directory.parent)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../up", ".hidden", "a\nb", "n" * 201])
def test_a_name_stays_inside_the_results(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't be named"):
        Store.create(tmp_path, name, EXAMPLE.plan)
    with pytest.raises(UsageError, match="can't be named"):
        Store.open(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_files_name_stays_inside_its_run(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "x", EXAMPLE.plan)
    with pytest.raises(ResultError, match="can't be named"):
        store.write_run(EXAMPLE.runs[0], {"../../escape": b""})
    with pytest.raises(ResultError, match="by the store itself"):
        store.write_run(EXAMPLE.runs[0], {"run.json": b""})
    assert store.done_run_ids() == frozenset()


def test_a_run_is_not_overwritten_and_one_whose_folder_is_deleted_is_measured_again(store: Store) -> None:
    run = EXAMPLE.runs[0]
    with pytest.raises(ResultError, match="saved already") as caught:
        store.write_run(run, {})
    assert "--resume" in caught.value.remedy
    shutil.rmtree(store.runs_directory / run.run_id)
    assert run.run_id not in store.done_run_ids()
    again = msgspec.structs.replace(run, attempt=2)
    store.write_run(again, {})
    assert again in store.read_runs()


def test_half_a_run_is_never_seen_and_does_not_stand_in_the_way(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "x", EXAMPLE.plan)
    run = EXAMPLE.runs[0]
    half = store.runs_directory / f".partial-{run.run_id}"
    half.mkdir()
    (half / "run.json").write_bytes(b'{"version": 1')
    assert store.read_runs() == ()
    assert store.done_run_ids() == frozenset()
    store.write_run(run, {})
    assert store.read_runs() == (run,)
    assert [path.name for path in store.runs_directory.iterdir()] == [run.run_id]


def test_a_killed_writer_leaves_whole_runs_only(tmp_path: Path) -> None:
    """A process that writes runs is killed in the midst; every run that can be seen is whole."""
    Store.create(tmp_path, "x", EXAMPLE.plan)
    program = (
        "import shutil, sys\n"
        "from pathlib import Path\n"
        "from bench.results.store import Store\n"
        "from tests.helpers.results_example import QUICK, example\n"
        "store = Store.open(Path(sys.argv[1]), 'x')\n"
        "def forget(run_id):\n"
        "    gone = (store.runs_directory / run_id).rename(store.runs_directory / '.gone')\n"
        "    shutil.rmtree(gone)\n"
        "while True:\n"
        "    for run in example(QUICK, name='x').runs:\n"
        "        (store.runs_directory / run.run_id).exists() and forget(run.run_id)\n"
        "        store.write_run(run, {'big': b'x' * 2_000_000})\n"
        "        print(run.run_id, flush=True)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        for _ in range(3):
            assert writer.stdout.readline()
        writer.kill()
    runs = Store.open(tmp_path, "x").read_runs()
    assert len(runs) >= 2


@pytest.mark.parametrize("name", ["run.json", "histogram.json", "server.log"])
def test_an_altered_file_is_named(store: Store, name: str) -> None:
    path = store.runs_directory / EXAMPLE.runs[2].run_id / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2") + b" ")
    with pytest.raises(ResultError, match="checksum differs") as caught:
        store.read_runs()
    assert str(path) in caught.value.message
    assert "--resume" in caught.value.remedy


@pytest.mark.parametrize("name", ["run.json", "histogram.json", "checksums.json"])
def test_a_missing_file_is_named(store: Store, name: str) -> None:
    path = store.runs_directory / EXAMPLE.runs[2].run_id / name
    path.unlink()
    with pytest.raises(ResultError) as caught:
        store.read_runs()
    assert str(path) in caught.value.message
    assert str(path.parent) in caught.value.remedy


def test_another_version_is_refused(store: Store) -> None:
    run = msgspec.structs.replace(EXAMPLE.runs[0], version=99)
    shutil.rmtree(store.runs_directory / run.run_id)
    store.write_run(run, {})
    with pytest.raises(ResultError, match="of version 99; this asgibench reads version 1"):
        store.read_runs()
    plan = msgspec.structs.replace(EXAMPLE.plan, version=99)
    store.write_file("plan.json", msgspec.json.encode(plan))
    with pytest.raises(ResultError, match=r"plan\.json is of version 99"):
        store.read_plan()


def test_a_damaged_plan_is_named(store: Store) -> None:
    store.write_file("plan.json", b'{"version": 1, "name": 3}')
    with pytest.raises(ResultError, match=r"plan\.json is damaged"):
        store.read_plan()


def test_a_run_in_anothers_folder_is_named(store: Store) -> None:
    folder = store.runs_directory / EXAMPLE.runs[0].run_id
    folder.rename(store.runs_directory / "999-other")
    with pytest.raises(ResultError, match="is of run " + EXAMPLE.runs[0].run_id):
        store.read_runs()


def test_a_file_is_replaced_whole(store: Store) -> None:
    store.write_file("report.html", b"one")
    path = store.write_file("report.html", b"two")
    assert path == store.directory / "report.html"
    assert path.read_bytes() == b"two"
    assert not list(store.directory.glob(".partial*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_an_error_of_its_own(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskFull, match="no room to write"), writing(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(ResultError, match="can't write"), writing(tmp_path / "x"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_full_disk_leaves_the_saved_runs_and_nothing_half_written(tmp_path: Path) -> None:
    """On a file system of 256 kB of its own, in a mount namespace of its own (Linux)."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare on this system: no small file system to fill")
    mount = ["unshare", "-rm", "sh", "-c"]
    trial = subprocess.run([*mount, 'mount -t tmpfs none "$0"', str(tmp_path)], capture_output=True)
    if trial.returncode != 0:
        pytest.skip(f"this system lets us mount nothing: {trial.stderr.decode().strip()}")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bench.errors import DiskFull\n"
        "from bench.results.store import Store\n"
        "from tests.helpers.results_example import QUICK, example\n"
        "made = example(QUICK, name='x')\n"
        "store = Store.create(Path(sys.argv[1]), 'x', made.plan)\n"
        "store.write_run(made.runs[0], {})\n"
        "try:\n"
        "    store.write_run(made.runs[1], {'big': b'x' * 1_000_000})\n"
        "except DiskFull:\n"
        "    assert store.read_runs() == made.runs[:1]\n"
        "    assert [path.name for path in store.runs_directory.iterdir()] == [made.runs[0].run_id]\n"
        "    sys.exit(16)\n"
    )
    command = 'mount -t tmpfs -o size=256k none "$0" && exec "$1" -c "$2" "$0"'
    done = subprocess.run(
        [*mount, command, str(tmp_path), sys.executable, program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 16, done.stderr


def test_the_example_is_the_same_each_time() -> None:
    again: Example = example(QUICK, name="first")
    assert again == EXAMPLE
