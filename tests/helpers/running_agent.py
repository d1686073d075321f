"""An agent as it runs on a host: a process of its own, asked on its control socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.samples.read import Samples, parse_samples
from bench.wire.agent import (
    Answer,
    Begin,
    Begun,
    End,
    Ended,
    Peek,
    Peeked,
    Refusal,
    Request,
    TreeNow,
    decode_answer,
    encode_request,
)
from tests.helpers.process_trees import line_of
from tests.helpers.waiting import until

ROOT = Path(__file__).resolve().parents[2]
# As it is started on a host: the shipped tree on the path.
AGENT = [sys.executable, "-m", "remote.onhost.agent"]
AGENT_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class Talk:
    """A client of the agent's control socket."""

    def __init__(self, control: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(control.parent)
        try:
            self._socket.connect(control.name)
        finally:
            os.chdir(here)
        self._file = self._socket.makefile("rb")

    def ask(self, request: Request) -> Answer:
        self.send_raw(encode_request(request))
        return self.read()

    def send_raw(self, line: bytes) -> None:
        self._socket.sendall(line)

    def read(self) -> Answer:
        return decode_answer(self._file.readline())

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def lines_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind in the file of run "one"."""
    lines = [json.loads(line) for line in (folder / "one.jsonl").read_bytes().splitlines()]
    return [line for line in lines if line["k"] == kind]


class RunningAgent:
    """A real agent process; ``ask`` raises nothing: refusals are answers too."""

    def __init__(self, folder: Path) -> None:
        self.control = folder / "control.sock"
        self.directory = folder / "samples"
        self.process = subprocess.Popen(
            [*AGENT, "--control", str(self.control), "--directory", str(self.directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=AGENT_ENVIRONMENT,
            cwd=folder,
        )
        assert line_of(self.process) == "ready"
        self.talk = Talk(self.control)

    def ask(self, request: Request) -> Answer:
        return self.talk.ask(request)

    def refusal(self, request: Request) -> Refusal:
        answer = self.ask(request)
        assert isinstance(answer, Refusal), answer
        return answer

    def begin(self, run: str = "one", **targets: int) -> None:
        answer = self.ask(Begin(run, targets, interval_seconds=0.05, full_interval_seconds=0.2))
        assert isinstance(answer, Begun), answer

    def present(self) -> dict[str, TreeNow]:
        answer = self.ask(Peek())
        assert isinstance(answer, Peeked), answer
        return answer.targets

    def is_idle(self) -> bool:
        answer = self.ask(Peek())
        return isinstance(answer, Refusal) and answer.kind == "idle"

    def ended(self) -> Ended:
        answer = self.ask(End())
        assert isinstance(answer, Ended), answer
        return answer

    def read(self, run: str = "one") -> Samples:
        return parse_samples((self.directory / f"{run}.jsonl").read_bytes())

    def gone(self) -> set[str]:
        """The targets that the file says have ended."""
        return {line["target"] for line in lines_of(self.directory, "gone")}

    def end(self, run: str = "one") -> Samples:
        self.ended()
        samples = self.read(run)
        assert samples.complete
        return samples

    def until_seen(self, target: str, check: Callable[[TreeNow], bool]) -> None:
        until(lambda: target in (present := self.present()) and check(present[target]))

    def close(self) -> None:
        self.talk.close()
        self.process.kill()
        self.process.communicate()


def whole(samples: Samples) -> tuple[float, float]:
    times = [samples.time_of(sample.monotonic_seconds) for sample in samples.samples]
    return times[0], times[-1]
