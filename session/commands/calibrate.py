"""`./invoke calibrate`: what the load hosts can ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bench.option import Option
from bench.plan.request import Debug, Endpoints, Hosts, Results, new_file
from session.commands.answer import tell
from session.commands.command import Command, Example
from session.commands.shown import say


class CalibrateOptions(msgspec.Struct, frozen=True):
    root: Path
    hosts: Hosts = "local"
    endpoints: Endpoints = ()
    json: Annotated[
        Path | None,
        Option(
            "write {host: {endpoint: {engine, wrk, fast_http_user}}} to this file",
            example="out.json",
            parse=new_file,
        ),
    ] = None
    rounds: Annotated[int, Option("how often each client has its turn", example="3")] = 3
    results: Results = None
    debug: Debug = False


def run(options: CalibrateOptions) -> int:
    from bench.environment.calibration import table_lines
    from loadgen.calibrate.whole import CalibrateRequest, calibrate

    request = CalibrateRequest(
        root=options.root,
        hosts=options.hosts,
        endpoints=options.endpoints,
        json_file=options.json,
        results=options.results,
        rounds=options.rounds,
    )
    done = calibrate(request, say)
    print("\n".join(table_lines(done.calibration)), flush=True)
    return 0 if done.error is None else tell(done.error, debug=options.debug)


COMMAND = Command(
    "calibrate",
    "Measure how much load one core of each load host can make",
    CalibrateOptions,
    run,
    (
        Example("calibrate", "this machine"),
        Example("calibrate --hosts lab --json ceilings.json", "each load host of an inventory"),
    ),
    details="In requests/s, by asgibench's engine, by wrk and by Locust's FastHttpUser.",
)
