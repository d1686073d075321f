"""One h2load process: its log in a pipe, its words in a file, and its end."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.wire.engine import SetUpRun
from loadgen.onhost.engine.load import EngineError, body_of
from loadgen.onhost.engine.poll import SECOND
from loadgen.onhost.h2load.program import Share, arguments_of

# Some 35,000 lines, so that h2load isn't stopped by a log that is looked at 50 times a second.
_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_WORDS_BYTES = 20_000


class H2loadProcess:
    """Runs from its making on, on our own cores. Ends with us where the system can see to it."""

    def __init__(self, program: str, order: SetUpRun, share: Share) -> None:
        """``program`` is h2load's path. Raises EngineError where it can't be started."""
        self.has_ended = self.was_killed = False
        self.cpu_seconds = 0.0  # in all, once it has ended
        self.ends_at = time.perf_counter_ns() + round(share.seconds * SECOND)
        self._folder = tempfile.TemporaryDirectory(prefix="asgibench-h2load-")
        self._words_path = Path(self._folder.name) / "words"
        self._log, write_end = _log_pipe()
        try:
            words = arguments_of(order.spec, share, log=f"/dev/fd/{write_end}", data=self._data(order))
            self._process = self._start([program, *words], write_end)
        except OSError as error:
            self._release()
            raise EngineError(f"h2load ({program}) can't be started: {error}") from error
        finally:
            os.close(write_end)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def words(self) -> str:
        """The end of what it has printed."""
        return self._words_path.read_bytes()[-_WORDS_BYTES:].decode(errors="replace")

    def read_log(self) -> bytes | None:
        """The next piece; None: there is no more for now; b"": nor will there be, as it has ended."""
        try:
            return os.read(self._log, _READ_BYTES)
        except BlockingIOError:
            return None

    def wait(self) -> int:
        """Its exit status, once the log has ended."""
        _, status, used = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = used.ru_utime + used.ru_stime
        self.has_ended = True
        return self._process.returncode

    def kill(self) -> None:
        if not self.has_ended:
            self.was_killed = True
            self._process.kill()

    def close(self) -> None:
        """See that it has ended, and leave nothing."""
        self.kill()
        if not self.has_ended:
            self.wait()
        self._release()

    def _start(self, command: list[str], write_end: int) -> subprocess.Popen[bytes]:
        libraries = os.environ.get("ASGIBENCH_H2LOAD_LIBRARIES")
        more = {"LD_LIBRARY_PATH": libraries} if libraries else {}
        with self._words_path.open("wb") as words:
            return subprocess.Popen(
                command,
                env={**os.environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                pass_fds=[write_end],
                preexec_fn=_become_child,
            )

    def _data(self, order: SetUpRun) -> str | None:
        """The file of the request's body; None: it has none."""
        body = body_of(order.spec)
        if not body:
            return None
        path = Path(self._folder.name) / "body"
        path.write_bytes(body)
        return str(path)

    def _release(self) -> None:
        os.close(self._log)
        self._folder.cleanup()


def _log_pipe() -> tuple[int, int]:
    """We look at it now and then, and are not woken by each line: that would cost as much as the request."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    if sys.platform == "linux":
        # Where the user has used up what the system grants for pipes, the usual size must do.
        with contextlib.suppress(OSError):
            fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read_end, write_end


def _become_child() -> None:
    """Our signals are ours: it may be ended by any. Where the kernel can (Linux), it ends with us."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
