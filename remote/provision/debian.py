"""Debian's packages, fetched by the controller's own apt for a host of the same release.

apt finds the mirror, proxy and keys that are set for it, and checks every package against its signed lists.
``<cache>/<hash>/<file>`` keeps them, and each is checked against apt's hash whenever it is handed out.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from bench.errors import HostUnsuitable, ProvisionError

APT_SECONDS = 300
WHO_SCRIPT = '. /etc/os-release && echo "$ID $VERSION_CODENAME" && dpkg --print-architecture'
"""Prints the two lines of a ``DebianRelease``; another status where this isn't a relative of Debian."""
_URI = re.compile(
    r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) (?P<kind>[A-Za-z0-9]+):(?P<digest>[0-9a-f]+)$"
)
_DEPENDENCY = re.compile(r"^ [ |](?:Pre)?Depends: (\S+)$", re.MULTILINE)


class DebianRelease(msgspec.Struct, frozen=True):
    """What packages are built for."""

    name: str  # "debian bookworm"
    architecture: str  # as dpkg names it

    @property
    def title(self) -> str:
        return f"{self.name} on {self.architecture}"


class DebianPackage(msgspec.Struct, frozen=True):
    """One package as apt would fetch it."""

    name: str
    file: str
    size_bytes: int
    hash_kind: str  # as hashlib names it
    digest: str  # lower-case hex


def release_of(answer: str) -> DebianRelease | None:
    """Of what WHO_SCRIPT has printed; None where it is no answer."""
    lines = answer.split("\n")
    if len(lines) < 2 or len(lines[0].split()) != 2:
        return None
    return DebianRelease(lines[0].strip(), lines[1].strip())


def own_release() -> DebianRelease | None:
    """The controller's; None where it has no apt."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    done = subprocess.run(["sh", "-c", WHO_SCRIPT], capture_output=True, text=True, timeout=60)
    return release_of(done.stdout) if done.returncode == 0 else None


def find_packages(names: Sequence[str]) -> tuple[DebianPackage, ...]:
    """What apt would fetch, without fetching it. Raises ProvisionError."""
    found = packages_of(_apt(["apt-get", "--print-uris", "download", *names]))
    missing = [name for name in names if name not in {one.name for one in found}]
    if missing:
        raise _apt_error(f"apt names no hash of {', '.join(missing)}", "")
    return found


def packages_of(answer: str) -> tuple[DebianPackage, ...]:
    """Of what ``apt-get --print-uris download`` has printed."""
    matches = [match for line in answer.splitlines() if (match := _URI.match(line))]
    return tuple(
        DebianPackage(
            name=posixpath.basename(match["file"]).partition("_")[0],
            file=match["file"],
            size_bytes=int(match["size"]),
            hash_kind=match["kind"].lower(),
            digest=match["digest"],
        )
        for match in matches
        if match["kind"].lower() in hashlib.algorithms_available
    )


def libraries_of(packages: Sequence[str]) -> tuple[str, ...]:
    """The packages of libraries that these ask for themselves, the preferred of two first.

    Raises ProvisionError.
    """
    return libraries_in(_apt(["apt-cache", "depends", *packages]))


def libraries_in(answer: str) -> tuple[str, ...]:
    """Of what ``apt-cache depends`` has printed."""
    names = dict.fromkeys(_DEPENDENCY.findall(answer))
    # The C library is every host's own: a program can't run on another one's.
    return tuple(name for name in names if name.startswith("lib") and name != "libc6")


def fetch_packages(
    packages: Sequence[DebianPackage], cache: Path, report: Callable[[str], None]
) -> dict[str, Path]:
    """{package's name: its file}, each checked. Raises ProvisionError."""
    absent = [one for one in packages if not _is_whole(_place(cache, one), one)]
    if absent:
        size = sum(one.size_bytes for one in absent)
        report(f"downloading {len(absent)} packages of Debian's ({size / 1e6:.1f} MB)")
        _download(absent, cache)
    return {one.name: _place(cache, one) for one in packages}


def _download(packages: Sequence[DebianPackage], cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="partial-", dir=cache) as folder:
        _apt(["apt-get", "--quiet", "download", *(one.name for one in packages)], Path(folder))
        for package in packages:
            path = Path(folder) / package.file
            if not _is_whole(path, package):
                raise _apt_error(f"{package.file} did not come with the hash of apt's lists", "")
            place = _place(cache, package)
            place.parent.mkdir(exist_ok=True)
            path.replace(place)


def unpacked(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a package that are ``wanted``, by path; a link comes with what it leads to.

    Raises ProvisionError.
    """
    done = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, timeout=APT_SECONDS, check=False
    )
    if done.returncode != 0:
        raise _apt_error(f"dpkg-deb can't read {path.name}", done.stderr.decode(errors="replace"))
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        members = {PurePosixPath(posixpath.normpath(one.name)): one for one in archive.getmembers()}
        for name in members:
            target = _behind_links(name, members)
            if wanted(name) and target is not None and target.isfile():
                file = archive.extractfile(target)
                assert file is not None
                yield name, file.read()


def _behind_links(
    name: PurePosixPath, members: Mapping[PurePosixPath, tarfile.TarInfo]
) -> tarfile.TarInfo | None:
    """None for a link that leads out of the package, or round in a circle."""
    for _ in range(len(members)):
        one = members.get(name)
        if one is None or not one.issym():
            return one
        name = PurePosixPath(posixpath.normpath(name.parent / one.linkname))
    return None


def unfit(
    host: str, program: str, theirs: DebianRelease | None, ours: DebianRelease | None
) -> HostUnsuitable | None:
    """Why packages of the controller's can't run on the host; None: they can."""
    if theirs is not None and theirs == ours:
        return None
    if theirs is None:
        why = "it is no relative of Debian, so that its package can't be sent there"
    elif ours is None:
        why = "this machine has no apt to fetch Debian's package with"
    else:
        why = f"this machine's apt has packages for {ours.title}, the host is {theirs.title}"
    return HostUnsuitable(
        f"{host}: {program} is not installed, and {why}",
        remedy=f"Install the package {program} there, or leave it out",
    )


def _apt(argv: Sequence[str], folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=APT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _apt_error(f"{argv[0]} took longer than {APT_SECONDS} s", "") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise _apt_error(lines[-1].removeprefix("E: ").rstrip("."), done.stderr)
    return done.stdout


def _apt_error(cause: str, words: str) -> ProvisionError:
    return ProvisionError(
        f"controller: Debian's packages could not be had ({cause})",
        remedy="Run `apt-get update` on this machine, or install them on the host",
        detail=words[-4000:],
    )


def _place(cache: Path, package: DebianPackage) -> Path:
    return cache / package.digest / package.file


def _is_whole(path: Path, package: DebianPackage) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, package.hash_kind).hexdigest() == package.digest
    except FileNotFoundError:
        return False
