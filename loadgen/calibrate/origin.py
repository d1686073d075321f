"""The trivial server of a calibration: nginx where the host has it, else ceiling_server.py."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.errors import ServerStartError
from loadgen.calibrate.ready import ADDRESS, FOLDER, HOME, ORIGIN_LOG, Origin, Programs
from loadgen.calibrate.static import body_of, static_workloads
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost

READY_SECONDS = 10.0
PROCESS_NAME = "ceiling-server"
CEILING_SERVER = "loadgen.onhost.calibration.ceiling_server"
BODIES = f"{FOLDER}/html"
NGINX_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    open_file_cache max=16;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen {address}:{port} backlog=4096;
        root {root};
        {locations}
    }}
}}
"""


def start_origin(
    guarded: GuardedHost, python: str, shipped_directory: str, programs: Programs, core: int | None
) -> Origin:
    """Start it and wait until it listens. Raises ServerStartError with the tail of its log."""
    for workload in static_workloads():
        guarded.write(f"{BODIES}{workload.path}", body_of(workload))
    guarded.remove(ORIGIN_LOG)
    port = guarded.free_port(ADDRESS)
    root = f"{guarded.workdir}/{BODIES}"
    if programs.nginx is None:
        title = "ceiling_server.py"
        command = [python, "-B", "-m", CEILING_SERVER, "--root", root, "--port", str(port)]
    else:
        title = first_line(guarded, [programs.nginx, "-v"]).rpartition(" ")[2].replace("/", " ")
        command = [programs.nginx, *_nginx_words(guarded, root, port)]
    try:
        guarded.start(
            PROCESS_NAME,
            command,
            log=ORIGIN_LOG,
            env={"PYTHONPATH": shipped_directory},
            cwd=f"{guarded.workdir}/{HOME}",
            cores=None if core is None else (core,),
        )
    except GuardRefusal as refusal:
        raise ServerStartError(
            f"{title} could not be started on {refusal.message}",
            remedy="Run `./invoke hosts.clean` for that host and try again",
        ) from refusal
    _await_listening(guarded, title, port)
    return Origin(title, port, core)


def first_line(guarded: GuardedHost, argv: Sequence[str]) -> str:
    """The first line that a program prints."""
    done = guarded.run(argv, check=False)
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return lines[0].strip() if lines else ""


def _nginx_words(guarded: GuardedHost, root: str, port: int) -> list[str]:
    facts = guarded.facts
    user = ""
    if facts.is_root:
        # Otherwise nginx's worker process runs as a user who can't read our folder.
        user = "user root wheel;" if facts.system == "Darwin" else "user root;"
    locations = (
        f'location = {workload.path} {{ default_type "{workload.content_type}"; }}'
        for workload in static_workloads()
    )
    folder = f"{guarded.workdir}/{FOLDER}"
    text = NGINX_CONFIGURATION.format(
        user=user, folder=folder, root=root, address=ADDRESS, port=port, locations=" ".join(locations)
    )
    guarded.write(f"{FOLDER}/nginx.conf", text.encode())
    return ["-p", folder, "-c", f"{folder}/nginx.conf"]


def _await_listening(guarded: GuardedHost, title: str, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not guarded.port_problem(ADDRESS, port):
        if time.monotonic() > deadline or guarded.exit_status(PROCESS_NAME) is not None:
            raise ServerStartError(
                f"{title} did not listen on {guarded.host.name} within {READY_SECONDS:g} s",
                remedy="The end of its log follows",
                detail=guarded.tail(ORIGIN_LOG) or "(its log is empty)",
            )
        time.sleep(0.05)
