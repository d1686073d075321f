"""The guard: starts every process of ours on one host, and stops them all when nobody renews its lease.

Shipped to each host as one file; standard library only; Python 3.11, Linux and macOS.

``guard.py attach --workdir W --session TOKEN --owner TEXT --lease-seconds 45`` joins the guard that runs for
TOKEN, or becomes one in the background if none does, and then relays JSON lines between its own stdin and
stdout and the guard's unix socket (W/guard/sock, in a folder that only its owner can open).

Exit statuses of ``attach``: 0 the controller closed; 3 another session holds the host (stdout has one line,
``{"busy": {"owner": ..., "since": ...}}``); 4 the guard could not start (stderr says why).

A request is ``{"id": n, "do": verb, ...}``, its answer ``{"id": n, "ok": true, ...}`` or
``{"id": n, "ok": false, "kind": ..., "error": ...}``; ``{"event": "exit", "name": ..., "exit_status": ...}``
comes unasked. Verbs: hello, renew, start, run, stop, status, tail, read, write, remove, port, tell, clock,
release.

Each process has a session of its own and is recorded in W/guard/processes.json with its start time; stopping
goes by that record and by kinship, never by name. Where Linux allows, the guard adopts orphans of its
processes (PR_SET_CHILD_SUBREAPER) and they die with it (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pwd
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

GUARD_VERSION = 1
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IS_LINUX = sys.platform.startswith("linux")
STOP_POLL_SECONDS = 0.01
STRAGGLER_SECONDS = 0.3
TAIL_BYTES = 8_000
BUSY_STATUS = 3
FAILED_STATUS = 4

Message = dict[str, Any]


class Refused(Exception):
    """A request that can't be met; ``kind`` is for the program, the text for the reader."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


# ---------------------------------------------------------------- processes of this host


class Kin:
    """One row of the process table."""

    __slots__ = ("group", "parent", "pid", "session", "started")

    def __init__(self, pid: int, parent: int, group: int, session: int, started: str) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.started = started


def process_table() -> dict[int, Kin]:
    """Every live process (zombies left out)."""
    return dict(_linux_processes() if IS_LINUX else _ps_processes())


def _linux_processes() -> Iterator[tuple[int, Kin]]:
    with os.scandir("/proc") as rows:
        names = [row.name for row in rows]
    for name in names:
        if name.isdigit():
            kin = _linux_process(int(name))
            if kin is not None:
                yield kin.pid, kin


def _linux_process(pid: int) -> Kin | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return Kin(pid, int(fields[1]), int(fields[2]), int(fields[3]), fields[19].decode())


def _ps_processes() -> Iterator[tuple[int, Kin]]:
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart="], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        pid, parent, group, state, started = line.split(None, 4)
        if not state.startswith("Z"):
            # A session of ours has one group unless a process makes its own; ps has no session number here.
            yield int(pid), Kin(int(pid), int(parent), int(group), int(group), started)


def family(leaders: set[int], table: dict[int, Kin]) -> list[int]:
    """The live processes of the leaders' sessions and all descendants of these."""
    found = {pid for pid, kin in table.items() if leaders & {pid, kin.session, kin.group}}
    grown = True
    while grown:
        new = {pid for pid, kin in table.items() if kin.parent in found and pid not in found}
        found |= new
        grown = bool(new)
    return sorted(found)


def leaders_of(entries: Iterable[Entry], table: dict[int, Kin]) -> set[int]:
    """The entries' pids, without those that a stranger has by now."""
    return {
        entry.pid for entry in entries if entry.pid not in table or table[entry.pid].started == entry.started
    }


def send_signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return ""


# ---------------------------------------------------------------- the guard's state


class Entry:
    """A process that the guard started: running, being stopped, or ended."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], started: str) -> None:
        self.name = name
        self.process = process
        self.pid = process.pid
        self.started = started
        self.exit_status: int | None = None
        self.on_exit: Callable[[], None] | None = None
        self.run_deadline: float | None = None
        self.stop: Stop | None = None


class Stop:
    """A stop under way: whom it means, who waits for it and when patience ends.

    ``members`` {pid: start time} remembers those that a dying parent leaves to the guard.
    """

    def __init__(self, grace_seconds: float, members: dict[int, str]) -> None:
        self.since = time.monotonic()
        self.kill_at = self.since + grace_seconds
        self.members = members
        self.waiting: list[Callable[[Message], None]] = []
        self.killed: list[int] = []


class Client:
    """One attached relay."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.admitted = False

    def send(self, message: Message) -> None:
        self.connection.setblocking(True)
        self.connection.settimeout(10)
        try:
            self.connection.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except OSError:
            # The reader notices the loss; what was asked for stays done.
            pass
        finally:
            with contextlib.suppress(OSError):
                self.connection.setblocking(False)


class Guard:
    """One session's processes on this host."""

    def __init__(self, folder: Path, session: str, owner: str, lease_seconds: float) -> None:
        self.folder = folder
        self.workdir = folder.parent
        self.session = session
        self.owner = owner
        self.lease_seconds = lease_seconds
        self.lease_ends = time.monotonic() + lease_seconds
        self.since = time.time()
        self.entries: dict[str, Entry] = {}
        self.clients: list[Client] = []
        self.releasing = False
        self.after_release: list[Callable[[Message], None]] = []
        self.runs = 0
        self.libc = ctypes.CDLL(None) if IS_LINUX else None

    # -- starting

    def start(self, request: Message) -> Entry:
        name = request["name"]
        if self.releasing:
            raise Refused("releasing", "the guard is releasing the host")
        old = self.entries.get(name)
        if old is not None and old.exit_status is None:
            raise Refused("running", f"{name} runs already as pid {old.pid}")
        with contextlib.ExitStack() as files:
            stdin, stdout, stderr = self._files(request, files)
            try:
                process = subprocess.Popen(
                    request["argv"],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=self._environment(request),
                    cwd=request.get("cwd") or self.workdir,
                    start_new_session=True,
                    preexec_fn=self._before_exec(request.get("cores")),
                    **self._identity(request.get("user")),
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise Refused("not_started", f"{request['argv'][0]}: {error}") from error
        entry = Entry(name, process, start_time(process.pid))
        self.entries[name] = entry
        self._record()
        return entry

    def _files(self, request: Message, files: contextlib.ExitStack) -> tuple[Any, Any, Any]:
        stdin: Any = subprocess.DEVNULL
        if request.get("stdin_file"):
            stdin = files.enter_context(self._inside(request["stdin_file"]).open("rb"))
        if request.get("captures"):
            out, err = (files.enter_context(path.open("wb")) for path in request["captures"])
            return stdin, out, err
        log = self._inside(request["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        return stdin, files.enter_context(log.open("ab")), subprocess.STDOUT

    def _environment(self, request: Message) -> dict[str, str]:
        kept = (
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "TMPDIR",
            "LANG",
            "LC_ALL",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        )
        base = {key: os.environ[key] for key in kept if key in os.environ}
        return {**base, **request.get("env", {})}

    def _identity(self, user: str | None) -> dict[str, Any]:
        if user is None or os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _before_exec(self, cores: list[int] | None) -> Callable[[], None] | None:
        libc = self.libc
        if libc is None:
            return None

        def prepare() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if cores:
                os.sched_setaffinity(0, cores)

        return prepare

    def _inside(self, path: str) -> Path:
        resolved = (self.workdir / path).resolve()
        if not resolved.is_relative_to(self.workdir.resolve()):
            raise Refused("outside", f"{path} is outside {self.workdir}")
        return resolved

    # -- stopping

    def begin_stop(self, entry: Entry, number: int, grace_seconds: float) -> Stop:
        if entry.stop is None:
            table = process_table()
            members = {pid: table[pid].started for pid in family(leaders_of([entry], table), table)}
            entry.stop = Stop(grace_seconds, members)
            if entry.exit_status is None:
                send_signal(entry.pid, number)
        return entry.stop

    def advance_stops(self) -> None:
        stopping = [entry for entry in self.entries.values() if entry.stop is not None]
        if not stopping:
            return
        table = process_table()
        now = time.monotonic()
        for entry in stopping:
            stop = entry.stop
            assert stop is not None
            roots = {
                pid for pid, began in stop.members.items() if pid in table and table[pid].started == began
            }
            alive = family(leaders_of([entry], table) | roots, table)
            stop.members.update((pid, table[pid].started) for pid in alive)
            if not alive and entry.exit_status is not None:
                entry.stop = None
                for answer in stop.waiting:
                    answer(
                        {
                            "exit_status": entry.exit_status,
                            "killed": len(stop.killed),
                            "seconds": now - stop.since,
                        }
                    )
                self.kill_strays()
                self._record()
                continue
            if entry.exit_status is not None:
                stop.kill_at = min(stop.kill_at, now + STRAGGLER_SECONDS)
            if now >= stop.kill_at:
                for pid in alive:
                    send_signal(pid, signal.SIGKILL)
                    if pid not in stop.killed:
                        stop.killed.append(pid)

    def kill_strays(self) -> int:
        """Orphans that the guard has adopted and that belong to none of its processes."""
        if not IS_LINUX:
            return 0
        table = process_table()
        known = set(family(leaders_of(self.entries.values(), table), table))
        strays = [pid for pid, kin in table.items() if kin.parent == os.getpid() and pid not in known]
        for pid in strays:
            send_signal(pid, signal.SIGKILL)
        return len(strays)

    def begin_release(self) -> None:
        self.releasing = True
        for entry in self.entries.values():
            self.begin_stop(entry, signal.SIGTERM, 3.0)

    def released(self) -> bool:
        if not self.releasing or any(entry.stop is not None for entry in self.entries.values()):
            return False
        return self.kill_strays() == 0

    # -- bookkeeping

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for entry in list(self.entries.values()):
                if entry.pid == pid and entry.exit_status is None:
                    entry.exit_status = os.waitstatus_to_exitcode(status)
                    entry.process.returncode = entry.exit_status
                    if entry.on_exit is not None:
                        entry.on_exit()
                    else:
                        self._announce(entry)
                    self._record()

    def expire_runs(self) -> None:
        now = time.monotonic()
        for entry in self.entries.values():
            if entry.run_deadline is not None and entry.exit_status is None and now > entry.run_deadline:
                entry.run_deadline = None
                self.begin_stop(entry, signal.SIGKILL, 0.0)

    def _announce(self, entry: Entry) -> None:
        for client in self.clients:
            if client.admitted:
                client.send({"event": "exit", "name": entry.name, "exit_status": entry.exit_status})

    def _record(self) -> None:
        rows = [
            {"name": entry.name, "pid": entry.pid, "started": entry.started}
            for entry in self.entries.values()
            if entry.exit_status is None or entry.stop is not None
        ]
        temporary = self.folder / "processes.json.new"
        temporary.write_text(json.dumps({"boot": boot_id(), "processes": rows}))
        temporary.replace(self.folder / "processes.json")


def start_time(pid: int) -> str:
    """What tells this process from a later one with the same number; "" if it has ended already."""
    kin = _linux_process(pid) if IS_LINUX else process_table().get(pid)
    return kin.started if kin else ""


def kill_leftovers(folder: Path) -> int:
    """End what an earlier guard left (it was killed itself); how many processes that were."""
    try:
        record = json.loads((folder / "processes.json").read_text())
    except (FileNotFoundError, ValueError):
        return 0
    if record["boot"] != boot_id():
        return 0
    table = process_table()
    killed = 0
    for row in record["processes"]:
        kin = table.get(row["pid"])
        if kin is not None and kin.started != row["started"]:
            continue
        # The leader may be gone already (PR_SET_PDEATHSIG) and its children not: they keep its session.
        for pid in family({row["pid"]}, table):
            send_signal(pid, signal.SIGKILL)
            killed += 1
    return killed


# ---------------------------------------------------------------- verbs

Answer = Callable[[Message], None]


def do_hello(guard: Guard, request: Message, answer: Answer) -> None:
    answer({"version": GUARD_VERSION, "pid": os.getpid(), "since": guard.since, "time": time.time()})


def do_renew(guard: Guard, request: Message, answer: Answer) -> None:
    answer({"time": time.time()})


def do_start(guard: Guard, request: Message, answer: Answer) -> None:
    entry = guard.start(request)
    answer({"pid": entry.pid})


def do_run(guard: Guard, request: Message, answer: Answer) -> None:
    guard.runs += 1
    name = f"run-{guard.runs}"
    out, err = guard.folder / f"{name}.out", guard.folder / f"{name}.err"
    given = guard.folder / f"{name}.in"
    request = {**request, "name": name, "captures": (out, err)}
    if request.get("stdin"):
        given.write_bytes(base64.b64decode(request["stdin"]))
        request["stdin_file"] = str(given)

    def clean() -> None:
        for path in (out, err, given):
            path.unlink(missing_ok=True)
        if request.get("remove_stdin_file"):
            guard._inside(request["stdin_file"]).unlink(missing_ok=True)

    try:
        entry = guard.start(request)
    except Refused:
        clean()
        raise

    def finish() -> None:
        timed_out = entry.run_deadline is None
        stdout, stderr = out.read_bytes(), err.read_bytes()
        clean()
        if entry.stop is None:
            del guard.entries[name]
        answer(
            {
                "exit_status": entry.exit_status,
                "stdout": base64.b64encode(stdout).decode(),
                "stderr": base64.b64encode(stderr).decode(),
                "timed_out": timed_out,
            }
        )

    entry.run_deadline = time.monotonic() + request["timeout_seconds"]
    entry.on_exit = finish


def do_stop(guard: Guard, request: Message, answer: Answer) -> None:
    entry = guard.entries.get(request["name"])
    if entry is None:
        raise Refused("unknown", f"no process named {request['name']}")
    number = getattr(signal, request.get("signal", "SIGTERM"))
    guard.begin_stop(entry, number, request.get("grace_seconds", 10.0)).waiting.append(answer)


def do_status(guard: Guard, request: Message, answer: Answer) -> None:
    rows = {
        entry.name: {"pid": entry.pid, "exit_status": entry.exit_status} for entry in guard.entries.values()
    }
    answer({"processes": rows})


def do_tail(guard: Guard, request: Message, answer: Answer) -> None:
    path = guard._inside(request["path"])
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - request.get("bytes", TAIL_BYTES)))
        answer({"text": file.read().decode(errors="replace")})


def do_read(guard: Guard, request: Message, answer: Answer) -> None:
    path = guard._inside(request["path"])
    with path.open("rb") as file:
        file.seek(request.get("offset", 0))
        data = file.read(request.get("bytes", 8_000_000))
        more = bool(file.read(1))
    answer({"data": base64.b64encode(zlib.compress(data, 1)).decode(), "length": len(data), "more": more})


def do_write(guard: Guard, request: Message, answer: Answer) -> None:
    path = guard._inside(request["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, request.get("mode", 0o600))
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64decode(request["data"]))
    answer({})


def do_remove(guard: Guard, request: Message, answer: Answer) -> None:
    path = guard._inside(request["path"])
    if path == guard.workdir.resolve():
        raise Refused("outside", "the work folder itself is not removed here")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    answer({})


def do_port(guard: Guard, request: Message, answer: Answer) -> None:
    """Is the port free to listen on, and does anything answer there?"""
    address, port = request["address"], request["port"]
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    problem = ""
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections of an earlier run in TIME_WAIT don't count; a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            port = probe.getsockname()[1]
        except OSError as error:
            problem = errno.errorcode.get(error.errno or 0, "") + " " + (error.strerror or "")
    answered = False
    if not request.get("bind_only") and not problem:
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            answered = probe.connect_ex((address, port)) == 0
    answer({"free": not problem and not answered, "problem": problem.strip(), "port": port})


def do_tell(guard: Guard, request: Message, answer: Answer) -> None:
    """One line to a process of ours that listens on a unix socket below the work folder, one line back."""
    path = guard._inside(request["socket"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(request["socket_patience_seconds"])
        # Relative to the guard's own folder, where it runs: absolute paths may be too long for a socket.
        peer.connect(os.path.relpath(path, guard.folder.resolve()))
        peer.sendall(request["line"].encode() + b"\n")
        received = b""
        while not received.endswith(b"\n"):
            chunk = peer.recv(1 << 16)
            if not chunk:
                raise Refused("closed", f"{path.name}: the connection ended before an answer")
            received += chunk
    answer({"line": received.decode().rstrip("\n")})


def do_clock(guard: Guard, request: Message, answer: Answer) -> None:
    answer({"time": time.time()})


def do_release(guard: Guard, request: Message, answer: Answer) -> None:
    guard.after_release.append(answer)
    guard.begin_release()


VERBS: dict[str, Callable[[Guard, Message, Answer], None]] = {
    "hello": do_hello,
    "renew": do_renew,
    "start": do_start,
    "run": do_run,
    "stop": do_stop,
    "status": do_status,
    "tail": do_tail,
    "read": do_read,
    "write": do_write,
    "remove": do_remove,
    "port": do_port,
    "tell": do_tell,
    "clock": do_clock,
    "release": do_release,
}


def dispatch(guard: Guard, client: Client, line: bytes) -> None:
    request = json.loads(line)
    number = request.get("id")

    def answer(fields: Message) -> None:
        client.send({"id": number, "ok": True, **fields})

    if not client.admitted:
        if request.get("session") != guard.session:
            client.send({"busy": {"owner": guard.owner, "since": guard.since}})
            return
        client.admitted = True
    guard.lease_ends = time.monotonic() + guard.lease_seconds
    try:
        VERBS[request["do"]](guard, request, answer)
    except Refused as refused:
        client.send({"id": number, "ok": False, "kind": refused.kind, "error": str(refused)})
    except OSError as error:
        kind = errno.errorcode.get(error.errno or 0, "OSError")
        client.send({"id": number, "ok": False, "kind": kind, "error": str(error)})
    except Exception:
        # A broken request must not cost the other processes their guard; the reader gets the whole trace.
        client.send({"id": number, "ok": False, "kind": "broken", "error": traceback.format_exc()})


# ---------------------------------------------------------------- the loop


def serve(guard: Guard, listener: socket.socket) -> None:
    selector = selectors.DefaultSelector()
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if IS_LINUX else _nonblocking_pipe()
    signal.set_wakeup_fd(wake_write)
    ending = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.append(True))
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    while True:
        stopping = any(entry.stop is not None for entry in guard.entries.values())
        running = any(entry.run_deadline is not None for entry in guard.entries.values())
        patience = STOP_POLL_SECONDS if stopping or guard.releasing else 0.5 if running else 1.0
        for key, _ in selector.select(patience):
            if key.fileobj is listener:
                _accept(guard, listener, selector)
            elif key.fileobj == wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
            else:
                _receive(guard, key.data, selector)
        guard.reap()
        guard.expire_runs()
        guard.advance_stops()
        if not guard.releasing and (ending or time.monotonic() > guard.lease_ends):
            why = "a signal" if ending else f"no renewal within {guard.lease_seconds:g} s"
            print(f"{time.time():.3f} releasing the host: {why}", file=sys.stderr, flush=True)
            guard.begin_release()
        if guard.released():
            for answer in guard.after_release:
                answer({})
            return


def _nonblocking_pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _accept(guard: Guard, listener: socket.socket, selector: selectors.BaseSelector) -> None:
    connection, _ = listener.accept()
    connection.setblocking(False)
    client = Client(connection)
    guard.clients.append(client)
    selector.register(connection, selectors.EVENT_READ, client)


def _receive(guard: Guard, client: Client, selector: selectors.BaseSelector) -> None:
    try:
        chunk = client.connection.recv(1 << 18)
    except BlockingIOError:
        return
    except OSError:
        chunk = b""
    if not chunk:
        selector.unregister(client.connection)
        guard.clients.remove(client)
        client.connection.close()
        return
    *lines, client.received = (client.received + chunk).split(b"\n")
    for line in lines:
        dispatch(guard, client, line)


# ---------------------------------------------------------------- becoming the guard


def become_guard(folder: Path, session: str, owner: str, lease_seconds: float, tell: int) -> None:
    """In the background process: lock, clean up, listen, serve. One byte to ``tell`` once it listens."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(tell, b"L")
        return
    os.chdir(folder)
    if IS_LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    killed = kill_leftovers(folder)
    if killed:
        print(f"{time.time():.3f} ended {killed} processes of an earlier guard", file=sys.stderr, flush=True)
    for stale in folder.glob("run-*"):
        stale.unlink()
    Path("sock").unlink(missing_ok=True)
    # A relative name: a unix socket's path has room for about 100 bytes.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("sock")
    listener.listen(8)
    guard = Guard(folder, session, owner, lease_seconds)
    os.write(tell, b"R")
    os.close(tell)
    try:
        serve(guard, listener)
    finally:
        Path("sock").unlink(missing_ok=True)
        Path("processes.json").unlink(missing_ok=True)


def spawn_guard(folder: Path, session: str, owner: str, lease_seconds: float) -> bool:
    """Fork the guard into the background. False: another one holds the lock."""
    hear, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        log = os.open(folder / "guard.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDWR)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.close(hear)
        status = 0
        try:
            become_guard(folder, session, owner, lease_seconds, tell)
        except BaseException:
            traceback.print_exc()
            status = 1
        os._exit(status)
    os.close(tell)
    os.wait()
    word = os.read(hear, 1)
    os.close(hear)
    if not word:
        raise RuntimeError(f"the guard did not start; see {folder / 'guard.log'}")
    return word == b"R"


def prepare_folder(workdir: Path) -> Path:
    """W/guard, private. W itself may be passed through (PostgreSQL runs as another user) but not read."""
    workdir.mkdir(parents=True, exist_ok=True, mode=0o711)
    if workdir.stat().st_uid != os.geteuid():
        raise PermissionError(f"{workdir} belongs to another user")
    workdir.chmod(0o711)
    folder = workdir / "guard"
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def join(folder: Path, session: str, owner: str, lease_seconds: float) -> socket.socket:
    """A connection to the guard, started if need be."""
    os.chdir(folder)
    deadline = time.monotonic() + 10
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect("sock")
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
        spawn_guard(folder, session, owner, lease_seconds)
        if time.monotonic() > deadline:
            raise RuntimeError("another guard holds the lock and does not answer")
        time.sleep(0.02)


def attach(workdir: Path, session: str, owner: str, lease_seconds: float) -> int:
    folder = prepare_folder(workdir)
    connection = join(folder, session, owner, lease_seconds)
    connection.sendall(json.dumps({"id": 0, "do": "hello", "session": session}).encode() + b"\n")
    first = b""
    while not first.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            raise RuntimeError("the guard ended while being joined")
        first += chunk
    os.write(1, first)
    if b'"busy"' in first:
        return BUSY_STATUS
    relay(connection)
    return 0


def relay(connection: socket.socket) -> None:
    """stdin -> guard, guard -> stdout, until either ends."""
    ends = {0: connection.fileno(), connection.fileno(): 1}
    while True:
        readable, _, _ = select.select(list(ends), [], [])
        for source in readable:
            chunk = os.read(source, 1 << 18)
            if not chunk:
                return
            view = memoryview(chunk)
            while view:
                view = view[os.write(ends[source], view) :]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["attach"])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--session", required=True)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--lease-seconds", type=float, required=True)
    options = parser.parse_args()
    try:
        return attach(options.workdir, options.session, options.owner, options.lease_seconds)
    except (OSError, RuntimeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED_STATUS


if __name__ == "__main__":
    sys.exit(main())
