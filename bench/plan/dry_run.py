"""The plan in words, for --dry-run: what runs when, how it is started, and how long it will take.

Times come from earlier benchmarks of the same environment; where there are none, that is said.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import msgspec

from bench.balancers import HAPROXY_WORDS, haproxy_config
from bench.catalogue.command import command_of, config_text
from bench.catalogue.observable import ONLY_LINUX, unobservable
from bench.catalogue.own_lock import OwnLock
from bench.catalogue.serving import group_for
from bench.environment.hosts import Inventory
from bench.errors import ResultError
from bench.plan.make import OVERHEAD_GUESS_SECONDS
from bench.plan.plan import Plan
from bench.plan.serving import serving_of
from bench.results.cell import Cell
from bench.results.run import RunResult
from bench.results.store import Store, result_names
from bench.served import Served
from bench.spec import Profile, ServerSpec

BENCHMARKS_LOOKED_AT = 3
WORKDIR = "WORKDIR"
CONFIG_PATH = f"{WORKDIR}/server/config.toml"
BALANCER_CONFIG_PATH = f"{WORKDIR}/balancer/haproxy.cfg"
CERTIFICATE_PATH = f"{WORKDIR}/server/certificate.pem"
KEY_PATH = f"{WORKDIR}/server/key.pem"


class KnownCosts(msgspec.Struct, frozen=True):
    """What earlier benchmarks of this environment took besides their load, in seconds; None: not known.

    ``setup_seconds`` is that of the latest, from its plan to its first run. ``overhead_seconds`` is a run's,
    the median of ``runs`` runs. ``unreadable`` are results that could not be looked at.
    """

    setup_seconds: float | None = None
    overhead_seconds: float | None = None
    runs: int = 0
    unreadable: tuple[str, ...] = ()


def known_costs(results_root: Path, environment: str) -> KnownCosts:
    """Read from the latest benchmarks of the environment below ``results_root``."""
    found: list[tuple[str, tuple[RunResult, ...]]] = []
    unreadable: list[str] = []
    for name in result_names(results_root):
        try:
            store = Store.open(results_root, name)
            plan = store.read_plan()
            if plan.environment == environment:
                found.append((plan.created_at, store.read_runs()))
        except ResultError:
            unreadable.append(name)
    latest = sorted((one for one in found if one[1]), key=lambda one: one[0])[-BENCHMARKS_LOOKED_AT:]
    if not latest:
        return KnownCosts(unreadable=tuple(unreadable))
    created_at, runs = latest[-1]
    first = min(datetime.fromisoformat(run.started_at) for run in runs)
    overheads = [run.timing.overhead_seconds for _, runs in latest for run in runs]
    return KnownCosts(
        max(0.0, (first - datetime.fromisoformat(created_at)).total_seconds()),
        max(0.0, median(overheads)),
        len(overheads),
        tuple(unreadable),
    )


def dry_run_lines(
    plan: Plan,
    inventory: Inventory,
    *,
    port: int,
    load_commands: Mapping[str, Sequence[str]],
    costs: KnownCosts,
    now: datetime,
    own_locks: Sequence[OwnLock] = (),
) -> list[str]:
    """``load_commands`` maps a text on what it starts, and where, to its argument vector.

    ``own_locks`` are those of the plan's servers with requirements of their own.
    """
    profile = plan.profile
    return [
        f"{plan.name}: {_counted(len(plan.servers), 'server')}, {_counted(len(plan.endpoints), 'endpoint')}, "
        f"{_counted(profile.blocks, 'block')}: {_counted(len(plan.runs), 'run')} with "
        f"{_counted(profile.connections, 'connection')}, "
        f"profile {profile.name}, seed {plan.seed}",
        f"hosts: server {inventory.server.name}; load "
        f"{', '.join(host.name for host in inventory.loadgen)}; database "
        f"{(inventory.database or inventory.server).name}",
        *(f"{run.position + 1:>4}  block {run.block}  {_title(run.cell)}" for run in plan.runs),
        *(f"skipped: {_title(one.cell)}: {one.reason}" for one in plan.skipped),
        *_share_lines(plan),
        "",
        "Commands. WORKDIR is the host's asgibench_workdir or our own folder there; what a * stands for "
        "becomes known there.",
        *_server_lines(plan, inventory, port, {lock.group: lock for lock in own_locks}),
        *_load_lines(load_commands),
        "",
        *_time_lines(plan, costs, now),
    ]


def _title(cell: Cell) -> str:
    return cell.title if cell.workers == 1 else f"{cell.title}, {_counted(cell.workers, 'worker')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _share_lines(plan: Plan) -> Iterator[str]:
    count = sum(run.cell.rate_share is not None for run in plan.runs)
    if count:
        yield (
            f"{count} of these are at a share of the server's own maximum: of the median of its closed-loop "
            "runs, which come first; one rate for all blocks. Where no such run is valid, they are skipped."
        )


def _server_lines(
    plan: Plan, inventory: Inventory, port: int, own_locks: Mapping[str, OwnLock]
) -> Iterator[str]:
    host = inventory.server.bind or inventory.server.address
    for spec in plan.servers:
        cells = [run.cell for run in plan.runs if run.cell.server == spec.name]
        for workers, served in sorted({(cell.workers, cell.served) for cell in cells}):
            serving = serving_of(served)
            # Behind a balancer each worker is a process of its own; the first is shown.
            each = 1 if served.balancer else workers
            command = command_of(
                spec,
                host=host,
                port=port,
                workers=each,
                config_path=CONFIG_PATH,
                program_directory=f"{WORKDIR}/envs/{group_for(spec, serving)}-*/bin",
                serving=serving,
                certificate=CERTIFICATE_PATH,
                key=KEY_PATH,
                socket=socket_of(1),
            )
            title = f"{spec.title or spec.name} {served.words}".rstrip()
            yield f"  {spec.name}: {title}, {_counted(workers, 'worker')}, on {inventory.server.name}:"
            yield f"    {shlex_text(command)}"
            text = config_text(
                spec,
                host=host,
                port=port,
                workers=each,
                serving=serving,
                certificate=CERTIFICATE_PATH,
                key=KEY_PATH,
                socket=socket_of(1),
            )
            if text:
                yield f"    {CONFIG_PATH}: {'; '.join(text.splitlines())}"
            if served.balancer:
                yield from _balancer_lines(plan.profile, spec, served, workers, host, port)
        if spec.group in own_locks:
            lock = own_locks[spec.group]
            yield f"    requirements: {', '.join(spec.requirements)}"
            yield f"    locked in {lock.file_name}: {lock.title}"
        for setting, instead in sorted(spec.unhonoured_settings.items()):
            yield f"    not honoured: {setting}: {instead}"
        for setting, why in unobservable(spec, "").items():
            yield f"    not observable: {setting}: {why}"
    yield f"  All other settings are proven on the running server before any load ({ONLY_LINUX})."


def _balancer_lines(
    profile: Profile, spec: ServerSpec, served: Served, processes: int, host: str, port: int
) -> Iterator[str]:
    text = haproxy_config(
        bind=host,
        port=port,
        sockets=[socket_of(number) for number in range(1, processes + 1)],
        connections=profile.connections,
        backlog=spec.settings.backlog,
        keep_alive_seconds=spec.settings.keep_alive_seconds,
    )
    if processes > 1:
        yield f"    and so {_counted(processes - 1, 'time')} more, each on a socket of its own"
    yield f"    {shlex_text([served.balancer, *HAPROXY_WORDS, BALANCER_CONFIG_PATH])}"
    lines = [" ".join(line.split()) for line in text.splitlines() if line]
    yield f"    {BALANCER_CONFIG_PATH}: {'; '.join(lines)}"


def socket_of(number: int) -> str:
    """Of a server's process behind a balancer, from 1."""
    return f"{WORKDIR}/server/sockets/{number}"


def _load_lines(commands: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for text, command in commands.items():
        yield f"  {text}:"
        yield f"    {shlex_text(command)}"


def shlex_text(command: Sequence[str]) -> str:
    """As a shell takes it; a word with our * stays readable."""
    return " ".join(word if "*" in word else shlex.quote(word) for word in command)


def _time_lines(plan: Plan, costs: KnownCosts, now: datetime) -> Iterator[str]:
    profile = plan.profile
    rests = profile.idle_rest_seconds + profile.after_rest_seconds
    overhead = OVERHEAD_GUESS_SECONDS if costs.overhead_seconds is None else costs.overhead_seconds
    source = (
        "allowed for, as no run on these hosts is among the results"
        if costs.overhead_seconds is None
        else f"the median of {_counted(costs.runs, 'earlier run')} on these hosts"
    )
    one = profile.warmup_seconds + profile.window_seconds + rests + overhead
    total = one * len(plan.runs)
    end = now + timedelta(seconds=total + (costs.setup_seconds or 0.0))
    yield "Time"
    yield (
        f"  a run: {profile.warmup_seconds} s warm-up + {profile.window_seconds} s window + {rests:g} s rests"
        f" + {overhead:.1f} s to start, stop and collect ({source}) = {one:.1f} s"
    )
    yield f"  {_counted(len(plan.runs), 'run')}: {hours_and_minutes(total)}"
    if costs.setup_seconds is None:
        yield (
            "  set-up before them: not known for these hosts yet. The first time downloads and installs, and"
            " may take minutes; later it takes seconds"
        )
        yield f"  begun now, without set-up: ready at {_at(end)}"
    else:
        yield f"  set-up before them: {hours_and_minutes(costs.setup_seconds)}, as the last time here"
        yield f"  begun now: ready at {_at(end)}"
    yield "  A run that fails, or that other programs spoil, is measured once more; that is not counted."
    if costs.unreadable:
        yield f"  Not looked at, as they can't be read: {', '.join(costs.unreadable)}"


def hours_and_minutes(seconds: float) -> str:
    """``1 h 05 min``, ``12 min 30 s``, ``9 s``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {left:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _at(moment: datetime) -> str:
    local = moment.astimezone() if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{local:%Y-%m-%d %H:%M}"
