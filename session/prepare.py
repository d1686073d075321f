"""What was asked for becomes a plan, before any host is touched."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.clients import client_of
from bench.environment.calibration import write_json
from bench.environment.readiness import Demand
from bench.errors import AsgibenchError
from bench.plan.dry_run import WORKDIR, dry_run_lines, known_costs
from bench.plan.make import Prepared, check_request, make_plan
from bench.plan.plan import Plan
from bench.plan.rate import parse_rates
from bench.plan.request import BenchRequest
from bench.results.store import Store
from inventory.read import read_inventory
from loadgen.cluster import load_program, master_command, worker_command
from loadgen.endpoints import known_endpoints
from loadgen.traffic import answer_bytes, traffic_of
from remote.check import Checked, check_hosts
from session.locks import asked_locks, kept_locks
from session.parties.load import LOAD_GROUP
from session.provisioning import programs_of, server_programs
from session.resume import open_store


def prepare(request: BenchRequest) -> Prepared:
    """Inventory, locks and plan. Raises UsageError, CatalogueError, InventoryError and ProvisionError."""
    if request.name and not request.resume:
        Store.check_free(request.results_root, request.name)
    known = known_endpoints()
    check_request(request, known)
    inventory = read_inventory(request.hosts, root=request.root)
    locks = asked_locks(request, known)
    return Prepared(inventory, make_plan(request, inventory, known, locks), locks)


def describe(request: BenchRequest) -> list[str]:
    """The lines of --dry-run: every run, the commands and the time; with ``resume`` of what is left.

    Touches no host, and writes nothing. Raises as prepare and open_store.
    """
    prepared = prepare(request)
    inventory, plan = prepared.inventory, prepared.plan
    if request.resume:
        store, plan = open_store(request, plan)
        done = store.done_run_ids()
        if done >= {run.id for run in plan.runs}:
            return [f"{plan.name}: all {len(plan.runs)} runs are done; nothing is left to measure"]
        plan = msgspec.structs.replace(plan, runs=tuple(run for run in plan.runs if run.id not in done))
        prepared = msgspec.structs.replace(prepared, plan=plan, own_locks=kept_locks(store, plan))
    return dry_run_lines(
        plan,
        inventory,
        port=request.port,
        load_commands={"Locust's master, on this machine": master_command("*"), **_load_commands(prepared)},
        costs=known_costs(request.results_root, inventory.name),
        own_locks=prepared.own_locks,
        now=datetime.now(UTC),
    )


def check_environment(request: BenchRequest, json_file: Path | None) -> tuple[Checked, AsgibenchError | None]:
    """`hosts.check`: compare the hosts with the plan that ``request`` makes.

    Returns what was found, and the error that stops the plan, or None. ``json_file`` takes all of it.
    """
    prepared = prepare(request)
    checked = check_hosts(
        prepared.inventory, demand_of(prepared.plan), port=request.port, results=request.results_root
    )
    if json_file is not None:
        write_json(json_file, checked.as_json)
    return checked, checked.error


def _load_commands(prepared: Prepared) -> dict[str, list[str]]:
    """{what it starts: command}, for each way of making the load."""
    plan, inventory = prepared.plan, prepared.inventory
    in_all, each_host = plan.profile.load_workers_in_all, plan.profile.load_workers
    count = "one a core" if each_host is None else f"{each_host} each"
    count = count if in_all is None else f"{in_all} in all"
    found = {}
    for client, load_on in dict.fromkeys((run.cell.client, run.cell.load_on) for run in plan.runs):
        hosts = (inventory.server,) if load_on == "server" else inventory.loadgen
        program = load_program(client, None if plan.locustfile is None else plan.locustfile.name)
        named = "" if len(plan.profile.clients) == 1 else f" of {client_of(client).title}"
        where = ", ".join(host.name for host in hosts)
        shared = ", with the server" if load_on == "server" else ""
        found[f"load workers{named}, {count}, on {where}{shared}"] = worker_command(
            f"{WORKDIR}/envs/{LOAD_GROUP}-*/bin", f"{WORKDIR}/ship/*", program, "*"
        )
    return found


def demand_of(plan: Plan) -> Demand:
    """What the plan asks of the hosts before its first run."""
    profile = plan.profile
    return Demand(
        connections=profile.connections,
        backlog=max(spec.settings.backlog for spec in plan.servers),
        response_bytes=answer_bytes(traffic_of(one, plan.seed) for one in plan.endpoints),
        rates=tuple(rate.per_second for rate in parse_rates(profile.rates) if rate.per_second is not None),
        programs=programs_of(plan),
        load_on_server="server" in profile.load_on,
        server_programs=server_programs(plan),
    )
