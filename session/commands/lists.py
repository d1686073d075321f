"""`./invoke servers`, `profiles`, `results`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

import msgspec

from bench.catalogue.observable import ONLY_LINUX, unobservable
from bench.catalogue.read import load_catalogue, load_profiles
from bench.catalogue.serving import ALL_TRANSPORTS, ALL_WIRES, why_not
from bench.catalogue.versions import Lock, read_lock
from bench.errors import ResultError, UsageError
from bench.plan.dry_run import hours_and_minutes
from bench.plan.endpoints import KnownEndpoints
from bench.plan.make import LOCK_FILE, OVERHEAD_GUESS_SECONDS, chosen_servers
from bench.plan.plan import plan_runs
from bench.plan.request import Catalogue, Debug, Results
from bench.results.store import RUN, Store, result_names
from bench.spec import WIRE_TITLES, Profile, ServerSpec, Serving
from session.commands.command import Command, Example

WIDE_COLUMNS = 100
LONGEST_WORD = 14


class CatalogueOptions(msgspec.Struct, frozen=True):
    root: Path
    catalogue: Catalogue = None
    debug: Debug = False


def servers(options: CatalogueOptions) -> int:
    from loadgen.endpoints import known_endpoints
    from reports.terminal.screen import terminal_columns, wrapped

    catalogue = load_catalogue(known_endpoints().names, options.catalogue)
    lock = read_lock(options.root / LOCK_FILE)
    print_table(
        ("server", "version", "loop", "HTTP parser", "licence", "set-up"),
        [_server_row(one, lock, one.name in catalogue.defaults) for one in catalogue.servers],
    )
    print("\n* is measured if --servers names none. A server of your own: docs/catalogue.md")
    columns = terminal_columns()
    proven = "Settings are proven on the running server before any load (docs/configuration.md), except:"
    print("\n".join(wrapped(proven, "", "", columns)))
    for line in _unobservable_lines(catalogue.servers):
        print("\n".join(wrapped(line, "  ", "    ", columns)))
    served = "All serve HTTP/1.1 over TCP, TLS and a Unix socket, WebSocket, HTTP/2 and HTTP/3, except:"
    print("\n".join(wrapped(served, "", "", columns)))
    for line in _unserved_lines(catalogue.servers):
        print("\n".join(wrapped(line, "  ", "    ", columns)))
    return 0


def _unserved_lines(specs: Sequence[ServerSpec]) -> Iterator[str]:
    """What servers can't serve, each reason once with the servers that it is of."""
    found: dict[tuple[str, str], list[str]] = {}
    for spec, protocol in product(specs, ALL_WIRES):
        places = [one for one in ALL_TRANSPORTS if protocol != "h3" or one == "tls"]
        reasons = {place: why_not(spec, Serving(place, protocol)) for place in places}
        for reason in dict.fromkeys(filter(None, reasons.values())):
            where = [place for place in places if reasons[place] == reason]
            over = "" if len(where) == len(places) else f" over {' and '.join(where)}"
            found.setdefault((f"{WIRE_TITLES[protocol]}{over}", reason), []).append(spec.name)
    for (what, reason), names in found.items():
        yield f"no {what}: {', '.join(names)}: {reason}"


def _unobservable_lines(specs: Sequence[ServerSpec]) -> Iterator[str]:
    for spec in specs:
        for setting, why in unobservable(spec, "").items():
            yield f"{spec.name}: {setting}: {why}"
    yield f"every server on macOS: backlog: {ONLY_LINUX}"


def _server_row(spec: ServerSpec, lock: Lock, is_default: bool) -> tuple[str, ...]:
    version = "at first use" if spec.requirements else lock.version_of(spec)
    return (
        f"{spec.name}{' *' if is_default else ''}",
        version,
        spec.unhonoured_settings.get("loop", spec.settings.loop),
        spec.unhonoured_settings.get("http_parser", spec.settings.http_parser),
        spec.licence,
        spec.set_up if spec.version_set == "current" else f"{spec.set_up} (paper)".strip(),
    )


def profiles(options: CatalogueOptions) -> int:
    from loadgen.endpoints import known_endpoints

    known = known_endpoints()
    catalogue = load_catalogue(known.names, options.catalogue)
    rows = []
    for profile in load_profiles(options.catalogue).values():
        chosen = chosen_servers(catalogue, (), profile.version_set)
        rows.append(_profile_row(profile, chosen, known))
    print_table(("profile", "connections", "a run", "blocks", "runs", "about", "what for"), rows)
    print("\nOf the usual servers and endpoints; `./invoke bench --dry-run` has yours.")
    return 0


def _profile_row(profile: Profile, chosen: Sequence[ServerSpec], known: KnownEndpoints) -> tuple[str, ...]:
    runs, _ = plan_runs(chosen, known.chosen(()), profile, "local", 0)
    rests = profile.idle_rest_seconds + profile.after_rest_seconds
    one = profile.warmup_seconds + profile.window_seconds + rests + OVERHEAD_GUESS_SECONDS
    return (
        profile.name,
        f"{profile.connections}",
        f"{profile.warmup_seconds} + {profile.window_seconds} s",
        f"{profile.blocks}",
        f"{len(runs)}",
        hours_and_minutes(one * len(runs)),
        profile.description,
    )


class ResultsOptions(msgspec.Struct, frozen=True):
    root: Path
    results: Results = None
    debug: Debug = False


def results(options: ResultsOptions) -> int:
    folder = options.results or options.root / "results"
    if options.results is not None and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", remedy="Give --results the folder that holds the results")
    names = result_names(folder)
    if not names:
        print(f"no results in {folder} yet; ./invoke bench makes the first")
        return 0
    # The latest last, where the reader is.
    rows = sorted((_result_row(folder, name) for name in names), key=lambda row: (row[1], row[0]))
    print_table(("name", "begun", "environment", "profile", "runs", "valid"), rows)
    return 0


class _Verdict(msgspec.Struct):
    valid: bool


def _result_row(folder: Path, name: str) -> tuple[str, ...]:
    store = Store.open(folder, name)
    try:
        plan = store.read_plan()
        verdicts = list(_verdicts(store))
    except ResultError as error:
        return (name, "", f"can't be read: {error.message}", "", "", "")
    begun = plan.created_at[:16].replace("T", " ")
    runs = f"{len(verdicts)} of {len(plan.runs)}"
    return (name, begun, plan.environment, plan.profile.name, runs, f"{sum(verdicts)}")


def _verdicts(store: Store) -> Iterator[bool]:
    """Whether each saved run is valid. Its figures are not looked at: that would read every file."""
    for run_id in sorted(store.done_run_ids()):
        path = store.runs_directory / run_id / RUN
        try:
            yield msgspec.json.decode(path.read_bytes(), type=_Verdict).valid
        except (OSError, msgspec.DecodeError) as error:
            raise ResultError(f"{path}: {error}") from error


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """As wide as the terminal, the first column and every word whole; elsewhere each row is one line."""
    from rich.table import Table

    from reports.terminal.consoles import console, table_lines

    out = console()
    given = list(rows)
    gap = 1 if out.is_terminal and out.width < WIDE_COLUMNS else 2
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        longest = max((len(word) for row in (titles, *given) for word in row[number].split()), default=0)
        table.add_column(title, overflow="fold", no_wrap=number == 0, min_width=min(longest, LONGEST_WORD))
    for row in given:
        table.add_row(*row)
    if out.is_terminal:
        out.print(table)
        return
    print("\n".join(table_lines(table)))


SERVERS = Command(
    "servers",
    "List the servers that can be compared",
    CatalogueOptions,
    servers,
    (Example("servers"), Example("servers --catalogue mine.toml", "with those of your own file")),
)
PROFILES = Command(
    "profiles",
    "List the profiles, and about how long each takes",
    CatalogueOptions,
    profiles,
    (Example("profiles"), Example("profiles --catalogue mine.toml", "with those of your own file")),
)
RESULTS = Command(
    "results",
    "List the results, and how many of their runs are valid",
    ResultsOptions,
    results,
    (Example("results"), Example("results --results /elsewhere", "those of another folder")),
)
