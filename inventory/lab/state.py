"""What a lab keeps on this machine while it stands, and the keys it makes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.errors import LabError
from inventory.lab.process import ProcessMark
from inventory.lab.spec import LabSpec
from inventory.lab.system import run

STATE_NAME = "lab.json"
RECORD_NAME = "host.json"
CLIENT_KEY_NAME = "client_key"
HOST_KEY_NAME = "ssh_host_ed25519_key"

Kept = TypeVar("Kept", "LabState", "HostRecord")


class LabState(msgspec.Struct, frozen=True):
    """Written before anything else is made, so that whatever stops lab.up, lab.down knows what to look for.

    ``made_namespace_directory``: /run/netns came with this lab and goes with it.
    """

    spec: LabSpec
    made_namespace_directory: bool


class HostRecord(msgspec.Struct, frozen=True):
    """A host that was started: its first process, the base below it, and how its root was made."""

    init: ProcessMark
    base: str
    root: str


def load_state(state_directory: Path) -> LabState | None:
    """The lab that stands or stood, or None. Raises LabError where its file is damaged."""
    return load(state_directory / STATE_NAME, LabState)


def save_state(state: LabState) -> None:
    save(state.spec.state_directory / STATE_NAME, state)


def load_record(host_directory: Path) -> HostRecord | None:
    """None for a host that was never started, or only half."""
    return load(host_directory / RECORD_NAME, HostRecord)


def save_record(host_directory: Path, record: HostRecord) -> None:
    save(host_directory / RECORD_NAME, record)


def load(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind, dec_hook=decode_path)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise LabError(
            f"{path} is damaged ({error})", remedy="Delete it, then `./invoke lab.down`"
        ) from error


def save(path: Path, value: msgspec.Struct) -> None:
    write_atomically(path, msgspec.json.encode(value, enc_hook=str), 0o600)


def decode_path(kind: type[Any], value: Any) -> Path:
    if kind is not Path:
        raise NotImplementedError(kind)
    return Path(value)


def write_atomically(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> bool:
    """Write a file of ``mode`` and ``owner`` (user, group); False where it says so already."""
    if path.is_file() and path.read_bytes() == content:
        return False
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.chmod(mode)
        if owner is not None:
            os.chown(temporary, *owner)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
    return True


def ensure_key(path: Path, comment: str) -> str:
    """An ed25519 key pair at ``path``; the public part, ``ssh-ed25519 AAAA... comment``."""
    public = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public.exists()):
        path.unlink(missing_ok=True)
        public.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return public.read_text().strip()


def invoking_user(environment: Mapping[str, str] = os.environ) -> tuple[int, int] | None:
    """(user, group) behind sudo: the benchmark itself needs no root, and has to read the client's key."""
    if "SUDO_UID" not in environment or "SUDO_GID" not in environment:
        return None
    return int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
