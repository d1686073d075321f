"""Between provisioning and environments.py on a host: one request on standard input, one answer on stdout.

The request is a line that names its kind with ``do`` (see ENVIRONMENT_REQUESTS). Files that the program is to
receive come behind that line as bytes. The answer's ``event`` is ``done``, or ``failed`` for a
ProvisionFailure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file that is to lie on the host."""

    path: str  # absolute
    sha256: str  # lower-case hex
    size_bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True)
class WantedEnvironment:
    """A virtual environment that is to stand on the host."""

    directory: str  # absolute
    versions: dict[str, str]  # {normalised package name: version}: these packages and no others


@dataclass(frozen=True, slots=True)
class SurveyHost:
    """What of this is missing? Reads only. Answered with a HostSurvey."""

    environments: tuple[WantedEnvironment, ...]
    uv: str | None  # the path of its binary; None: it is not needed
    wheels: tuple[HostFile, ...]  # looked at only where something is to be built
    files: tuple[HostFile, ...]


@dataclass(frozen=True, slots=True)
class HostSurvey:
    incomplete: tuple[str, ...]  # the directories of environments that are to be built
    uv: bool  # whether uv can be run, or is not needed
    missing: tuple[str, ...]  # the paths of files that are not there as they should be


@dataclass(frozen=True, slots=True)
class UnpackUv:
    wheel: str  # the path of uv's wheel
    path: str  # where its binary goes


@dataclass(frozen=True, slots=True)
class ReceiveFiles:
    """Write ``files`` from the bytes behind the request, in this order. Answered with a HostSupplied."""

    files: tuple[HostFile, ...]
    uv: UnpackUv | None  # to be done then


@dataclass(frozen=True, slots=True)
class HostSupplied:
    pass


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """Make one environment from wheels on the host. Answered with an EnvironmentBuilt."""

    environment: WantedEnvironment
    python: str  # the path of the Python that it is made from
    uv: str  # the path of its binary
    wheels: str  # the folder of the wheels
    lock: str  # the file that keeps two sessions from building at once
    requirements: str  # as pip takes them, with hashes
    timeout_seconds: float  # for each program that is run


@dataclass(frozen=True, slots=True)
class EnvironmentBuilt:
    differences: tuple[str, ...]  # a line for each package that is not as wanted; none: it is complete


@dataclass(frozen=True, slots=True)
class ProvisionFailure:
    """The answer to any request that failed in a way that is to be expected."""

    # ``disk_full``, ``system`` (the system refused), ``tool`` (a program failed), or ``payload`` (the bytes
    # came short or changed).
    kind: str
    message: str
    detail: str  # the last words of a program, "" if there was none


ENVIRONMENT_REQUESTS = {"survey": SurveyHost, "receive": ReceiveFiles, "build": BuildEnvironment}
