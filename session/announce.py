"""What the terminal shows of a benchmark before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from bench.environment.hosts import Inventory
from bench.environment.readiness import Finding
from bench.plan.make import OVERHEAD_GUESS_SECONDS
from bench.plan.plan import Plan
from bench.plan.rate import parse_rates
from bench.spec import Profile
from reports.terminal.progress import Progress
from reports.words.numbers import counted


def announce(progress: Progress, plan: Plan, inventory: Inventory, left: int) -> None:
    """Show plan, hosts and skipped cells. ``left`` is how many runs are to do."""
    profile = plan.profile
    seconds = (plan.run_seconds + OVERHEAD_GUESS_SECONDS) * left
    length = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    progress.note(
        "Plan",
        f"{counted(len(plan.servers), 'server')} x {counted(len(plan.endpoints), 'endpoint')} x "
        f"{_loads_text(profile)}{counted(profile.blocks, 'block')} = "
        f"{counted(len(plan.runs), 'run')}, {left} to do, about {length}; "
        f"profile {profile.name}, seed {plan.seed}",
    )
    shown = database_shown(inventory)
    progress.note(
        "Hosts",
        f"server: {inventory.server.name}   load: {', '.join(host.name for host in inventory.loadgen)}   "
        f"database: {'on the server' if shown == inventory.server.name else shown}",
    )
    for one in plan.skipped:
        name = f"{one.cell.server} {one.cell.endpoint} {one.cell.served.words}".rstrip()
        progress.note("Skip", f"{name}: {one.reason}")


def announce_limits(progress: Progress, findings: Sequence[Finding]) -> None:
    """Show what limits the plan, and what makes a host busy now, which is judged in every run too.

    Frequency scaling is left out: it is warned of with the hosts.
    """
    for one in findings:
        if one.state == "limits" and one.what != "frequency":
            progress.note("Limit", f"{one.host}: {one.what}: {one.text}")


def database_shown(inventory: Inventory) -> str:
    """What results and reports call the database: its host's name, or where an existing one is."""
    existing = inventory.existing_database
    return (inventory.database or inventory.server).name if existing is None else existing.shown


def _loads_text(profile: Profile) -> str:
    rates = len(parse_rates(profile.rates))
    ways = len(profile.clients) * len(profile.load_on)
    made = f"{ways} ways to make the load x " if ways > 1 else ""
    reached = len(profile.tls) * len(profile.protocols)
    made += f"{reached} ways to connect x " if reached > 1 else ""
    return made + (f"(closed loop + {counted(rates, 'rate')}) x " if rates else "")
