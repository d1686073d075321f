"""Every error a user can meet, with its exit code; session/commands/answer.py turns one into the other.

    AsgibenchError                1
      UsageError                  2   the command line: an unknown server, endpoint, profile or option
      CatalogueError              3   servers.toml, profiles.toml, or a user's own file
      InventoryError             10   the inventory
      HostUnreachable            11   a host: no connection
      HostKeyError               12           its key is unknown or has changed
      AuthenticationError        13           it refused the login
      HostBusy                   14           another session holds it
      HostUnsuitable             15           it lacks what every run needs
      DiskFull                   16           no room, there or on the controller
      ConnectionLost             17           a connection that was up has gone
      CommandFailed              18           a command ended with a status other than 0
      HostsNotReady              19           the plan can't be run on it
      ProvisionError             20           an environment could not be built
      LeftBehind                 21           hosts.clean found something of ours afterwards
      PortTaken                  30   the server: its port
      ServerStartError           31               its start
      AnswersDiffer              32               its answers
      SettingsContradicted       34               its settings
      DatabaseError              33   PostgreSQL
      LoadError                  40   the load
      AgentError                 41   a memory agent
      ResultError                50   results that are missing, damaged or of another version
      UnlikePlans                51   results that can't be compared
      InvalidMeasurement         60   a run that says nothing about its server
      GateFailed                 61   --fail-over: B is worse
      GateUndecided              62   --fail-over: undecided
      LabError                   70   the lab
      Interrupted               130   Ctrl-C or a signal
      SeveralHostsFailed          -   several hosts: the exit code is the first one's

A message is one line that says what is wrong and where; ``remedy`` is what to do next, a sentence without its
full stop. ``detail`` carries evidence of several lines (the tail of a log), printed below the line. An error
is not changed once it is made.
"""

from __future__ import annotations

from collections.abc import Sequence


class AsgibenchError(Exception):
    """The root of the tree. ``exit_code`` is unique to each class, SeveralHostsFailed excepted."""

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

    The rest is what the user may still know: the passphrase of ``key_file`` ("" where no passphrase is
    lacking), or the password of ``login`` (user@address) if the host ``takes_password``.
    """

    exit_code = 13

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        detail: str = "",
        key_file: str = "",
        takes_password: bool = False,
        login: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy, detail=detail)
        self.key_file = key_file
        self.takes_password = takes_password
        self.login = login


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


class SettingsContradicted(AsgibenchError):
    """A running server does other than its settings in the catalogue ask."""

    exit_code = 34


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
    """Some figure of B is shown to be worse than A's by more than --fail-over allows."""

    exit_code = 61


class GateUndecided(AsgibenchError):
    """Nothing is shown to be worse by more than --fail-over allows, and not every figure to be within it."""

    exit_code = 62


class LabError(AsgibenchError):
    """This system can't make lab hosts, or making one failed."""

    exit_code = 70


class Interrupted(AsgibenchError):
    """Ctrl-C or a signal. What was measured is saved and nothing is left running."""

    exit_code = 130


class SeveralHostsFailed(AsgibenchError):
    """More than one host failed, and ``detail`` names them all.

    It has no exit code of its own: ``exit_code`` is that of the first host's error.
    """

    def __init__(self, failures: Sequence[tuple[str, AsgibenchError]]) -> None:
        self.failures = tuple(failures)
        lines = "\n".join(_shown(host, error) for host, error in self.failures)
        super().__init__(f"{len(self.failures)} hosts failed", detail=lines)
        self.exit_code = self.failures[0][1].exit_code


def _shown(host: str, error: AsgibenchError) -> str:
    named = str(error) if str(error).startswith(host) else f"{host}: {error}"
    return f"  {named}\n{error.detail}" if error.detail else f"  {named}"
