"""`./invoke slow-clients`: what slow and dead clients cost each server."""

from __future__ import annotations

from bench.proofs.slow_request import SlowRequest
from session.commands.command import Command, Example
from session.commands.shown import say, shown


class SlowClientsOptions(SlowRequest, frozen=True):
    """The request itself."""


def run(options: SlowClientsOptions) -> int:
    from bench.environment.calibration import write_json
    from bench.proofs.kept import add_proofs
    from bench.proofs.slow_clients import SlowFindings, slow_json
    from reports.terminal.screen import terminal_columns
    from reports.terminal.slow_clients import COLUMNS, reason_lines, table_rows
    from session.commands.lists import print_table
    from session.prove.ground import ground
    from session.prove.slow_clients import prove_slow_clients

    options.check()
    with ground(options, "slow-clients", say) as ready:
        proofs = prove_slow_clients(options, ready, say)
    path = add_proofs(options.results_root, proofs, SlowFindings)
    if options.json is not None:
        write_json(options.json, slow_json(proofs.findings))
    print_table(COLUMNS, table_rows(proofs))
    print("\n".join(reason_lines(proofs, terminal_columns())))
    print(shown(path), flush=True)
    return 0


COMMAND = Command(
    "slow-clients",
    "Measure what slow, stopped and idle clients cost each server",
    SlowClientsOptions,
    run,
    (
        Example("slow-clients --servers uvicorn,daphne", "two servers, on this machine"),
        Example(
            "slow-clients --servers uvicorn --idle 2000 --patience 20", "fewer connections, and less patience"
        ),
        Example("slow-clients --probes idle,slowloris", "two of the probes, on every server"),
        Example("slow-clients --hosts lab --json out.json", "on the server's host of an inventory"),
    ),
    details=(
        "Each probe meets a server of its own, over loopback on the server's host: memory per connection, "
        "whether the server closes it, how far one end runs ahead of one that stops, and the throughput of "
        "others beside idle connections. The last line on stdout is where the figures are kept."
    ),
)
