"""Every error a user can meet, with its exit code. The tasks are the one place that turns one into the other.

A message is one line that says what is wrong and where; ``remedy`` is what to do next.
``detail`` carries evidence of several lines (the tail of a log), printed below the line.
"""

from __future__ import annotations

from collections.abc import Sequence


class AsgibenchError(Exception):
    """The root of the tree. ``exit_code`` is unique to each leaf."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class UsageError(AsgibenchError):
    """An unknown server, endpoint, profile or option."""

    exit_code = 2


class CatalogueError(AsgibenchError):
    """servers.toml, profiles.toml or a user's own file is broken."""

    exit_code = 3


class InventoryError(AsgibenchError):
    """An inventory is missing, broken or incomplete; names file, key and remedy."""

    exit_code = 10


class HostUnreachable(AsgibenchError):
    """No connection: name not resolved, port closed, no route, time-out."""

    exit_code = 11


class HostKeyError(AsgibenchError):
    """The host's key is unknown or has changed."""

    exit_code = 12


class AuthenticationError(AsgibenchError):
    """The host refused every key and password that was offered.

    What the user may still know: the passphrase of ``key_file`` ("" if that is not what lacks), or the
    password of ``login`` (user@address) if the host ``takes_password``.
    """

    exit_code = 13
    key_file = ""
    takes_password = False
    login = ""


class HostBusy(AsgibenchError):
    """Another session holds the host's lock."""

    exit_code = 14


class HostUnsuitable(AsgibenchError):
    """The host lacks what every run needs: Python 3.11, a supported system, a writable folder."""

    exit_code = 15


class DiskFull(AsgibenchError):
    """No room on a host or on the controller."""

    exit_code = 16


class ConnectionLost(AsgibenchError):
    """A connection that was up has gone."""

    exit_code = 17


class CommandFailed(AsgibenchError):
    """A command on a host ended with a status other than 0."""

    exit_code = 18


class HostsNotReady(AsgibenchError):
    """What hosts.check found stops the plan before its first run; ``detail`` has every such finding."""

    exit_code = 19


class ProvisionError(AsgibenchError):
    """An environment could not be built, or holds other versions than the lock."""

    exit_code = 20


class LeftBehind(AsgibenchError):
    """hosts.clean looked afterwards and found something of ours; ``detail`` names it."""

    exit_code = 21


class PortTaken(AsgibenchError):
    """Something listens already where the server is to listen."""

    exit_code = 30


class ServerStartError(AsgibenchError):
    """The server did not become ready, or ended; the tail of its log is in ``detail``."""

    exit_code = 31


class AnswersDiffer(AsgibenchError):
    """The servers under comparison don't give the same answers."""

    exit_code = 32


class DatabaseError(AsgibenchError):
    """PostgreSQL did not start, could not be filled, or its counters contradict the run."""

    exit_code = 33


class LoadError(AsgibenchError):
    """The load could not be started, or a load worker was lost."""

    exit_code = 40


class AgentError(AsgibenchError):
    """A memory agent did not start or did not answer."""

    exit_code = 41


class ResultError(AsgibenchError):
    """Results are missing, damaged or of another version."""

    exit_code = 50


class UnlikePlans(AsgibenchError):
    """Two benchmarks that measured other things can't be compared; every difference is in ``detail``."""

    exit_code = 51


class InvalidMeasurement(AsgibenchError):
    """The benchmark ended, and no run of some cell says anything about its server."""

    exit_code = 60


class GateFailed(AsgibenchError):
    """B is worse than A by more than --fail-over allows, beyond the uncertainty."""

    exit_code = 61


class GateUndecided(AsgibenchError):
    """Nothing was found worse by more than --fail-over allows, and some cell can't be judged."""

    exit_code = 62


class LabError(AsgibenchError):
    """This system can't make lab hosts, or making one failed."""

    exit_code = 70


class Interrupted(AsgibenchError):
    """Ctrl-C or a signal. What was measured is saved and nothing is left running."""

    exit_code = 130


class SeveralHostsFailed(AsgibenchError):
    """More than one host failed; every one of them is named, the first one's exit code is used."""

    def __init__(self, failures: Sequence[tuple[str, AsgibenchError]]) -> None:
        self.failures = tuple(failures)
        lines = "\n".join(_told(host, error) for host, error in self.failures)
        super().__init__(f"{len(self.failures)} hosts failed", detail=lines)
        self.exit_code = self.failures[0][1].exit_code


def _told(host: str, error: AsgibenchError) -> str:
    named = str(error) if str(error).startswith(host) else f"{host}: {error}"
    return f"  {named}\n{error.detail}" if error.detail else f"  {named}"
