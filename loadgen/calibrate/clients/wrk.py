"""wrk, with one thread."""

from __future__ import annotations

from bench.environment.calibration import ClientFigure, client_figure
from loadgen.calibrate.ready import CLIENT_PATIENCE_SECONDS, CONNECTIONS, ReadyHost
from testapp.workload import Workload

# Runs a command, and prints the CPU seconds that it took as a last line.
WITH_CPU = (
    "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:]).returncode; "
    "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime); "
    "sys.exit(status)"
)


def by_wrk(host: ReadyHost, workload: Workload, program: str) -> ClientFigure:
    """Raises LoadError where an answer was none or not a good one."""
    url = f"{host.base_url}{workload.path}"
    words = [program, "-t1", f"-c{CONNECTIONS}", f"-d{host.window_seconds}s", url]
    done = host.guarded.run(
        [host.environment.python, "-I", "-c", WITH_CPU, *words],
        env={"LC_ALL": "C"},
        timeout_seconds=host.window_seconds + CLIENT_PATIENCE_SECONDS,
        cores=host.cores,
        check=False,
    )
    output = (done.stdout + done.stderr).decode(errors="replace")
    figure = parse_wrk(done.stdout.decode(errors="replace")) if done.exit_status == 0 else None
    if figure is None:
        raise host.client_failed(f"wrk on {workload.name}", output)
    return figure


def parse_wrk(output: str) -> ClientFigure | None:
    """wrk's report, with the CPU seconds that it took below it; None if it has errors or no request."""
    lines = [line.strip() for line in output.strip().splitlines()]
    if any(line.startswith(("Socket errors", "Non-2xx")) for line in lines):
        return None
    counted = next((line.split() for line in lines if " requests in " in line), None)
    if counted is None or int(counted[0]) == 0:
        return None
    return client_figure(int(counted[0]), float(counted[3].rstrip("s,")), float(lines[-1]))
