"""The commands `hosts.check`, `hosts.trust` and `hosts.clean`: what hosts are, trusted and rid of us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.errors import HostKeyError, HostUnsuitable
from bench.hosts import Host, HostFacts
from inventory.read import read_inventory
from remote.connect import HostKeys, connect, host_keys_of
from remote.facts import read_facts
from remote.guarded import GuardedHost, GuardSession, new_session
from remote.known_hosts import fingerprint, known_hosts_files, pin, scan_host_key
from remote.parallel import on_all, outcomes

SSH_PORT = 22


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

    found, errors = outcomes(look, inventory.hosts, lambda host: host.name)
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
    """Show every SSH host's keys and pin them beside the inventory. Raises HostKeyError if refused."""
    inventory = read_inventory(hosts, root=root)
    file = known_hosts_files(Path(inventory.path))[0]
    remote = [host for host in inventory.hosts if not host.is_local]
    if not remote:
        say("every host is local: there is no key to pin")
        return
    scanned = on_all(
        lambda host: scan_host_key(host.ssh_host, host.ssh_port or SSH_PORT, timeout_seconds=10),
        remote,
        lambda host: host.name,
    )
    for host in remote:
        keys = scanned[host.name]
        for key in keys:
            where = f"{host.ssh_host}:{host.ssh_port or SSH_PORT}"
            say(f"{host.name} ({where})  {key.get_name()}  {fingerprint(key)}")
        if not confirm(f"Are these the keys of {host.name}? Compare them with what its owner tells you."):
            raise HostKeyError(
                f"{host.name}: not pinned", remedy="nothing runs on a host whose key is not known"
            )
        pin(file, host.ssh_host, host.ssh_port or SSH_PORT, keys)
    say(f"pinned in {file}")


def clean_hosts(root: Path, hosts: str, *, say: Callable[[str], None]) -> None:
    """Stop all of ours and remove the work folder on every host; prove that it has gone."""
    inventory = read_inventory(hosts, root=root)
    keys = host_keys_of(inventory)
    session = new_session("hosts.clean")
    cleaned, errors = outcomes(
        lambda host: _clean(host, keys, session), inventory.hosts, lambda host: host.name
    )
    for name, workdir in cleaned.items():
        say(f"{name}: {workdir} is gone")
    for name, error in errors.items():
        say(f"{name}: {error}")
    if errors:
        raise next(iter(errors.values()))


def _clean(host: Host, keys: HostKeys, session: GuardSession) -> str:
    connection = connect(host, keys)
    facts = read_facts(connection)
    guarded = GuardedHost(connection, facts, session)
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
    return facts.workdir
