"""The commands, by group. `./invoke` runs this file; plain `invoke` finds the same commands here."""

from __future__ import annotations

import sys
from pathlib import Path

from session.commands import (
    bench,
    calibrate,
    compare,
    completion_command,
    develop,
    features,
    hosts,
    lab,
    licences,
    lists,
    report,
    slow_clients,
)
from session.commands.command import Group

ROOT = Path(__file__).resolve().parent
GROUPS = (
    Group("Measuring", (bench.COMMAND, report.COMMAND, compare.COMMAND, calibrate.COMMAND)),
    Group("Proving", (features.COMMAND, slow_clients.COMMAND, licences.COMMAND)),
    Group("Hosts", (hosts.CHECK, hosts.TRUST, hosts.CLEAN)),
    Group("Lab", (lab.UP, lab.DOWN, lab.STATUS)),
    Group("Lists", (lists.SERVERS, lists.PROFILES, lists.RESULTS)),
    Group("Developing", (develop.TEST, develop.LINT)),
    Group("Shell", (completion_command.COMMAND,)),
)

if sys.argv[1:2] == ["--complete"] and __name__ == "__main__":
    # At each press of TAB: without Invoke, which takes longer than the answer.
    from session.commands.completion import candidates

    print("\n".join(candidates(sys.argv[2:], GROUPS, ROOT)))
else:
    from session.commands.program import AsgibenchProgram, collection_of

    namespace = collection_of(GROUPS, ROOT)
    if __name__ == "__main__":
        AsgibenchProgram(GROUPS, ROOT).run()
