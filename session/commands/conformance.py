"""`./invoke conformance`: how far each server keeps to the specifications, by probes over the wire."""

from __future__ import annotations

from bench.proofs.request import ProveRequest
from session.commands.command import Command, Example
from session.commands.shown import say, shown


class ConformanceOptions(ProveRequest, frozen=True):
    """A proof's request."""


def run(options: ConformanceOptions) -> int:
    from bench.environment.calibration import write_json
    from bench.proofs.conformance import JUDGEMENTS, ConformanceFindings, judgements_of
    from bench.proofs.kept import add_proofs
    from reports.terminal.conformance import table_rows, violation_lines
    from reports.terminal.screen import terminal_columns
    from session.commands.lists import print_table
    from session.prove.conformance import prove_conformance, websocket_variant
    from session.prove.ground import ground

    with ground(options, "conformance", say, websocket_variant) as ready:
        proofs = prove_conformance(options, ready, say)
    path = add_proofs(options.results_root, proofs, ConformanceFindings)
    if options.json is not None:
        write_json(options.json, judgements_of(proofs.findings))
    print_table(("server", "suite", *JUDGEMENTS), table_rows(proofs))
    print("\n".join(violation_lines(proofs, terminal_columns())))
    print(shown(path), flush=True)
    return 0


COMMAND = Command(
    "conformance",
    "Probe how far each server keeps to HTTP/1.1 and to ASGI",
    ConformanceOptions,
    run,
    (
        Example("conformance", "every server of the catalogue, on this machine"),
        Example("conformance --servers uvicorn,daphne --json out.json", "two of them, into a file too"),
        Example("conformance --hosts lab", "on the server's host of an inventory"),
    ),
    details=(
        "Each probe is held against a section of its specification: conforms, allowed (it leaves the "
        "choice), weak (against a SHOULD), violates (against a MUST), untested. The last line on stdout "
        "is where the evidence is kept."
    ),
)
