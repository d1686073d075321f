"""The command `hosts.clean`: everything of ours is removed from the hosts, and what is left is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.environment.hosts import ExistingDatabase, Host, HostFacts
from bench.errors import AsgibenchError, DatabaseError, LeftBehind
from bench.wire.leftovers import Leftovers
from inventory.read import read_inventory
from remote import bootstrap
from remote.database import TOOLS_GROUP, ProgramPlace, drop_schema
from remote.facts import read_facts
from remote.guarded import MARKER, GuardedHost, GuardSession, new_session
from remote.provision.provision import provision
from remote.provision.ship import travelling_files
from remote.runner import HostConnection
from remote.ssh.ask import outcomes_asking, terminal
from remote.ssh.connect import connect
from remote.ssh.hop import HostKeys, host_keys_of

# A guard that has given its host back still has to end.
PATIENCE_SECONDS = 3.0


class Cleaned(msgspec.Struct, frozen=True):
    """What hosts.clean saw on one host afterwards."""

    workdir: str
    left: tuple[str, ...]  # what is there still
    unseen: tuple[str, ...]  # what can't be looked at there


def clean_hosts(root: Path, hosts: str, *, say: Callable[[str], None]) -> None:
    """Stop all of ours, remove the work folder on every host, and look whether anything is left.

    In a database that is not ours, our schema goes first: that takes the server host's host-tools, which are
    provisioned if need be. A database that can't be reached keeps no host from being cleaned. ``say`` is
    given every host's outcome. Raises LeftBehind naming what is left, or what a host failed with.
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
            remedy="End or remove it by hand, then run `./invoke hosts.clean` again",
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
    place = ProgramPlace(guarded, tools.environments[TOOLS_GROUP].python, str(tools.shipped))
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
    """``before`` is called while the host is held. Raises its error once the host is clean."""
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
            _leftovers(connection, facts, "look", facts.workdir, marks.decode(), f"{PATIENCE_SECONDS:g}"),
            type=Leftovers,
        )
    finally:
        connection.close()
    why = removed.stderr.decode(errors="replace").strip().splitlines()[-1:]
    left = (*seen.left, *why)
    if failure is not None and not left:
        raise failure
    if failure is not None:
        left = (*left, str(failure))
    return Cleaned(facts.workdir, left, seen.unseen)


def _leftovers(connection: HostConnection, facts: HostFacts, *words: str) -> bytes:
    done = connection.run([facts.python_path, "-I", "-B", "-", *words], stdin=bootstrap.script("leftovers"))
    return done.stdout.strip()
