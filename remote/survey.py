"""The commands `hosts.check`, `hosts.trust` and `hosts.clean`: what hosts are, trusted and rid of us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import AsgibenchError, DatabaseError, HostKeyError, HostUnsuitable
from bench.hosts import ExistingDatabase, Host, HostFacts
from inventory.read import read_inventory
from remote.ask import outcomes_asking, terminal
from remote.connect import HostKeys, close_way, connect, host_keys_of, open_jumps, unopened
from remote.database import TOOLS_GROUP, Place, app_files, drop_schema
from remote.facts import read_facts
from remote.guarded import MARKER, GuardedHost, GuardSession, new_session
from remote.jumps import way_to
from remote.known_hosts import fingerprint, pin, scan_host_key
from remote.provision import provision

SCAN_SECONDS = 10.0


def survey_hosts(root: Path, hosts: str) -> list[str]:
    """One block of lines a host; a host that fails doesn't hide the others, and is raised at the end."""
    inventory = read_inventory(hosts, root=root)
    keys = host_keys_of(inventory)

    def look(host: Host) -> HostFacts:
        connection = connect(host, keys)
        try:
            return read_facts(connection)
        finally:
            connection.close()

    found, errors = outcomes_asking(look, inventory.hosts, terminal())
    lines = [line for facts in found.values() for line in facts_lines(facts)]
    if errors:
        told = "\n".join([*lines, *(f"{name}: {error}" for name, error in errors.items())])
        first = next(iter(errors.values()))
        if len(errors) < len(inventory.hosts) or len(errors) > 1:
            first.detail = told
        raise first
    return lines


def facts_lines(facts: HostFacts) -> list[str]:
    cores = len(facts.cores_usable)
    usable = (
        "" if cores == facts.cores_total else f" ({cores} usable: {', '.join(map(str, facts.cores_usable))})"
    )
    return [
        f"{facts.host}",
        f"  system    {facts.distribution}, {facts.system} {facts.release}, {facts.architecture}",
        f"  cpu       {facts.cpu_model}, {facts.cores_total} cores{usable}; "
        f"frequency scaling: {facts.cpu_frequency_scaling or 'not to be read'}",
        f"  memory    {facts.memory_bytes / 2**30:.1f} GiB",
        f"  disk      {facts.disk_free_bytes / 2**30:.1f} GiB free for {facts.workdir}",
        f"  python    {facts.python_version} ({facts.python_path})",
        f"  user      {facts.user}; open files at most {facts.open_files_limit}",
        f"  clock     {facts.clock_offset_seconds * 1000:+.1f} ms from ours, "
        f"±{facts.clock_offset_error_seconds * 1000:.1f} ms",
    ]


def trust_hosts(
    root: Path, hosts: str, *, say: Callable[[str], None], confirm: Callable[[str], bool]
) -> None:
    """Show every SSH host's keys and pin them beside the inventory. Raises HostKeyError if refused.

    Names and ports are what ~/.ssh/config makes of them; a jump host is pinned before what is behind it, and
    once if several hosts are behind it.
    """
    inventory = read_inventory(hosts, root=root)
    keys = host_keys_of(inventory)
    remote = [host for host in inventory.hosts if not host.is_local]
    if not remote:
        say("every host is local: there is no key to pin")
        return
    pinned: set[tuple[str, int]] = set()
    for host in remote:
        for number in range(len(way_to(unopened(host, keys)))):
            # Anew for each: what was pinned on the way is known by then.
            way = way_to(unopened(host, keys))
            one = way[number]
            if (one.host, int(one.port)) in pinned:
                continue
            through = one.open_gateway if one.gateway else None
            name = host.name if number == len(way) - 1 else f"jump host of {host.name}"
            try:
                open_jumps(host, one, keys)
                _pin(name, one, keys, through, say, confirm)
            finally:
                close_way(one)
            pinned.add((one.host, int(one.port)))
    say(f"pinned in {keys.files[0]}")


def _pin(
    name: str,
    connection: Any,
    keys: HostKeys,
    open_socket: Callable[[], Any] | None,
    say: Callable[[str], None],
    confirm: Callable[[str], bool],
) -> None:
    address, port = connection.host, int(connection.port)
    shown = scan_host_key(address, port, SCAN_SECONDS, open_socket=open_socket)
    for key in shown:
        say(f"{name} ({address}:{port})  {key.get_name()}  {fingerprint(key)}")
    if not confirm(f"Are these the keys of {name}? Compare them with what its owner tells you."):
        raise HostKeyError(f"{name}: not pinned", remedy="nothing runs on a host whose key is not known")
    pin(keys.files[0], address, port, shown)


def clean_hosts(root: Path, hosts: str, *, say: Callable[[str], None]) -> None:
    """Stop all of ours and remove the work folder on every host; prove that it has gone.

    In a database that is not ours, our schema goes first: that takes the server host's host-tools, which are
    provisioned if need be. A database that can't be asked keeps no host from being cleaned.
    """
    inventory = read_inventory(hosts, root=root)
    keys = host_keys_of(inventory)
    session = new_session("hosts.clean")

    def clean(host: Host) -> str:
        existing = inventory.existing_database if host.name == inventory.server.name else None
        return _clean(host, keys, session, lambda guarded: _drop_schema(guarded, existing, root, say))

    cleaned, errors = outcomes_asking(clean, inventory.hosts, terminal())
    for name, workdir in cleaned.items():
        say(f"{name}: {workdir} is gone")
    for name, error in errors.items():
        say(f"{name}: {error}")
    if errors:
        raise next(iter(errors.values()))


def _drop_schema(
    guarded: GuardedHost, existing: ExistingDatabase | None, root: Path, say: Callable[[str], None]
) -> DatabaseError | None:
    if existing is None:
        return None
    tools = provision(
        guarded, guarded.facts, [TOOLS_GROUP], root=root, files=app_files(), report=lambda _: None
    )
    place = Place(guarded, tools.environments[TOOLS_GROUP].python, str(tools.shipped))
    try:
        dropped = drop_schema(existing, place)
    except DatabaseError as error:
        return error
    say(f"database {existing.shown}: " + ("our schema is gone" if dropped else "there was no schema of ours"))
    return None


def _clean(
    host: Host,
    keys: HostKeys,
    session: GuardSession,
    before: Callable[[GuardedHost], AsgibenchError | None],
) -> str:
    """``before`` is done while the host is held; its error is raised when the host is clean."""
    connection = connect(host, keys)
    facts = read_facts(connection)
    guarded = GuardedHost(connection, facts, session)
    failure = before(guarded)
    # Nearly all while the host is held, so that no other session builds on what is being removed.
    guarded.run(
        ["find", facts.workdir, "-mindepth", "1", "-maxdepth", "1", "!", "-name", "guard*",
         "!", "-name", MARKER, "-exec", "rm", "-rf", "{}", "+"],
        timeout_seconds=300,
    )  # fmt: skip
    guarded.release()
    connection = connect(host, keys)
    try:
        # The guard has seen to it that the folder is one that we made.
        connection.run(["rm", "-rf", facts.workdir])
        left = connection.run(["test", "-e", facts.workdir], check=False)
        if left.exit_status == 0:
            raise HostUnsuitable(f"{host.name}: {facts.workdir} can't be removed", remedy="remove it by hand")
    finally:
        connection.close()
    if failure is not None:
        raise failure
    return facts.workdir
