"""The commands `hosts.trust` and `hosts.clean`: hosts trusted, and rid of us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.environment.hosts import ExistingDatabase, Host, HostFacts
from bench.errors import AsgibenchError, DatabaseError, HostKeyError, LeftBehind
from inventory.read import read_inventory
from remote.database import TOOLS_GROUP, Place, drop_schema
from remote.facts import read_facts
from remote.guarded import MARKER, GuardedHost, GuardSession, new_session
from remote.provision.provision import provision
from remote.provision.ship import travelling_files
from remote.ssh.ask import outcomes_asking, terminal
from remote.ssh.connect import Connection, HostKeys, close_way, connect, host_keys_of, open_jumps, unopened
from remote.ssh.jumps import way_to
from remote.ssh.known_hosts import fingerprint, pin, scan_host_key

SCAN_SECONDS = 10.0
# A guard that has given its host back still has to end.
PATIENCE_SECONDS = 3.0


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


class Cleaned(msgspec.Struct, frozen=True):
    """What hosts.clean saw on one host afterwards. ``unseen`` is what can't be looked at there."""

    workdir: str
    left: tuple[str, ...]
    unseen: tuple[str, ...]


def clean_hosts(root: Path, hosts: str, *, say: Callable[[str], None]) -> None:
    """Stop all of ours, remove the work folder on every host, and look whether anything is left.

    In a database that is not ours, our schema goes first: that takes the server host's host-tools, which are
    provisioned if need be. A database that can't be asked keeps no host from being cleaned. Every host's
    outcome is said. Raises LeftBehind naming what is left, or what a host failed with.
    """
    inventory = read_inventory(hosts, root=root)
    keys = host_keys_of(inventory)
    session = new_session("hosts.clean")

    def clean(host: Host) -> Cleaned:
        existing = inventory.existing_database if host.name == inventory.server.name else None
        return _clean(host, keys, session, lambda guarded: _drop_schema(guarded, existing, root, say))

    cleaned, errors = outcomes_asking(clean, inventory.hosts, terminal())
    for name, one in cleaned.items():
        if one.left:
            say(f"{name}: left behind: {'; '.join(one.left)}")
        else:
            say(f"{name}: {one.workdir} is gone, nothing left{_but_for(one.unseen)}")
    for name, error in errors.items():
        say(f"{name}: {error}")
    if errors:
        raise next(iter(errors.values()))
    left = {name: one.left for name, one in cleaned.items() if one.left}
    if left:
        raise LeftBehind(
            f"something of ours is left on {', '.join(left)}",
            remedy="end or remove it by hand, then run `./invoke hosts.clean` again",
            detail="\n".join(f"  {name}: {text}" for name, texts in left.items() for text in texts),
        )


def _drop_schema(
    guarded: GuardedHost, existing: ExistingDatabase | None, root: Path, say: Callable[[str], None]
) -> DatabaseError | None:
    if existing is None:
        return None
    tools = provision(
        guarded, guarded.facts, [TOOLS_GROUP], root=root, files=travelling_files(), report=lambda _: None
    )
    place = Place(guarded, tools.environments[TOOLS_GROUP].python, str(tools.shipped))
    try:
        dropped = drop_schema(existing, place)
    except DatabaseError as error:
        return error
    say(f"database {existing.shown}: " + ("our schema is gone" if dropped else "there was no schema of ours"))
    return None


def _but_for(unseen: tuple[str, ...]) -> str:
    return f" (not seen: {'; '.join(unseen)})" if unseen else ""


def _clean(
    host: Host,
    keys: HostKeys,
    session: GuardSession,
    before: Callable[[GuardedHost], AsgibenchError | None],
) -> Cleaned:
    """``before`` is done while the host is held; its error is told when the host is clean."""
    connection = connect(host, keys)
    facts = read_facts(connection)
    # The way to what a database leaves behind is in the folder that is removed.
    marks = _leftovers(connection, facts, "marks", facts.workdir)
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
        removed = connection.run(["rm", "-rf", facts.workdir], check=False)
        seen = msgspec.json.decode(
            _leftovers(connection, facts, "look", facts.workdir, marks.decode(), f"{PATIENCE_SECONDS:g}")
        )
    finally:
        connection.close()
    why = removed.stderr.decode(errors="replace").strip().splitlines()[-1:]
    left = (*seen["left"], *why)
    if failure is not None and not left:
        raise failure
    if failure is not None:
        left = (*left, str(failure))
    return Cleaned(facts.workdir, left, tuple(seen["unseen"]))


def _leftovers(connection: Connection, facts: HostFacts, *words: str) -> bytes:
    script = (Path(__file__).parent / "onhost/bootstrap/leftovers.py").read_bytes()
    done = connection.run([facts.python_path, "-I", "-B", "-", *words], stdin=script)
    return done.stdout.strip()
