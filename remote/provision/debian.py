"""A program that is no Python package: the host's own where it has it, else Debian's package, pushed.

What the host has on its PATH is used as it is. Else apt on the controller fetches the package for the host's
processor; it checks every byte against the archive's signed index. The program is sent, and then what the
host's own ldd finds missing: the shared libraries out of the packages that it depends on, level by level.
libc is never sent: the host's must be as new as the one that the package was built with.

    debian/<program>-<version>/bin/<program>      sent last, so that what is there is whole
    debian/<program>-<version>/lib/               the libraries that the host lacks
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import ProvisionError
from bench.programs import HostProgram
from bench.wire.environments import HostFile
from remote.provision.supply import HostSupply
from remote.provision.wheels import default_cache
from remote.runner import Runner

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
LOOK_SECONDS = 30.0
FETCH_SECONDS = 300.0
# h2load needs one level of its package's dependencies, haproxy two.
LEVELS_AT_MOST = 4
# Also where a login shell looks and a command over SSH doesn't.
MORE_FOLDERS = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin"
FIND = 'PATH="$PATH:$1"; found=$(command -v "$0") && echo "$found"'
PUSHED = 'for one in "$0"/*; do if [ -x "$one/bin/$1" ]; then echo "$one"; fi; done'
LIBRARY = re.compile(r"(?:.*/)?(lib[^/]+\.so(?:\.[0-9.]+)?)")
MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
URI = r"^'\S+' (\S+\.deb) \d+ SHA256:([0-9a-f]{64})$"
DEPENDS = ("depends", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces")


class FoundProgram(msgspec.Struct, frozen=True):
    """A program that runs on a host."""

    name: str
    path: str  # absolute, there
    version: str  # the first line of what it says of itself
    libraries: str = ""  # the folder of the libraries that were sent with it; "": it needs none of them
    package: str = ""  # Debian's package and version that was sent; "": the host's own program

    @property
    def variables(self) -> dict[str, str]:
        """What it needs in its environment."""
        return {"LD_LIBRARY_PATH": self.libraries} if self.libraries else {}

    @property
    def title(self) -> str:
        """For a reader: ``h2load nghttp2/1.52.0, Debian's nghttp2-client_1.52.0-1 sent to the host``."""
        whence = (
            f"Debian's {self.package}, sent to the host" if self.package else f"the host's own {self.path}"
        )
        return f"{self.version}; {whence}"


class DebianPackage(msgspec.Struct, frozen=True):
    """One package, unpacked: {file name: content} of what may be sent of it."""

    name: str  # with its version
    programs: dict[str, bytes]
    libraries: dict[str, bytes]


def find_program(connection: Runner, facts: HostFacts, program: HostProgram) -> FoundProgram | None:
    """The program as the host has it by itself, else as it was sent there before; None: neither."""
    done = connection.run(
        ["sh", "-c", FIND, program.name, MORE_FOLDERS], timeout_seconds=LOOK_SECONDS, check=False
    )
    path = done.stdout.decode(errors="replace").strip()
    if done.exit_status == 0 and path.startswith("/"):
        own = FoundProgram(program.name, path, "")
        version = _version(connection, own, program)
        if version is not None:
            return msgspec.structs.replace(own, version=version)
    listed = connection.run(
        ["sh", "-c", PUSHED, _root(facts), program.name], timeout_seconds=LOOK_SECONDS, check=False
    )
    for folder in sorted(listed.stdout.decode(errors="replace").split("\n"), reverse=True):
        if folder:
            sent = _sent(folder, program)
            version = _version(connection, sent, program)
            if version is not None:
                return msgspec.structs.replace(sent, version=version)
    return None


def supply_program(
    connection: Runner,
    facts: HostFacts,
    program: HostProgram,
    *,
    report: Callable[[str], None],
    cache: Path | None = None,
) -> FoundProgram:
    """Have the program on the host. ``cache`` is the controller's, for Debian's packages.

    Raises ProvisionError, with what to install on the host, where it can't be had there.
    """
    found = find_program(connection, facts, program)
    if found is not None:
        return found
    why_not = cannot_send(facts)
    if why_not:
        raise _lacking(facts, program, why_not)
    source = _Packages(facts, program, cache or default_cache().parent / "debian", report)
    (first,) = source.fetch([program.package])
    binary = first.programs.get(program.name)
    if binary is None:
        raise _lacking(facts, program, f"Debian's {first.name} has no {program.name}")
    sent = _sent(f"{_root(facts)}/{program.name}-{first.name.partition('_')[2]}", program)
    supply = HostSupply(connection, facts)
    # Under another name until its libraries are there: what has its own name is whole.
    unfinished = f"{sent.path}.unfinished"
    supply.send([_file(unfinished, binary, executable=True)], None)
    _send_libraries(connection, supply, source, first, sent.libraries, unfinished)
    supply.send([_file(sent.path, binary, executable=True)], None)
    connection.run(["rm", "-f", unfinished], check=False)
    version = _version(connection, sent, program)
    if version is None:
        detail = _words(_run(connection, sent, program))
        connection.run(["rm", "-f", sent.path], check=False)
        raise _lacking(facts, program, f"Debian's {first.name} doesn't run there", detail)
    report(f"sent Debian's {first.name}")
    return msgspec.structs.replace(sent, version=version, package=first.name)


def cannot_send(facts: HostFacts) -> str:
    """Why Debian's packages can't be sent to this host, as far as that is known here; "": they can."""
    if facts.system != "Linux":
        return "Debian's packages don't run on its system"
    if facts.architecture not in ARCHITECTURES:
        return f"Debian has no packages for {facts.architecture}"
    if any(shutil.which(tool) is None for tool in ("apt-get", "apt-cache", "dpkg-deb")):
        return "this machine has no apt to fetch Debian's package with"
    return ""


# ---------------------------------------------------------------- on the host


def _root(facts: HostFacts) -> str:
    return f"{facts.workdir}/debian"


def _sent(folder: str, program: HostProgram) -> FoundProgram:
    package = f"{program.package}_{PurePosixPath(folder).name.removeprefix(f'{program.name}-')}"
    return FoundProgram(program.name, f"{folder}/bin/{program.name}", "", f"{folder}/lib", package)


def _run(connection: Runner, found: FoundProgram, program: HostProgram) -> tuple[int, str]:
    done = connection.run(
        [found.path, *program.version_words],
        env=found.variables,
        timeout_seconds=LOOK_SECONDS,
        check=False,
    )
    return done.exit_status, (done.stdout + done.stderr).decode(errors="replace")


def _words(outcome: tuple[int, str]) -> str:
    status, text = outcome
    return f"status {status}\n{text.strip()[-2_000:]}"


def _version(connection: Runner, found: FoundProgram, program: HostProgram) -> str | None:
    """The first line of what it says of itself; None where it doesn't run."""
    status, text = _run(connection, found, program)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if status == 0 and lines else None


def _file(path: str, content: bytes, *, executable: bool = False) -> tuple[HostFile, bytes]:
    return HostFile(path, hashlib.sha256(content).hexdigest(), len(content), executable), content


def _send_libraries(
    connection: Runner,
    supply: HostSupply,
    source: _Packages,
    first: DebianPackage,
    folder: str,
    binary: str,
) -> None:
    """What ldd on the host finds missing, until nothing is, or nothing more is to be had."""
    known = dict(first.libraries)
    levels = source.levels(first.name.partition("_")[0])
    while missing := _missing(connection, folder, binary):
        while not missing <= known.keys():
            level = next(levels, None)
            if level is None:
                break
            for package in source.fetch(level):
                known.update(package.libraries)
        ready = sorted(missing & known.keys())
        if not ready:
            return  # the program's own words say what it lacks
        supply.send([_file(f"{folder}/{name}", known[name]) for name in ready], None)


def _missing(connection: Runner, folder: str, binary: str) -> set[str]:
    done = connection.run(
        ["ldd", binary], env={"LD_LIBRARY_PATH": folder}, timeout_seconds=LOOK_SECONDS, check=False
    )
    return set(MISSING.findall(done.stdout.decode(errors="replace")))


def _lacking(facts: HostFacts, program: HostProgram, why: str, detail: str = "") -> ProvisionError:
    return ProvisionError(
        f"{facts.host}: {program.name} isn't there, and can't be sent: {why}",
        remedy=program.install_on(facts.host, facts.system),
        detail=detail,
    )


# ---------------------------------------------------------------- on the controller


class _Archive(msgspec.Struct, frozen=True):
    """One package's file, as the archive's signed index has it."""

    file_name: str
    sha256: str

    def is_whole(self, path: Path) -> bool:
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


class _Packages(msgspec.Struct, frozen=True):
    """Debian's packages for one host's processor, by the controller's apt."""

    facts: HostFacts
    program: HostProgram
    cache: Path
    report: Callable[[str], None]

    def levels(self, package: str) -> Iterator[tuple[str, ...]]:
        """The libraries' packages that it depends on: its own, then theirs, and so on."""
        seen = {package}
        level: tuple[str, ...] = (package,)
        for _ in range(LEVELS_AT_MOST):
            level = tuple(name for name in self._depends(level) if name not in seen)
            seen.update(level)
            if not level:
                return
            yield level

    def fetch(self, packages: Sequence[str]) -> list[DebianPackage]:
        """Downloaded, or as they lie in the cache. Raises ProvisionError with apt's own words."""
        folder = self.cache / ARCHITECTURES[self.facts.architecture]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            archives = self._archives(packages)
            absent = [one for one in archives if not one.is_whole(folder / one.file_name)]
            if absent:
                self.report(f"fetching {len(absent)} of Debian's packages for {self.program.name}")
                self._download(packages, absent, folder)
            return [_unpacked(folder / one.file_name) for one in archives]

    def _archives(self, packages: Sequence[str]) -> list[_Archive]:
        """What apt would fetch. The names are also those of the files that it makes."""
        listed = self._apt("apt-get", ["download", "--print-uris", *self._named(packages)])
        found = [_Archive(name, sha256) for name, sha256 in re.findall(URI, listed, re.MULTILINE)]
        if len(found) != len(packages):
            why = f"this machine's apt has no SHA-256 of {', '.join(packages)}"
            raise _lacking(self.facts, self.program, why, listed[-4_000:])
        return found

    def _download(self, packages: Sequence[str], absent: Sequence[_Archive], folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="partial-", dir=folder) as partial:
            self._apt("apt-get", ["download", "-q", *self._named(packages)], partial)
            for one in absent:
                made = Path(partial) / one.file_name
                if not one.is_whole(made):
                    raise _lacking(self.facts, self.program, f"{one.file_name} came with another SHA-256")
                made.rename(folder / one.file_name)

    def _depends(self, packages: Sequence[str]) -> list[str]:
        text = self._apt("apt-cache", [*DEPENDS, "--no-enhances", *self._named(packages)])
        names = re.findall(r"^ *\|?(?:Pre)?Depends: ([a-z0-9][^\s:<]*)", text, re.MULTILINE)
        wanted = [name for name in names if name.startswith("lib") and name not in ("libc6", "libc-bin")]
        return list(dict.fromkeys(wanted))

    def _named(self, packages: Sequence[str]) -> list[str]:
        return [f"{package}:{ARCHITECTURES[self.facts.architecture]}" for package in packages]

    def _apt(self, tool: str, words: Sequence[str], folder: str | None = None) -> str:
        try:
            done = subprocess.run(
                [tool, *words],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=FETCH_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            why = f"{tool} took longer than {FETCH_SECONDS:g} s"
            raise _lacking(self.facts, self.program, why) from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise _lacking(self.facts, self.program, f"{tool} {words[0]}: {last}", done.stderr[-4_000:])
        return done.stdout


def _unpacked(archive: Path) -> DebianPackage:
    name, version = archive.name.split("_")[:2]
    done = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(archive)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=FETCH_SECONDS,
    )
    programs: dict[str, bytes] = {}
    libraries: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        for member in files.getmembers():
            path = PurePosixPath(member.name)
            is_program = path.parent.name in ("bin", "sbin")
            library = LIBRARY.fullmatch(member.name)
            if not (is_program or library) or not (member.isfile() or member.issym()):
                continue
            try:
                content = files.extractfile(member)
            except KeyError:  # a link that leads out of the package
                continue
            if content is not None:
                (programs if is_program else libraries)[path.name] = content.read()
    # An epoch's colon stays as apt writes it in names of files: a colon would cut LD_LIBRARY_PATH in two.
    return DebianPackage(f"{name}_{version}", programs, libraries)
