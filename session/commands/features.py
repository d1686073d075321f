"""`./invoke features`: what each server's protocols can do, proven over the wire."""

from __future__ import annotations

from bench.errors import ServerStartError
from bench.proofs.request import ProveRequest
from session.commands.answer import tell
from session.commands.command import Command, Example
from session.commands.shown import say, shown


class FeaturesOptions(ProveRequest, frozen=True):
    """A proof's request."""


def run(options: FeaturesOptions) -> int:
    from bench.environment.calibration import write_json
    from bench.proofs.features import ORDER, Findings, unprobed, verdicts_of
    from bench.proofs.kept import add_proofs
    from reports.terminal.features import remark_lines, table_rows
    from reports.terminal.screen import terminal_columns
    from session.commands.lists import print_table
    from session.prove.features import FEATURES_KIND, variants
    from session.prove.ground import ground
    from session.prove.prove import prove

    with ground(options, "features", say, variants) as ready:
        proofs = prove(options, FEATURES_KIND, ready, say)
    path = add_proofs(options.results_root, proofs, Findings)
    if options.json is not None:
        write_json(options.json, verdicts_of(proofs.findings))
    print_table(("feature", *ORDER), table_rows(proofs))
    print("\n".join(remark_lines(proofs, terminal_columns())))
    failed = unprobed(proofs.findings)
    status = 0
    if failed:
        error = ServerStartError(
            "; ".join(f"{server} could not be proven: {reason}" for server, reason in failed.items()),
            remedy="Start it by hand as `./invoke bench --dry-run` shows it, and see what it prints",
        )
        status = tell(error, debug=options.debug)
    print(shown(path), flush=True)
    return status


COMMAND = Command(
    "features",
    "Prove over the wire which features of its protocols each server has",
    FeaturesOptions,
    run,
    (
        Example("features", "every server of the catalogue, on this machine"),
        Example("features --servers uvicorn,hypercorn --json out.json", "two of them, into a file too"),
        Example("features --hosts lab", "on the server's host of an inventory"),
    ),
    details=(
        "Verdicts: works, absent, advertised (in the app's scope, and on the wire it does not work), "
        "untested. The last line on stdout is where the evidence is kept."
    ),
)
