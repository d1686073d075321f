"""What is known of a host: its place in the inventory, and its facts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

import msgspec

from bench.wire.probe import HostDescription


class Host(msgspec.Struct, frozen=True):
    """One host of an inventory, with Ansible's connection variables under their plain names."""

    name: str
    groups: tuple[str, ...]  # of the inventory, the roles among them
    connection: str = "ssh"  # or "local"
    # The login. None: what ~/.ssh/config and ssh itself say.
    ssh_host: str = ""
    ssh_port: int | None = None  # None: 22, or what ~/.ssh/config says
    ssh_user: str | None = None
    ssh_key_file: str | None = None
    ssh_password: str | None = None
    ssh_key_passphrase: str | None = None
    proxy_jump: str | None = None  # "first,second", each [user@]host[:port]; "none" overrules ~/.ssh/config
    address: str = ""  # what the other hosts connect to
    bind: str | None = None  # what the server listens on; None: address, as the host resolves it
    python: str | None = None  # a path; None: found on PATH
    workdir: str | None = None  # a folder; None: the usual one
    cores: tuple[int, ...] | None = None  # CPU numbers that processes of ours are pinned to; None: all
    database_port: int | None = None  # what PostgreSQL listens on there; None: any free one
    # Where the server's connections come from as the database's host sees them; None: what its routes say.
    source_address: str | None = None
    note: str | None = None  # what a reader of the results should know of the host

    @property
    def is_local(self) -> bool:
        return self.connection == "local"

    def without_secrets(self) -> Host:
        """As it may be kept in results."""
        return msgspec.structs.replace(self, ssh_password=None, ssh_key_passphrase=None)


class ExistingDatabase(msgspec.Struct, frozen=True):
    """A PostgreSQL that is not ours."""

    # It has a password in it, and goes nowhere but into the environment of processes on the server's host.
    url: str
    shown: str  # host:port/database

    def __repr__(self) -> str:
        return f"ExistingDatabase({self.shown})"


class Inventory(msgspec.Struct, frozen=True):
    """The hosts of one environment by role. A host may have several roles."""

    name: str
    path: str  # of the inventory file
    server: Host
    loadgen: tuple[Host, ...]
    database: Host | None = None  # None: on the server's host, or an ``existing_database``
    # The cores for the controller's own processes (asgibench_controller_cores); None: all.
    controller_cores: tuple[int, ...] | None = None
    group: str = ""  # of the environment, where one file has several; "": the whole file
    existing_database: ExistingDatabase | None = None
    typed: str = ""  # what the user gave as --hosts

    @property
    def wanted(self) -> str:
        """What --hosts takes for it, as it is typed into a shell: what the user gave, else its name."""
        if self.typed:
            return shlex.quote(self.typed)
        return f"{self.name.removesuffix(f'-{self.group}')}:{self.group}" if self.group else self.name

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Every host once, the server first."""
        seen: dict[str, Host] = {}
        for host in (self.server, *(() if self.database is None else (self.database,)), *self.loadgen):
            seen.setdefault(host.name, host)
        return tuple(seen.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts(HostDescription):
    """What is known of a host, as remote/facts.py has found it; kept with the results."""

    host: str  # its name in the inventory
    clock_offset_seconds: float  # the host's clock minus the controller's
    clock_offset_error_seconds: float  # the offset is known to plus or minus this

    def with_clock(self, offset_seconds: float, error_seconds: float) -> HostFacts:
        """With the clock as it was read later."""
        return replace(self, clock_offset_seconds=offset_seconds, clock_offset_error_seconds=error_seconds)
