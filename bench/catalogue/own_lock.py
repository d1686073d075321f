"""A server's own requirements, and the lock of what they were resolved to: a lock file of PEP 751."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable

import msgspec
from packaging.pylock import Pylock, PylockValidationError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from bench.catalogue.versions import Lock
from bench.errors import CatalogueError
from bench.spec import ServerSpec

# What the test app imports. Its versions in uv.lock go into every lock, so that all servers run the same app.
APP_PACKAGES = ("starlette", "asyncpg")


class OwnLock(msgspec.Struct, frozen=True):
    """The lock of the environment of servers that bring requirements of their own."""

    group: str  # the environment's name, as in ServerSpec.group
    text: bytes  # the file

    @property
    def file_name(self) -> str:
        return file_name(self.group)

    @property
    def title(self) -> str:
        """Every package with its version: ``granian 2.8.9, uvloop 0.23.0``. Raises CatalogueError."""
        return ", ".join(f"{name} {version}".strip() for name, version in self.versions.items())

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()

    @property
    def pylock(self) -> Pylock:
        """Raises CatalogueError if the text is not a lock file of PEP 751."""
        try:
            return Pylock.from_dict(tomllib.loads(self.text.decode()))
        except (PylockValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CatalogueError(
                f"{self.file_name} is not a lock file of PEP 751 ({error})",
                remedy="Delete it: the requirements are then resolved anew",
            ) from error

    @property
    def versions(self) -> dict[str, str]:
        """{normalised package: version}, "" where it depends on the host. Raises CatalogueError."""
        found: dict[str, str] = {}
        for package in self.pylock.packages:
            version = str(package.version or "")
            found[package.name] = version if found.get(package.name, version) == version else ""
        return found


def file_name(group: str) -> str:
    """As PEP 751 wants it."""
    return f"pylock.{group}.toml"


def with_app(spec: ServerSpec, lock: Lock) -> ServerSpec:
    """The entry with the test app's packages added to its own requirements, at the versions of uv.lock.

    A package that the entry names itself stays as it stands there, and so does an entry with a group.
    """
    if not spec.requirements:
        return spec
    named = {canonicalize_name(Requirement(text).name) for text in spec.requirements}
    added = [
        f"{package}=={max(lock.versions[package], key=Version)}"
        for package in APP_PACKAGES
        if package not in named
    ]
    return msgspec.structs.replace(spec, requirements=(*spec.requirements, *added))


def with_own_locks(lock: Lock, own: Iterable[OwnLock]) -> Lock:
    """``lock`` that knows the groups of ``own`` too. Raises CatalogueError for a damaged one."""
    return msgspec.structs.replace(lock, groups=lock.groups | {one.group: one.versions for one in own})
