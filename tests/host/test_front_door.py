"""Help and errors of every command, held against the texts in tests/expected/.

A change of a text shows in a diff of those files. `RENEW_EXPECTED=1 ./invoke test --only front_door` writes
them anew; look at the diff before you commit it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks
from bench.plan.request import BenchRequest
from bench.results.store import Store
from session.commands.command import all_commands
from session.commands.program import AsgibenchProgram
from session.commands.reading import options_of, read_words
from session.prepare import prepare
from tests.helpers.results_example import example

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = ROOT / "tests" / "expected"
COMMANDS = {command.name: command for command in all_commands(tasks.GROUPS)}
VERSION = "0.0.0"
HANDLED = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout of its own, with two results and files that are broken; the terminal has 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    checkout = tmp_path / "checkout"
    (checkout / "inventory").mkdir(parents=True)
    for name in ("uv.lock", "inventory/local.yml"):
        shutil.copy(ROOT / name, checkout / name)
    (checkout / "pyproject.toml").write_text(f'[project]\nname = "asgibench"\nversion = "{VERSION}"\n')
    (checkout / "session").symlink_to(ROOT / "session")
    for name in ("first", "second"):
        Store.create(checkout / "results", name, example(name=name).plan)
    (checkout / "broken.yml").write_text("all:\n  hosts:\n    here: {\n")
    (checkout / "outside.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    (checkout / "slip.toml").write_text('[servers.mine]\nlike = "uvicorn"\nsettigns = {}\n')
    (checkout / "broken.toml").write_text("[servers.mine\n")
    monkeypatch.chdir(checkout)
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    yield checkout
    for number, handler in handlers.items():
        signal.signal(number, handler)


def invoked(root: Path, *words: str) -> int:
    """The exit code of ./invoke, run in this process."""
    with pytest.raises(SystemExit) as ended:
        AsgibenchProgram(tasks.GROUPS, root).run(["./invoke", *words])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def same_as_kept(name: str, text: str) -> None:
    path = EXPECTED / name
    if os.environ.get("RENEW_EXPECTED"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",), ("help", "--help")])
def test_the_program_shows_its_own_commands(
    words: tuple[str, ...], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoked(root, *words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    same_as_kept("help.txt", out)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for words in ((name, "--help"), (name, "-h", "--debug"), ("help", name), ("--help", name)):
        assert invoked(root, *words) == 0
        out, err = capsys.readouterr()
        assert err == ""
        texts.append(out)
    assert set(texts) == {texts[0]}
    assert max(map(len, texts[0].splitlines())) <= 80
    same_as_kept(f"help-{name}.txt", texts[0])


def test_every_example_is_a_command_that_can_be_read(root: Path) -> None:
    for command in COMMANDS.values():
        for one in command.examples:
            first, *words = shlex.split(one.words)
            assert first == command.name
            options_of(command, read_words(command, words), root)


def test_the_version_is_ours(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoked(root, "--version") == 0
    assert capsys.readouterr().out == f"asgibench {VERSION}\n"


def test_short_options_are_none_but_h() -> None:
    """Two letters are the least that a name has, but for what is given without its name."""
    for command in COMMANDS.values():
        assert all(len(one.name) > 1 for one in command.named)


def test_plain_invoke_runs_the_same_commands(root: Path) -> None:
    """Inside the environment; its own --dry can't hold, so it is refused."""
    plain = [sys.executable, "-m", "invoke", "--search-root", str(ROOT)]
    done = subprocess.run(
        [*plain, "results", "--results", str(root / "results")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "first" in done.stdout, done.stderr
    before = tree(root)
    dry = [*plain, "--dry", "report", "first", "--results", str(root / "results")]
    done = subprocess.run(dry, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--dry" in done.stderr, done.stderr
    assert tree(root) == before


# Each line is a command; its words are split as a shell does.
SLIPS = """
chek
--dry report first
--list
--host lab
--version now
help bnch
bench lab
bench --host lab
bench --profil review
bench --app my.module:app
bench -y
bench -h=3
bench --hosts
bench --hosts --dry-run
bench --hosts ""
bench --dry-run=yes
bench --hosts locl --dry-run
bench --hosts ROOT/broken.yml --dry-run
bench --hosts ROOT/outside.yml --dry-run
bench --servers uvicron --dry-run
bench --servers "uvicorn daphne" --dry-run
bench --servers uvicorn daphne
bench --servers uvicorn --servers daphne
bench --servers uvicorn,,daphne
bench --set papr
bench --endpoints short-body --dry-run
bench --profile qick --dry-run
bench --name ../evil --dry-run
bench --name first --dry-run
bench --name third --resume --dry-run
bench --seed tomorrow
bench --port eighty
bench --port 0 --dry-run
bench --rate fast --dry-run
bench --rate 500% --dry-run
bench --arrivals poisson --dry-run
bench --arrivals sometimes
bench --catalogue nosuch.toml --dry-run
bench --catalogue broken.toml --dry-run
bench --catalogue slip.toml --dry-run
bench --results uv.lock --dry-run
bench --locustfile nosuch.py --dry-run
report
report frist
report ../evil
report first second
report first --hosts lab
compare first
compare first thrid
compare first second --fail-over five
compare first second --hosts lab
calibrate --rounds many
calibrate --rounds 0
calibrate --endpoints short
hosts.check lab
hosts.check --json ROOT
hosts.trust
hosts.clean --host lab
lab.up --loadgens x
lab.down now
lab.status --yes
servers uvicorn
profiles --profile quick
results --results nosuch
test --only
lint --fixx
completion
completion tcsh
"""


def test_slips_are_one_line_with_a_remedy(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = []
    for line in SLIPS.strip().splitlines():
        words = shlex.split(line.replace("ROOT", str(root)))
        code = invoked(root, *words)
        out, err = capsys.readouterr()
        assert out == "" and "Traceback" not in err, line
        assert err.startswith("error: ") and err.count("\n") == 1, line
        kept.append(f"./invoke {line}\n{err.replace(str(root), 'ROOT')}exit code {code}\n")
    same_as_kept("errors.txt", "\n".join(kept))


def test_nothing_is_written_by_a_slip_or_a_dry_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(root)
    assert invoked(root, "--dry", "report", "first") == 2
    assert invoked(root, "bench", "--dry-run") == 0
    assert invoked(root, "bench", "--name", "evil", "--dry-run") == 0
    assert tree(root) == before


def tree(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


def test_a_plan_is_gone_on_with_as_it_was(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run --resume shows what is left; what the plan settled can't be asked for anew."""
    go_on = ("bench", "--name", "begun", "--resume", "--dry-run")
    begun(root, "--profile", "quick", "--seed", "7", "--servers", "uvicorn,daphne")
    assert invoked(root, *go_on, "--servers", "uvicorn,daphne", "--profile", "quick") == 0
    first = capsys.readouterr().out
    assert "begun: 2 servers" in first and "6 runs" in first
    others = {
        ("--seed", "8"): "was planned with --seed 7",
        ("--endpoints", "orders"): "was planned without --endpoints",
    }
    for words, why in others.items():
        assert invoked(root, *go_on, *words) == 2
        assert why in capsys.readouterr().err


def begun(root: Path, *words: str) -> None:
    """Save the plan of these words, with no run of it."""
    bench = COMMANDS["bench"]
    request = options_of(bench, read_words(bench, ["--name", "begun", *words]), root)
    assert isinstance(request, BenchRequest)
    Store.create(root / "results", "begun", prepare(request).plan)
