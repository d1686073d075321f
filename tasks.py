"""The commands. Each is a few lines; this is the one place where an error becomes an exit code."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke import Collection, Context, task
from rich.console import Console

from testapp.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent
ROOMS = ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session")
USUAL_ENDPOINTS = [one.name for one in WORKLOADS.values() if one.default_place is not None]
OTHER_ENDPOINTS = [name for name in WORKLOADS if name not in USUAL_ENDPOINTS]
ENDPOINTS_HELP = "; also ".join(", ".join(names) for names in (USUAL_ENDPOINTS, OTHER_ENDPOINTS) if names)


def answers_for_errors(command: Callable[..., int | None]) -> Callable[..., None]:
    """An error of ours becomes one line with its remedy and an exit code; a traceback only with --debug."""

    @functools.wraps(command)
    def run(context: Context, *arguments: Any, **options: Any) -> None:
        from bench.errors import AsgibenchError, Interrupted

        debug = options.get("debug", False)
        for number in (signal.SIGTERM, signal.SIGHUP):
            # A closed terminal ends it in order too: hosts given back, results saved. `nohup` and its like
            # ask for the contrary by an ignored signal.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        try:
            status = command(context, *arguments, **options) or 0
        except KeyboardInterrupt:
            stopped = Interrupted("interrupted", remedy=INTERRUPTED_REMEDIES.get(command.__name__, ""))
            status = _tell(stopped, debug=debug)
        except AsgibenchError as error:
            status = _tell(error, debug=debug)
        sys.exit(status)

    return run


INTERRUPTED_REMEDIES = {
    "bench": "What was measured is saved, if anything was: go on with --resume and the same --name",
    "up": "`./invoke lab.down` removes what was made, `lab.up` goes on",
}


def _tell(error: Any, *, debug: bool) -> int:
    console = Console(stderr=True, highlight=False)
    console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    if error.detail:
        console.print(error.detail, markup=False, soft_wrap=True)
    if debug:
        traceback.print_exception(error)
    return int(error.exit_code)


def _number(given: str, name: str) -> int:
    from bench.errors import UsageError

    if not given.isdigit():
        raise UsageError(f"--{name} is a whole number, not {given!r}", remedy=f"Give --{name} 1, for example")
    return int(given)


def _share(given: str, name: str) -> float:
    from bench.errors import UsageError

    found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?) ?%", given.strip())
    if found is None:
        raise UsageError(
            f"--{name} is a percentage from 0% to below 100%, not {given!r}",
            remedy=f"Give --{name} 5%, for example",
        )
    return float(found[1]) / 100


def _names(given: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in given.split(",") if part.strip())


@task(
    help={
        "hosts": "an inventory's name (inventory/NAME.yml or .ini) or its path",
        "servers": "catalogue entries, separated by commas",
        "set": "versions of the servers: current (default), paper, or both side by side",
        "endpoints": f"separated by commas; default: {ENDPOINTS_HELP}",
        "profile": "how long and how hard: quick, review, paper, or one of your own",
        "name": "the folder below results/; default: date, time and inventory",
        "seed": "for the order of the runs and the test data; default: the time",
        "port": "what the servers listen on",
        "rate": "also at these rates: requests/s (500), or of each server's maximum (70%)",
        "arrivals": "of requests at a rate: constant (default) or poisson",
        "catalogue": "a TOML file with servers and profiles of your own",
        "results": "the folder for results; default: results/ here",
        "locustfile": "a locustfile of your own, one file, in place of our engine and --endpoints",
        "resume": "go on with the benchmark NAME (default: the latest)",
        "dry-run": "print the plan, the commands and the time it will take; touch no host",
        "debug": "a traceback with each error",
    }
)
@answers_for_errors
def bench(
    context: Context,
    hosts: str = "local",
    servers: str = "",
    set: str = "",  # noqa: A002 (Invoke names the option by it)
    endpoints: str = "",
    profile: str = "quick",
    name: str = "",
    seed: str = "",
    port: str = "8000",
    rate: str = "",
    arrivals: str = "",
    catalogue: str = "",
    results: str = "",
    locustfile: str = "",
    resume: bool = False,
    dry_run: bool = False,
    debug: bool = False,
) -> int:
    """Measure the servers on the hosts; the report's path is the last line on stdout."""
    from bench.plan.make import BenchRequest
    from reports.terminal.closing import closing_lines
    from reports.terminal.progress import Progress
    from session.benchmark import bench as measure
    from session.finish import verdict_error
    from session.prepare import describe

    request = BenchRequest(
        root=ROOT,
        hosts=hosts,
        servers=_names(servers),
        version_set=set,
        endpoints=_names(endpoints),
        profile=profile,
        name=name,
        seed=_number(seed, "seed") if seed else None,
        port=_number(port, "port"),
        rates=_names(rate),
        arrivals=arrivals,
        resume=resume,
        catalogue=Path(catalogue) if catalogue else None,
        results=Path(results) if results else None,
        locustfile=Path(locustfile) if locustfile else None,
    )
    if dry_run:
        print("\n".join(describe(request)))
        return 0
    progress = Progress()
    progress.start()
    try:
        outcome = measure(request, progress)
    finally:
        progress.stop()
    print("\n".join(closing_lines(outcome.summary, outcome.runs)))
    error = outcome.error or verdict_error(outcome)
    status = 0 if error is None else _tell(error, debug=debug)
    print(_shown(outcome.report), flush=True)
    return status


@task(help={"name": "a folder below results/, or a path", "debug": "a traceback with each error"})
@answers_for_errors
def report(context: Context, name: str, debug: bool = False) -> None:
    """Judge and render a benchmark again from its results; prints the report's path."""
    from session.finish import render_again, stored_results

    print(_shown(render_again(stored_results(ROOT / "results", name))))


@task(
    positional=["a", "b"],
    help={
        "a": "what to compare with: a folder below results/, or a path",
        "b": "what is compared: the same; the page is written beside it",
        "fail-over": "fail if B's throughput, p99 or memory is worse than A's by more than this, say 5%",
        "results": "the folder for results; default: results/ here",
        "debug": "a traceback with each error",
    },
)
@answers_for_errors
def compare(
    context: Context, a: str, b: str, fail_over: str = "", results: str = "", debug: bool = False
) -> int:
    """Ratios of two benchmarks of one plan, on other hosts or at another time; prints the page's path."""
    from bench.results.comparison import compare as compare_measured
    from bench.results.comparison import gate, gate_error
    from reports.comparison.terminal import comparison_lines
    from reports.comparison.write import open_results, read_measured, write_comparison

    share = _share(fail_over, "fail-over") if fail_over else None
    root = Path(results) if results else ROOT / "results"
    stores = open_results(root, a), open_results(root, b)
    compared = compare_measured(*map(read_measured, stores))
    judged = None if share is None else gate(compared, share)
    page = write_comparison(stores[1], compared, judged)
    print("\n".join(comparison_lines(compared, judged, shutil.get_terminal_size().columns)))
    error = None if judged is None else gate_error(judged)
    status = 0 if error is None else _tell(error, debug=debug)
    print(_shown(page), flush=True)
    return status


@task(
    help={
        "hosts": "an inventory's name or path",
        "profile": "the plan to check the hosts for: quick, review, or one of your own",
        "port": "what the servers will listen on",
        "catalogue": "a TOML file with servers and profiles of your own",
        "results": "the folder for results; default: results/ here",
        "json": "write all that was found to this file",
        "debug": "a traceback with each error",
    }
)
@answers_for_errors
def check(
    context: Context,
    hosts: str = "local",
    profile: str = "quick",
    port: str = "8000",
    catalogue: str = "",
    results: str = "",
    json: str = "",
    debug: bool = False,
) -> int:
    """What the hosts and their links can carry, and what of it stops or limits the plan."""
    from bench.plan.make import BenchRequest
    from reports.terminal.findings import finding_lines, terminal_columns
    from session.prepare import check_environment

    request = BenchRequest(
        root=ROOT,
        hosts=hosts,
        profile=profile,
        port=_number(port, "port"),
        catalogue=Path(catalogue) if catalogue else None,
        results=Path(results) if results else None,
    )
    checked, error = check_environment(request, Path(json) if json else None)
    print("\n".join(finding_lines(checked.findings, terminal_columns())), flush=True)
    return 0 if error is None else _tell(error, debug=debug)


@task(
    help={
        "hosts": "an inventory's name or path",
        "yes": "pin without asking",
        "debug": "a traceback with each error",
    }
)
@answers_for_errors
def trust(context: Context, hosts: str, yes: bool = False, debug: bool = False) -> None:
    """Show each host's key and pin it in known_hosts beside the inventory."""
    from remote.trust import trust_hosts

    trust_hosts(ROOT, hosts, say=print, confirm=(lambda _: True) if yes else _confirm)


@task(help={"hosts": "an inventory's name or path", "debug": "a traceback with each error"})
@answers_for_errors
def clean(context: Context, hosts: str, debug: bool = False) -> None:
    """Remove every trace of ours from the hosts."""
    from remote.clean import clean_hosts

    clean_hosts(ROOT, hosts, say=print)


def _confirm(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


@task(
    help={
        "loadgens": "how many load hosts",
        "database": "PostgreSQL on a host of its own",
        "releases": "what the hosts run, in turn, the server host first: bookworm, trixie, noble",
        "debug": "a traceback with each error",
    }
)
@answers_for_errors
def up(
    context: Context,
    loadgens: int = 2,
    database: bool = False,
    releases: str = "bookworm",
    debug: bool = False,
) -> None:
    """Make the lab: real SSH hosts on this Linux machine (root); writes inventory/lab.yml."""
    from inventory.lab import LabSpec
    from inventory.lab import up as lab_up

    spec = LabSpec(loadgens=loadgens, database=database, releases=_names(releases))
    lab_up(spec, inventory_directory=ROOT / "inventory", report=_say)


@task(help={"debug": "a traceback with each error"})
@answers_for_errors
def down(context: Context, debug: bool = False) -> None:
    """Remove the lab and everything of it, but for the cached base system."""
    from inventory.lab import down as lab_down

    lab_down(inventory_directory=ROOT / "inventory", report=_say)


@task(help={"debug": "a traceback with each error"})
@answers_for_errors
def status(context: Context, debug: bool = False) -> None:
    """What stands of the lab."""
    from inventory.lab import status as lab_status

    hosts = lab_status().hosts
    if not hosts:
        print("no lab is up")
    for host in hosts:
        state = "up" if host.is_reachable else "no answer on port 22"
        print(f"{host.name:<12} {host.address:<14} {', '.join(host.groups):<8} {state}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@task(help={"only": "a pytest expression (-k)", "debug": "a traceback with each error"})
@answers_for_errors
def test(context: Context, only: str = "", debug: bool = False) -> int:
    """Everything that CI runs: ruff, mypy --strict and all tests on real parts."""
    if only:
        return _in_dev(context, f"python -m pytest -k {shlex.quote(only)}")
    return _lint(context) or _in_dev(context, "python -m pytest")


@task(help={"fix": "mend what can be mended", "debug": "a traceback with each error"})
@answers_for_errors
def lint(context: Context, fix: bool = False, debug: bool = False) -> int:
    """ruff and mypy --strict."""
    return _lint(context, fix=fix)


def _lint(context: Context, *, fix: bool = False) -> int:
    formatting = "" if fix else " --check"
    # What runs on macOS can't be tried everywhere, but its types can be checked.
    rooms = " ".join(f"-p {room}" for room in ROOMS)
    commands = (
        f"ruff check{' --fix' if fix else ''} .",
        f"ruff format{formatting} .",
        "mypy",
        f"mypy --platform darwin --cache-dir .mypy_cache/darwin {rooms}",
    )
    # All of them, so that one run shows all there is to mend.
    return max(_in_dev(context, command) for command in commands)


def _in_dev(context: Context, command: str) -> int:
    """Run in the locked environment with the dev group; its exit status."""
    uv = shlex.quote(os.environ.get("UV", "uv"))
    with context.cd(str(ROOT)):
        done = context.run(f"{uv} run --quiet --frozen --group dev {command}", warn=True, pty=False)
    return int(done.exited)


@task(
    help={
        "hosts": "an inventory's name or path",
        "endpoints": f"separated by commas; default: {ENDPOINTS_HELP}",
        "json": "write {host: {endpoint: {engine, wrk, fast_http_user}}} to this file",
        "rounds": "how often each client has its turn",
        "results": "the folder for results; default: results/ here",
        "debug": "a traceback with each error",
    }
)
@answers_for_errors
def calibrate(
    context: Context,
    hosts: str = "local",
    endpoints: str = "",
    json: str = "",
    rounds: int = 3,
    results: str = "",
    debug: bool = False,
) -> int:
    """Each load host's ceiling: requests/s of one core by our engine, wrk and FastHttpUser."""
    from bench.environment.calibration import table_lines
    from loadgen.calibrate.whole import CalibrateRequest
    from loadgen.calibrate.whole import calibrate as measure

    request = CalibrateRequest(
        root=ROOT,
        hosts=hosts,
        endpoints=_names(endpoints),
        json_file=Path(json) if json else None,
        results=Path(results) if results else None,
        rounds=rounds,
    )
    done = measure(request, _say)
    print("\n".join(table_lines(done.calibration)), flush=True)
    return 0 if done.error is None else _tell(done.error, debug=debug)


namespace = Collection(
    bench,
    report,
    compare,
    test,
    lint,
    calibrate,
    hosts=Collection(check, trust, clean),
    lab=Collection(up, down, status),
)
