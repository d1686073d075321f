"""What is known of a host: where it stands in the inventory, and its facts."""

from __future__ import annotations

import msgspec


class Host(msgspec.Struct, frozen=True):
    """One host of an inventory. Ansible's connection variables have their plain names."""

    name: str
    groups: tuple[str, ...]  # of the inventory, the roles among them
    connection: str = "ssh"  # or "local"
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

    @property
    def is_local(self) -> bool:
        return self.connection == "local"

    def without_secrets(self) -> Host:
        """As it may be kept in results."""
        return msgspec.structs.replace(self, ssh_password=None, ssh_key_passphrase=None)


class ExistingDatabase(msgspec.Struct, frozen=True):
    """A PostgreSQL that is not ours. ``url`` has a password in it and goes nowhere but into the environment
    of processes on the server's host; ``shown`` is host:port/database."""

    url: str
    shown: str

    def __repr__(self) -> str:
        return f"ExistingDatabase({self.shown})"


class Inventory(msgspec.Struct, frozen=True):
    """The hosts of one environment by role. A host may stand in several roles.

    ``database`` is None where the database lives on the server host or is an ``existing_database``.
    ``group`` is the environment's among several of one file, "" for all of it.
    ``controller_cores`` pins the controller's own processes (``asgibench_controller_cores``), else None.
    """

    name: str
    path: str
    server: Host
    loadgen: tuple[Host, ...]
    database: Host | None = None
    controller_cores: tuple[int, ...] | None = None
    group: str = ""
    existing_database: ExistingDatabase | None = None

    @property
    def wanted(self) -> str:
        """What --hosts takes for it where the file stands in the folder inventory."""
        return f"{self.name.removesuffix(f'-{self.group}')}:{self.group}" if self.group else self.name

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Every host once, the server first."""
        seen: dict[str, Host] = {}
        for host in (self.server, *(() if self.database is None else (self.database,)), *self.loadgen):
            seen.setdefault(host.name, host)
        return tuple(seen.values())


class HostFacts(msgspec.Struct, frozen=True):
    """A host's fingerprint, as remote/facts.py reads it. None: not to be had on this system."""

    host: str
    system: str  # Linux, Darwin
    release: str  # kernel
    distribution: str
    architecture: str
    cpu_model: str
    cores_total: int
    cores_usable: tuple[int, ...]
    memory_bytes: int
    python_version: str
    python_path: str
    python_implementation: str
    libc: str  # "glibc 2.36", "musl", "" on macOS
    macos_version: str
    user: str
    is_root: bool
    home: str
    workdir: str
    disk_free_bytes: int
    boot_id: str
    cpu_frequency_scaling: str | None
    open_files_limit: int
    clock_offset_seconds: float
    clock_offset_error_seconds: float
    can_pin: bool
