"""Real parts for tests: environments built from uv.lock, servers of the catalogue in them, PostgreSQL."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.catalogue.command import APP, command_of, config_text
from bench.catalogue.own_lock import file_name, with_app, with_own_locks
from bench.catalogue.serving import for_serving
from bench.catalogue.versions import for_version, read_lock
from bench.spec import OWN_PREFIX, USUAL_SERVING, ServerSpec, Serving
from remote.certificate import make_certificate
from remote.provision.own_locks import own_locks
from tests.helpers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
BUILD_SECONDS = 240
START_SECONDS = 30
STOP_SECONDS = 20
SEED = 7
LOCKS = ROOT / ".tools" / "test-locks"  # of servers with requirements of their own


@dataclass(frozen=True)
class Answer:
    """One answer; header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class RunningServer:
    """A server that answers. ``counts`` is the folder of its counts, ``log`` all that it printed."""

    spec: ServerSpec
    process: subprocess.Popen[bytes]
    port: int
    counts: Path
    log: Path
    host: str = LOOPBACK
    socket: Path | None = None  # that it listens on in place of the port
    certificate: Path | None = None  # with TLS: what a client may trust

    def connection(self) -> http.client.HTTPConnection:
        """To the server, wherever it listens."""
        if self.certificate is not None:
            context = ssl.create_default_context(cafile=str(self.certificate))
            return http.client.HTTPSConnection(self.host, self.port, timeout=START_SECONDS, context=context)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=START_SECONDS)
        if self.socket is not None:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(START_SECONDS)
            try:
                connection.sock.connect(str(self.socket))
            except OSError:
                connection.close()
                raise
        return connection

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request over a connection of its own."""
        connection = self.connection()
        try:
            return ask_over(connection, path, method=method, headers=headers, body=body)
        finally:
            connection.close()


def ask_over(
    connection: http.client.HTTPConnection,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    connection.request(method, path, body or None, dict(headers or {}))
    response = connection.getresponse()
    body = response.read()
    return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, body)


def find_uv() -> str:
    """uv as ./invoke finds it. Raises FileNotFoundError."""
    tools = ROOT / ".tools" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(tools) if tools.exists() else "")
    if not found:
        raise FileNotFoundError("these tests need uv: run them with ./invoke test, or name uv in UV")
    return found


def resolved(spec: ServerSpec, serving: Serving = USUAL_SERVING) -> ServerSpec:
    """The entry as a plan has it, serving so.

    Requirements of its own are locked once, then the lock is used again.
    """
    lock = read_lock(ROOT / "uv.lock")
    spec = with_app(for_serving(spec, serving), lock)
    own = own_locks([spec], [LOCKS], ROOT)
    return for_version(spec, with_own_locks(lock, own).version_of(spec))


def programs_of(group: str) -> Path:
    """The programs of an environment: built once for each lock, then used again.

    ``group`` is a dependency group, or ``ServerSpec.group`` of an entry that went through ``resolved``.
    """
    lock_path = _lock_of(group)
    lock = hashlib.sha256(lock_path.read_bytes()).hexdigest()[:12]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = _cache_folder() / f"{group}-{python}-{lock}"
    environment.parent.mkdir(parents=True, exist_ok=True)
    finished = environment / "finished"
    with environment.with_suffix(".lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not finished.exists():
            _build(group, environment)
            finished.touch()
    return environment / "bin"


def _lock_of(group: str) -> Path:
    return LOCKS / file_name(group) if group.startswith(OWN_PREFIX) else ROOT / "uv.lock"


def _build(group: str, environment: Path) -> None:
    commands = [["sync", "--quiet", "--frozen", "--only-group", group, "--python", sys.executable]]
    if group.startswith(OWN_PREFIX):
        commands = [
            ["venv", "--quiet", "--clear", "--python", sys.executable, str(environment)],
            ["pip", "sync", "--quiet", "--python", str(environment / "bin" / "python"), str(_lock_of(group))],
        ]
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    variables["UV_PROJECT_ENVIRONMENT"] = str(environment)
    for command in commands:
        done = subprocess.run(
            [find_uv(), *command],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        )
        if done.returncode != 0:
            raise RuntimeError(f"uv could not build {group}: {done.stderr}")


def _cache_folder() -> Path:
    """In the checkout, unless PostgreSQL's own user could not get there."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in (ROOT, *ROOT.parents)):
        return ROOT / ".tools" / "test-envs"
    return Path(tempfile.gettempdir()) / "asgibench-test-envs"


@contextmanager
def running_server(
    spec: ServerSpec,
    folder: Path,
    database_url: str,
    *,
    workers: int = 1,
    host: str = LOOPBACK,
    serving: Serving = USUAL_SERVING,
    app: str = APP,
) -> Iterator[RunningServer]:
    """The server as the catalogue has it, with its counts and its log in ``folder``; stopped in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    counts, log, config = folder / "counts", folder / "log", folder / "config"
    counts.mkdir()
    port = free_port(host)
    spec = resolved(spec, serving)  # its own words for serving so are in its command now
    certificate, listening = _files_of(serving, folder)
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "workers": workers,
        "app": app,
        "certificate": str(certificate or ""),
        "key": str(folder / "key.pem"),
        "socket": str(listening or ""),
    }
    config.write_text(config_text(spec, **given))
    command = command_of(
        spec, config_path=str(config), program_directory=str(programs_of(spec.group)), **given
    )
    variables = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ASGIBENCH_COUNTS": str(counts),
        "ASGIBENCH_DATABASE_URL": database_url,
        "ASGIBENCH_ACCESS_LOGGER": spec.access_logger,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=output, stderr=output, start_new_session=True
        )
    server = RunningServer(spec, process, port, counts, log, host, listening, certificate)
    try:
        _await_answer(server)
        yield server
    finally:
        stop(process, signal.SIGTERM)


def _files_of(serving: Serving, folder: Path) -> tuple[Path | None, Path | None]:
    """Its certificate (the key is beside it) and its socket, where it takes one."""
    if serving.transport == "unix":
        return None, folder / "socket"
    if serving.transport == "tcp":
        return None, None
    made = make_certificate([])
    (folder / "key.pem").write_bytes(made.key)
    (folder / "certificate.pem").write_bytes(made.certificate)
    return folder / "certificate.pem", None


def stop(process: subprocess.Popen[Any], with_signal: signal.Signals) -> int:
    """Signal it, wait, and if that is not enough kill its session. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(with_signal)
    try:
        return process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait(timeout=STOP_SECONDS)


def _await_answer(server: RunningServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if server.ask("/api/process").status == 200:
                return
        except OSError:
            pass
        if time.monotonic() > deadline or server.process.poll() is not None:
            raise RuntimeError(f"{server.spec.name} did not start: {server.log.read_text()}")
        time.sleep(0.02)


def shipped_program(module: str, *arguments: str, database_url: str = "", user: str = "") -> tuple[int, Any]:
    """One of testapp's programs in the environment host-tools: its exit status and the JSON it printed."""
    argv = [str(programs_of("host-tools") / "python"), "-m", f"testapp.{module}", *arguments]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "ASGIBENCH_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        **identity_of(user or None),
    )
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def identity_of(user: str | None) -> dict[str, Any]:
    """For subprocess: to run as ``user``; None: as whoever runs the tests."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def passable_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can pass through, which pytest's tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="asgibench-test-")).resolve()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def started_postgres(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What ``command`` says, as the guard would start it, from a folder that is prepared."""
    status, command = shipped_program("postgres", "command", "--directory", str(folder))
    assert status == 0, command
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command["argv"],
            cwd=command["working_directory"],
            env={**os.environ, **command["environment"]},
            stdout=log,
            stderr=log,
            start_new_session=True,
            **identity_of(command["user"]),
        )
    try:
        yield process
    finally:
        stop(process, signal.SIGINT)


@contextmanager
def filled_postgres(folder: Path, seed: int = SEED) -> Iterator[str]:
    """A PostgreSQL with the data of ``seed`` in ``folder``; the URL to it."""
    place = ("--directory", str(folder))
    status, prepared = shipped_program("postgres", "prepare", *place, "--port", str(free_port()))
    assert status == 0, prepared
    with started_postgres(folder):
        status, ready = shipped_program("postgres", "wait", *place)
        assert status == 0, (ready, (folder / "log").read_text())
        url: str = ready["url"]
        status, filled = shipped_program("database", "fill", "--seed", str(seed), database_url=url)
        assert status == 0, filled
        yield url
