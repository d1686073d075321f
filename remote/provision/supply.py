"""What provisioning asks of a host and sends there: environments.py at the other end answers.

One request is one start of that program. Nothing is written on the host but what a request names.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import DiskFull, ProvisionError
from bench.wire.codec import WireError, decode_tagged, encode_line
from bench.wire.environments import (
    ENVIRONMENT_REQUESTS,
    BuildEnvironment,
    EnvironmentBuilt,
    HostFile,
    HostSupplied,
    HostSurvey,
    ProvisionFailure,
    ReceiveFiles,
    SurveyHost,
    UnpackUv,
)
from remote import bootstrap
from remote.runner import Completed, Runner

SURVEY_TIMEOUT_SECONDS = 60
BUILD_TIMEOUT_SECONDS = 300.0
SLOWEST_BYTES_PER_SECOND = 50_000
Answer = TypeVar("Answer")


class HostSupply(msgspec.Struct, frozen=True):
    """environments.py on one host: requests in, answers or errors of ours out."""

    connection: Runner
    facts: HostFacts

    def survey(self, request: SurveyHost) -> HostSurvey:
        return self._answer(self._run(_message(request), SURVEY_TIMEOUT_SECONDS), HostSurvey)

    def build(self, request: BuildEnvironment) -> EnvironmentBuilt:
        # Three programs run in a build, and another session's build may have to be waited for.
        return self._answer(self._run(_message(request), 6 * BUILD_TIMEOUT_SECONDS), EnvironmentBuilt)

    def send(self, files: Sequence[tuple[HostFile, bytes | Path]], uv: UnpackUv | None) -> int:
        """Write the files on the host, then unpack uv; the number of bytes that were pushed."""
        pushed_bytes = sum(file.size_bytes for file, _ in files)
        message = _message(ReceiveFiles(tuple(file for file, _ in files), uv))
        with _stream(message, [content for _, content in files]) as stream:
            timeout_seconds = SURVEY_TIMEOUT_SECONDS + pushed_bytes / SLOWEST_BYTES_PER_SECOND
            self._answer(self._run(stream, timeout_seconds), HostSupplied)
        return pushed_bytes

    def _run(self, stdin: bytes | Path, timeout_seconds: float) -> Completed:
        argv = bootstrap.command(self.facts.python_path, bootstrap.ENVIRONMENTS)
        return self.connection.run(argv, stdin=stdin, timeout_seconds=timeout_seconds, check=False)

    def _answer(self, completed: Completed, kind: type[Answer]) -> Answer:
        last_line = b"".join(completed.stdout.strip().splitlines()[-1:])
        try:
            outcome = decode_tagged({"done": kind, "failed": ProvisionFailure}, "event", last_line)
        except WireError as error:
            raise ProvisionError(
                f"{self.facts.host}: {self.facts.python_path} did not run our program "
                f"(status {completed.exit_status})",
                remedy=f"See that it is Python 3.11 or newer, or set asgibench_python of {self.facts.host}",
                detail=(completed.stderr or completed.stdout).decode(errors="replace")[-4000:],
            ) from error
        if isinstance(outcome, ProvisionFailure):
            raise self._error(outcome)
        return cast(Answer, outcome)

    def _error(self, problem: ProvisionFailure) -> DiskFull | ProvisionError:
        host = self.facts.host
        if problem.kind == "disk_full":
            return DiskFull(
                f"{host}: no room left below {self.facts.workdir} ({problem.message})",
                remedy=f"Free room, or name another folder in asgibench_workdir of {host}",
                detail=problem.detail,
            )
        remedies = {
            "system": f"The folder in asgibench_workdir of {host} must let its user write and run programs",
            "payload": "See that the connection is stable, then run the command again",
        }
        return ProvisionError(
            f"{host}: {problem.message}",
            remedy=remedies.get(problem.kind, f"Run `./invoke hosts.clean` for {host}, then try again"),
            detail=problem.detail,
        )


def _message(request: SurveyHost | ReceiveFiles | BuildEnvironment) -> bytes:
    verb = next(verb for verb, kind in ENVIRONMENT_REQUESTS.items() if kind is type(request))
    return bootstrap.modules(bootstrap.ENVIRONMENTS) + encode_line(request, do=verb)


@contextlib.contextmanager
def _stream(message: bytes, contents: Iterable[bytes | Path]) -> Iterator[Path]:
    """A file of the message and the contents, one after the other, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="asgibench-push-") as folder:
        path = Path(folder) / "stream"
        try:
            with path.open("wb") as stream:
                stream.write(message)
                for content in contents:
                    stream.write(content if isinstance(content, bytes) else content.read_bytes())
        except OSError as error:
            raise DiskFull(
                f"controller: could not write {path} ({error})",
                remedy="Free room, or name another folder in TMPDIR",
            ) from error
        yield path
