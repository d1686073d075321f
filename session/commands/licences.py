"""`./invoke licences`: what each server makes its user install, and under which licences."""

from __future__ import annotations

from bench.proofs.request import ProveRequest
from session.commands.command import Command, Example
from session.commands.shown import say, shown


class LicencesOptions(ProveRequest, frozen=True):
    """A proof's request."""


def run(options: LicencesOptions) -> int:
    from bench.environment.calibration import write_json
    from bench.proofs.kept import add_proofs
    from bench.proofs.licences import ServerLicences
    from reports.tables.licences import health_table, plain_of, remarks
    from reports.terminal.screen import terminal_columns, wrapped
    from session.commands.lists import print_table
    from session.prove.ground import ground
    from session.prove.licences import prove_licences

    with ground(options, "licences", say, beside=()) as ready:
        proofs = prove_licences(options, ready)
    path = add_proofs(options.results_root, proofs, ServerLicences)
    read_at = {name: one.measured_at for name, one in proofs.subjects.items()}
    if options.json is not None:
        write_json(options.json, plain_of(proofs.findings, read_at))
    table = health_table(proofs.findings, read_at)
    print_table([column.title.lower() for column in table.columns], [row.cells for row in table.rows])
    print()
    for line in remarks(proofs.findings):
        print("\n".join(wrapped(line, "", "  ", terminal_columns())))
    print(shown(path), flush=True)
    return 0


COMMAND = Command(
    "licences",
    "Read which licences each server brings, what it installs, and how old it is",
    LicencesOptions,
    run,
    (
        Example("licences", "every server of the catalogue, on this machine"),
        Example("licences --servers uvicorn,daphne --json out.json", "two of them, each package into a file"),
        Example("licences --hosts lab", "as installed on the server's host of an inventory"),
    ),
    details=(
        "Read from the metadata of the packages in each server's environment; nothing is started. The last "
        "line on stdout is where all of it is kept. A benchmark reads its own servers' by itself."
    ),
)
