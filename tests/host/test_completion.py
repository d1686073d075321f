"""Completion in real shells, and how quick it is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.program import ROOT
from tests.helpers.terminal import at_terminal, plain

PROGRAM = str(ROOT / "invoke")
START = {
    "bash": ("bash --norc --noprofile -i", "source <({program} completion bash)"),
    "zsh": (
        "zsh -f -i",
        "bindkey -e; autoload -Uz compinit; compinit -u -D; source <({program} completion zsh)",
    ),
}
HEAVY = ("invoke", "rich", "fabric", "paramiko", "ansible", "locust", "jinja2", "asyncio")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with results by two names."""
    for name in ("before-lab", "between"):
        (tmp_path / "kept" / name).mkdir(parents=True)
        (tmp_path / "kept" / name / "plan.json").write_text("{}")
    return tmp_path / "kept"


def needed(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def completed(shell: str, lines: Sequence[str], cwd: Path) -> list[str]:
    """What each line has become after TAB: its words with bars in between, ``END`` behind them.

    ``END`` sticks to the last word where the shell has put no space behind that.
    """
    needed(shell)
    start, setup = START[shell]
    typed = "".join(f"{line}\t\x01printf '<%s>' \x05END; echo\n" for line in lines)
    ready = {
        # The prompt is printed apart from what the terminal echoes of its setting.
        "FIRST> ": f"{setup.format(program=shlex.quote(PROGRAM))}; PS1='SECOND''> '\n",
        "SECOND> ": f"{typed}exit\n",
    }
    _, shown = at_terminal(shlex.split(start), ready, {"PS1": "FIRST> "}, columns=300, cwd=cwd)
    found = re.findall(r"^<(.*END)>", plain(shown), re.MULTILINE)
    assert len(found) == len(lines), shown
    return [one.replace("><", "|") for one in found]


@pytest.mark.parametrize("shell", START)
def test_a_shell_completes_commands_options_and_values(shell: str) -> None:
    cases = {
        "hosts.ch": "hosts.check|END",
        "bench --dry": "bench|--dry-run|END",
        "bench --servers uvicorn,granian-": "bench|--servers|uvicorn,granian-shipped|END",
        "bench --profile rev": "bench|--profile|review|END",
        "bench --endpoints=longb": "bench|--endpoints=longbody|END",
        "hosts.check --hosts loc": "hosts.check|--hosts|local|END",
    }
    found = completed(shell, [f"./invoke {line}" for line in cases], ROOT)
    assert found == [f"./invoke|{wanted}" for wanted in cases.values()]


@pytest.mark.parametrize("shell", START)
def test_a_shell_completes_results_and_paths_for_an_absolute_path(shell: str, results: Path) -> None:
    (results / "own servers.toml").touch()
    compared, path = completed(
        shell, [f"{PROGRAM} compare --results {results} bef", f"{PROGRAM} bench --catalogue own"], results
    )
    assert compared == f"{PROGRAM}|compare|--results|{results}|before-lab|END"
    # zsh takes the space behind a path back when something else is typed.
    assert path.replace("toml|END", "tomlEND") == f"{PROGRAM}|bench|--catalogue|own servers.tomlEND"


def test_fish_completes_as_well(results: Path) -> None:
    needed("fish")
    lines = (
        "./invoke hosts.ch",
        "./invoke bench --servers uvicorn,granian-",
        f"{PROGRAM} report --results {results} be",
        "./invoke bench --catalogue READ",
    )
    asked = "; ".join(f"complete -C {shlex.quote(line)}; echo ==" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{shlex.quote(PROGRAM)} completion fish | source; {asked}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = [part.split() for part in done.stdout.split("==\n")[:-1]]
    assert found == [["hosts.check"], ["uvicorn,granian-shipped"], ["before-lab", "between"], ["README.md"]]


def test_a_press_of_tab_imports_no_more_than_it_needs() -> None:
    program = (
        "import runpy, sys; sys.argv = ['tasks.py', '--complete', 'bench', '--servers', 'uvi'];"
        "runpy.run_path('tasks.py', run_name='__main__');"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    *names, imported, end = done.stdout.split("\n")
    assert {"uvicorn", "uvicorn-shipped", "uvicorn-paper"} <= set(names)
    assert all(name.startswith("uvi") for name in names)
    assert (imported, end) == ("", "")


def test_a_clone_that_nothing_ran_in_yet_completes_nothing_in_silence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "invoke", tmp_path)
    done = subprocess.run(
        [str(tmp_path / "invoke"), "--complete", "bench", ""], capture_output=True, text=True, timeout=10
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
