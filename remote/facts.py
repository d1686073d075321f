"""A host's facts: one command, which finds a Python there and runs probe.py on it, and a pure parser."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.environment.hosts import Host, HostFacts
from bench.errors import HostUnsuitable
from bench.wire.probe import HostDescription, ProbeAnswer
from remote import bootstrap
from remote.runner import HostConnection

OLDEST_PYTHON = (3, 11)
TIMEOUT_SECONDS = 60.0
ARCHITECTURES = {"Linux": ("x86_64", "aarch64", "arm64"), "Darwin": ("x86_64", "arm64")}
PYTHON_REMEDY = "Install Python 3.11 or newer there (no root needed), and name it in asgibench_python"
NO_PYTHON = b"asgibench: no python"
# One line, without a single quote, a backslash or an exclamation mark, because the login shell that unpacks
# it may be fish or csh. The Python that is chosen reads the probe from standard input; the others must not.
FIND_PYTHON = (
    "PATH=$PATH:/opt/homebrew/bin:/usr/local/bin:$HOME/.local/bin; export PATH; "
    "named=$1; workdir=$2; old=; uptime=; "
    "if test -r /proc/uptime; then read uptime rest </proc/uptime; fi; "
    'case $named in "~/"*) named=$HOME/${named#"~/"};; esac; '
    'if test -n "$named"; then set -- "$named"; '
    "else set -- python3 python3.14 python3.13 python3.12 python3.11; fi; "
    'for python in "$@"; do command -v "$python" >/dev/null 2>&1 || continue; '
    'if "$python" -I -c "import sys; sys.exit(sys.version_info < (3, 11))" </dev/null >/dev/null 2>&1; '
    'then exec "$python" -I -B - "$workdir" "$uptime"; fi; '
    'if "$python" -I -c "pass" </dev/null >/dev/null 2>&1; then old=${old:-$python}; fi; done; '
    'if test -n "$old"; then exec "$old" -I -B - "$workdir" "$uptime"; fi; '
    f"echo {NO_PYTHON.decode()}"
)


def read_facts(connection: HostConnection) -> HostFacts:
    """One round trip. Raises HostUnsuitable, and what the connection raises."""
    host = connection.host
    sent_at = time.time()
    completed = connection.run(
        facts_command(host), stdin=bootstrap.script("probe"), timeout_seconds=TIMEOUT_SECONDS, check=False
    )
    received_at = time.time()
    if completed.exit_status != 0:
        raise _not_answered(host, completed.stderr or completed.stdout)
    return parse_facts(host, completed.stdout, sent_at=sent_at, received_at=received_at)


def facts_command(host: Host) -> tuple[str, ...]:
    """Runs the first Python 3.11 or newer (else the first Python at all) on its standard input.

    ``asgibench_python`` is the only one that is tried, if it is set.
    """
    return ("sh", "-c", FIND_PYTHON, "sh", host.python or "", host.workdir or "")


def parse_facts(host: Host, output: bytes, *, sent_at: float, received_at: float) -> HostFacts:
    """``output`` is what ``facts_command`` printed; the two times are the controller's wall clock in seconds.

    The clock's offset is the host's time minus the controller's, known to plus or minus its error: half of
    the round trip without the host's own work. Raises HostUnsuitable.
    """
    answer = _answer(host, output)
    _check_python(host, answer)
    _check_system(host, answer.get("system"), answer.get("release", ""))
    try:
        probed = msgspec.convert(answer, ProbeAnswer)
    except msgspec.ValidationError as error:
        raise HostUnsuitable(
            f"{host.name}: its facts can't be read ({error})",
            remedy="Please report this, with the line below",
            detail=repr(answer),
        ) from error
    _check_architecture(host, probed)
    _check_workdir(host, probed)
    _check_cores(host, probed)
    return _facts(host, probed, sent_at, received_at)


def _facts(host: Host, probed: ProbeAnswer, sent_at: float, received_at: float) -> HostFacts:
    wall, elapsed_seconds = probed.clock
    earliest, latest = wall + elapsed_seconds - received_at, wall - sent_at
    values = {field.name: getattr(probed, field.name) for field in dataclasses.fields(HostDescription)}
    # A virtual environment belongs to somebody, and may go; what it was made from stays.
    values["python_path"] = probed.python_path if host.python else probed.base_python_path
    return HostFacts(
        **values,
        host=host.name,
        clock_offset_seconds=(earliest + latest) / 2,
        clock_offset_error_seconds=abs(latest - earliest) / 2,
    )


def _answer(host: Host, output: bytes) -> dict[str, Any]:
    # A shell's start-up file may have printed something before.
    for line in reversed(output.splitlines()):
        if line.strip() == NO_PYTHON:
            tried = (
                f"{host.python}, which the inventory names (asgibench_python or ansible_python_interpreter), "
                "is no Python there"
                if host.python
                else "there is no Python 3"
            )
            raise HostUnsuitable(f"{host.name}: {tried}", remedy=PYTHON_REMEDY)
        if line.startswith(b'{"asgibench_probe"'):
            try:
                return msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise _not_answered(host, output) from error
    raise _not_answered(host, output)


def _not_answered(host: Host, output: bytes) -> HostUnsuitable:
    text = output.decode(errors="replace").strip()
    if "is not recognized as" in text:
        return _windows(host)
    last_line = text.splitlines()[-1][:300] if text else "no output"
    return HostUnsuitable(
        f"{host.name}: its facts could not be read: {last_line}",
        remedy="The user's login shell there must run `sh -c` and Python",
        detail=text[-4000:],
    )


def _windows(host: Host) -> HostUnsuitable:
    return HostUnsuitable(
        f"{host.name}: Windows is not supported", remedy="Use a Linux or macOS host, or WSL 2"
    )


def _check_python(host: Host, answer: dict[str, Any]) -> None:
    version = str(answer.get("python_version", ""))
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if numbers < OLDEST_PYTHON:
        path = answer.get("python_path") or "its Python"
        raise HostUnsuitable(
            f"{host.name}: {path} is {version or 'of no known version'}, and 3.11 is needed",
            remedy=PYTHON_REMEDY,
        )


def _check_system(host: Host, system: object, release: object) -> None:
    if system == "Windows" or str(system).startswith(("CYGWIN", "MSYS", "MINGW")):
        raise _windows(host)
    if system not in ARCHITECTURES:
        raise HostUnsuitable(
            f"{host.name}: {system} {release} is not supported".replace("  ", " "),
            remedy="Use a Linux or macOS host",
        )


def _check_architecture(host: Host, probed: ProbeAnswer) -> None:
    if probed.architecture not in ARCHITECTURES[probed.system]:
        raise HostUnsuitable(
            f"{host.name}: the architecture {probed.architecture} is not supported",
            remedy="Use an x86-64 or arm64 host",
        )
    if probed.pointer_bits != 64:
        raise HostUnsuitable(
            f"{host.name}: {probed.python_path} is a {probed.pointer_bits}-bit Python",
            remedy="Name a 64-bit Python 3.11 or newer in asgibench_python",
        )
    if probed.system == "Linux" and not probed.libc.startswith("glibc"):
        raise HostUnsuitable(
            f"{host.name}: {probed.python_path} is built on {probed.libc or 'an unknown C library'}, "
            "and the servers' wheels need glibc",
            remedy="Name a Python 3.11 or newer built on glibc in asgibench_python, or use another host",
        )


def _check_workdir(host: Host, probed: ProbeAnswer) -> None:
    remedy = f"Name a folder in asgibench_workdir where {probed.user} may write and start programs"
    if not probed.workdir.startswith("/"):
        raise HostUnsuitable(f"{host.name}: the folder {probed.workdir} is not to be found", remedy=remedy)
    # hosts.clean removes the folder with all that is in it.
    if probed.workdir == "/" or Path(probed.home).is_relative_to(probed.workdir):
        raise HostUnsuitable(
            f"{host.name}: the home of {probed.user} lies in asgibench_workdir ({probed.workdir})",
            remedy="Name a folder of its own, like ~/asgibench",
        )
    if not probed.workdir_writable:
        raise HostUnsuitable(
            f"{host.name}: {probed.user} can't write to {probed.workdir_parent}, "
            f"where {probed.workdir} is to be",
            remedy=remedy,
        )
    if probed.workdir_noexec:
        raise HostUnsuitable(
            f"{host.name}: {probed.workdir_parent} is mounted noexec, so that nothing starts from "
            f"{probed.workdir}",
            remedy=remedy,
        )


def _check_cores(host: Host, probed: ProbeAnswer) -> None:
    there = {*probed.cores_usable, *range(probed.cores_total)}
    missing = [core for core in host.cores or () if core not in there]
    if missing:
        raise HostUnsuitable(
            f"{host.name}: asgibench_cores names core {missing[0]}, and the host has "
            f"{probed.cores_total} cores, from 0",
            remedy="Correct asgibench_cores in the inventory",
        )
