"""HAProxy for a server's host: the host's own, else Debian's package with the libraries that the host lacks.

What is sent lies in ``haproxy/<hash>/`` of the work folder: the program, and ``lib/``, which the program
alone is told of. Everything that the host has itself is the host's own, its C library always.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import HostUnsuitable, ProvisionError
from bench.wire.environments import HostFile, SurveyHost
from remote.provision.debian import (
    WHO_SCRIPT,
    fetch_packages,
    find_packages,
    libraries_of,
    own_release,
    release_of,
    unfit,
    unpacked,
)
from remote.provision.supply import HostSupply
from remote.runner import Runner

PACKAGE = "haproxy"
PROGRAM = PurePosixPath("usr/sbin/haproxy")
# A user's PATH often lacks the folders of programs that a system's own services use.
FIND_SCRIPT = (
    'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; program=$(command -v haproxy) || exit 3; '
    'echo "$program"; exec "$program" -v'
)
NOT_THERE = 3
_VERSION = re.compile(r"version (\S+)")
_MISSING = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)


class BalancerProgram(msgspec.Struct, frozen=True):
    """A balancer's program on a host."""

    path: str
    version: str
    libraries: str = ""  # the folder of libraries that were sent; "": it needs none but the host's
    is_pushed: bool = False

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": self.libraries} if self.libraries else {}


def provide_haproxy(
    connection: Runner, facts: HostFacts, *, cache: Path, report: Callable[[str], None]
) -> BalancerProgram:
    """The host's own, or one that is sent there. ``cache`` keeps Debian's packages on the controller.

    Raises HostUnsuitable where there is none and none can be sent, ProvisionError, DiskFull, and what the
    connection raises.
    """
    found = connection.run(["sh", "-c", FIND_SCRIPT], check=False)
    if found.exit_status == 0:
        path, _, words = found.stdout.decode(errors="replace").partition("\n")
        return BalancerProgram(path.strip(), _version(facts.host, words))
    if facts.system != "Linux":
        raise HostUnsuitable(
            f"{facts.host}: HAProxy is absent, and Debian's runs on Linux alone",
            remedy="Install HAProxy there, or leave --balancer out",
        )
    who = connection.run(["sh", "-c", WHO_SCRIPT], check=False)
    theirs = release_of(who.stdout.decode(errors="replace")) if who.exit_status == 0 else None
    problem = unfit(facts.host, PACKAGE, theirs, own_release())
    if problem is not None:
        raise problem
    return _send(connection, facts, cache, report)


def _send(
    connection: Runner, facts: HostFacts, cache: Path, report: Callable[[str], None]
) -> BalancerProgram:
    supply = HostSupply(connection, facts)
    (package,) = find_packages([PACKAGE])
    path = fetch_packages([package], cache, report)[PACKAGE]
    programs = [content for _, content in unpacked(path, lambda name: name == PROGRAM)]
    if not programs:
        raise ProvisionError(
            f"controller: {path.name} has no {PROGRAM}", remedy=f"Install the package {PACKAGE} on the host"
        )
    folder = f"{facts.workdir}/{PACKAGE}/{package.digest[:12]}"
    program, libraries = f"{folder}/{PACKAGE}", f"{folder}/lib"
    _write(supply, [(program, programs[0])], report)
    lacking = _lacking(connection, program, libraries)
    if lacking:
        _send_libraries(supply, libraries, lacking, cache, report)
        lacking = _lacking(connection, program, libraries)
    if lacking:
        raise ProvisionError(
            f"{facts.host}: HAProxy was sent and lacks {', '.join(lacking)}",
            remedy=f"Install the package {PACKAGE} there, or leave --balancer out",
        )
    # A folder of libraries that was sent to this host by an earlier benchmark is told of too.
    done = connection.run([program, "-v"], env={"LD_LIBRARY_PATH": libraries})
    return BalancerProgram(
        program, _version(facts.host, done.stdout.decode(errors="replace")), libraries, is_pushed=True
    )


def _send_libraries(
    supply: HostSupply,
    libraries: str,
    lacking: Sequence[str],
    cache: Path,
    report: Callable[[str], None],
) -> None:
    """Those that the host lacks, and those that these need in turn as far as it lacks them too."""
    program = f"{PurePosixPath(libraries).parent}/{PACKAGE}"
    seen: set[str] = {PACKAGE}
    contents: dict[str, bytes] = {}
    asking: tuple[str, ...] = (PACKAGE,)
    while lacking and asking:
        asking = tuple(name for name in libraries_of(asking) if name not in seen)
        seen |= set(asking)
        for path in fetch_packages(find_packages(asking), cache, report).values() if asking else ():
            for name, content in unpacked(path, lambda name: ".so." in name.name):
                contents.setdefault(name.name, content)
        # What has been sent may lack what came with it.
        while fresh := [name for name in lacking if name in contents]:
            _write(supply, [(f"{libraries}/{name}", contents.pop(name)) for name in fresh], report)
            lacking = _lacking(supply.connection, program, libraries)


def _lacking(connection: Runner, program: str, libraries: str) -> tuple[str, ...]:
    """The libraries that the loader would not find, asked of the loader itself."""
    asked = {"LD_LIBRARY_PATH": libraries, "LD_TRACE_LOADED_OBJECTS": "1"}
    return lacking_of(connection.run([program], env=asked).stdout.decode(errors="replace"))


def lacking_of(answer: str) -> tuple[str, ...]:
    """Of what the loader has printed."""
    return tuple(dict.fromkeys(_MISSING.findall(answer)))


def _write(supply: HostSupply, contents: Sequence[tuple[str, bytes]], report: Callable[[str], None]) -> None:
    """What of them isn't there yet, by its hash."""
    files = {
        path: HostFile(path, hashlib.sha256(content).hexdigest(), len(content), executable=True)
        for path, content in contents
    }
    missing = supply.survey(SurveyHost((), None, (), tuple(files.values()))).missing
    if missing:
        size = sum(files[path].size_bytes for path in missing)
        report(f"sending {len(missing)} files of HAProxy ({size / 1e6:.1f} MB)")
        supply.send([(files[path], content) for path, content in contents if path in missing], None)


def _version(host: str, words: str) -> str:
    found = _VERSION.search(words)
    if found is None:
        raise HostUnsuitable(
            f"{host}: its haproxy doesn't tell its version", remedy="See what `haproxy -v` says there"
        )
    return found[1]
