"""What the hosts' state means for a plan: pure, from facts, conditions and links to findings with remedies.

A finding *stops* the plan where a run could not be made or would say nothing; it *limits* where the figures
will be bounded or shaky and can still be had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from bench.environment.hosts import HostFacts
from bench.environment.links import Link, Links
from bench.environment.ports import PortProblem
from bench.judge.thresholds import CLOCK_LIMITS_SECONDS, CLOCK_STOPS_SECONDS
from bench.programs import HostProgram
from bench.spec import Endpoint
from bench.wire.condition import Condition
from bench.wire.links import Transfer

State = Literal["ok", "limits", "stops"]
STATES: tuple[State, ...] = ("stops", "limits", "ok")
# A server or load worker opens these beside its connections: modules, logs, counters, the event loop's own.
FILES_BESIDE_CONNECTIONS = 64
# Measured: three servers, tools and a filled PostgreSQL take 300 MB; as much again while they are unpacked.
SERVER_DISK_BYTES = 600_000_000
LOAD_DISK_BYTES = 300_000_000
# Samples, logs and spools of a run.
LEAST_DISK_BYTES = 100_000_000
# A closed connection keeps its port for a minute (Linux: fixed; macOS: 2 x 15 s by default).
PORT_REST_SECONDS = 60
LOADED_SHARE = 0.2
DATE = "Tue, 24 Nov 2026 11:11:33 GMT"


class Demand(msgspec.Struct, frozen=True):
    """What a plan asks of the hosts."""

    connections: int  # of all load hosts together
    backlog: int  # how many connections the server lets wait
    response_bytes: dict[str, int]  # an answer's length by endpoint, its headers included
    rates: tuple[float, ...] = ()  # the stated ones, in requests per second
    programs: tuple[HostProgram, ...] = ()  # that the load is made with, and that are no Python packages
    load_on_server: bool = False  # some of the load is made on the server's own host
    server_programs: tuple[HostProgram, ...] = ()  # the same of what stands before the server, on its host


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at on one host."""

    state: State
    host: str
    what: str
    text: str
    remedy: str = ""


FRAME_HEADER_BYTES = 4
"""Of a message that a server sends, of 126 to 65,535 bytes (RFC 6455, 5.2)."""


def response_bytes(endpoint: Endpoint, body_bytes: int) -> int:
    """An answer's length with the headers that every server sends, of a message with its frame's."""
    if endpoint.protocol == "websocket":
        return FRAME_HEADER_BYTES + body_bytes
    head = (
        f"HTTP/1.1 200 OK\r\ndate: {DATE}\r\nserver: uvicorn\r\ncontent-length: {body_bytes}\r\n"
        f"content-type: {endpoint.content_type}\r\n\r\n"
    )
    return len(head) + body_bytes


def stops_of(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in findings if one.state == "stops")


def server_findings(facts: HostFacts, condition: Condition, demand: Demand) -> tuple[Finding, ...]:
    files = demand.connections + FILES_BESIDE_CONNECTIONS
    return (
        *_common(facts, condition, SERVER_DISK_BYTES),
        _files(facts.host, condition.open_files_soft, files, "the server", "ulimit -n"),
        *_queue(facts.host, condition, demand),
    )


def load_findings(
    facts: HostFacts, condition: Condition, demand: Demand, load_hosts: int
) -> tuple[Finding, ...]:
    share = math.ceil(demand.connections / load_hosts)
    files = share + FILES_BESIDE_CONNECTIONS
    return (
        *_common(facts, condition, LOAD_DISK_BYTES),
        _files(facts.host, condition.open_files_hard, files, "a load worker", "ulimit -Hn"),
        *_ports(facts.host, condition, share),
    )


def other_findings(facts: HostFacts, condition: Condition) -> tuple[Finding, ...]:
    """Of a host that is neither server nor load host."""
    return _common(facts, condition, SERVER_DISK_BYTES)


def _common(facts: HostFacts, condition: Condition, disk_bytes: int) -> tuple[Finding, ...]:
    host = facts.host
    return (
        Finding("ok", host, "python", f"Python {facts.python_version} ({facts.python_path})"),
        Finding("ok", host, "system", f"{facts.distribution}, {facts.architecture}, {facts.cpu_model}"),
        _disk(facts, condition, disk_bytes),
        _clock(facts),
        *_power(facts, condition),
        _cores(facts, condition),
        *_quota(facts, condition),
    )


def _disk(facts: HostFacts, condition: Condition, wanted_bytes: int) -> Finding:
    needed = max(LEAST_DISK_BYTES, wanted_bytes - condition.workdir_bytes)
    text = f"{facts.disk_free_bytes / 1e6:,.0f} MB free for {facts.workdir}"
    if facts.disk_free_bytes >= needed:
        return Finding("ok", facts.host, "disk", text)
    return Finding(
        "stops",
        facts.host,
        "disk",
        f"{text}, and {needed / 1e6:,.0f} MB are needed",
        f"Free room there, or name a folder on another disk in asgibench_workdir for {facts.host}",
    )


def _clock(facts: HostFacts) -> Finding:
    error = facts.clock_offset_error_seconds
    text = f"{facts.clock_offset_seconds * 1e3:+.1f} ms from ours, known to {error * 1e3:.1f} ms"
    if error <= CLOCK_LIMITS_SECONDS:
        return Finding("ok", facts.host, "clock", text)
    return Finding(
        "stops" if error > CLOCK_STOPS_SECONDS else "limits",
        facts.host,
        "clock",
        f"{text}: windows are cut no better than that",
        "See what slows the connection to it",
    )


def _power(facts: HostFacts, condition: Condition) -> Iterator[Finding]:
    host = facts.host
    scaling = facts.cpu_frequency_scaling
    if scaling not in (None, "performance"):
        yield Finding(
            "limits",
            host,
            "frequency",
            f"CPU frequency scaling is {scaling}: speed follows the load, with delay",
            "Set the governor performance (cpupower frequency-set -g performance), if you may",
        )
    if condition.on_battery:
        yield Finding("limits", host, "power", "runs on battery, where CPUs are slowed", "Plug it in")
    if condition.low_power:
        remedy = "Switch the low-power mode off"
        yield Finding("limits", host, "power", "is in a low-power mode, where CPUs are slowed", remedy)
    limit = condition.cpu_speed_limit_percent
    if limit is not None and limit < 100:
        text = f"heat holds the CPU back to {limit} % of its speed"
        yield Finding("limits", host, "heat", text, "Let it cool down, and give it air")
    if condition.throttle_count:
        text = f"heat has slowed the CPU {condition.throttle_count} times since the host was started"
        yield Finding("limits", host, "heat", text, "See whether the number grows during a run")
    if condition.sleeps_after_minutes:
        remedy = "Keep it awake: `caffeinate -s` on macOS, IdleAction=ignore in logind.conf on Linux"
        text = f"goes to sleep after {condition.sleeps_after_minutes} idle minutes"
        yield Finding("limits", host, "sleep", text, remedy)
    readings = (scaling, condition.on_battery, condition.low_power, limit, condition.throttle_count)
    if all(one is None for one in readings):
        text = "frequency scaling, battery, low-power mode and heat can't be read on this system"
        yield Finding("ok", host, "power", text)


def _cores(facts: HostFacts, condition: Condition) -> Finding:
    usable = len(facts.cores_usable)
    text = f"{usable} of {facts.cores_total} cores usable; load average {condition.load_1min:.2f}"
    if condition.load_1min <= LOADED_SHARE * facts.cores_total:
        return Finding("ok", facts.host, "cores", text)
    remedy = "Stop other programs before a decision rests on it; each run says what others took"
    return Finding("limits", facts.host, "cores", f"{text}: other programs are at work", remedy)


def _quota(facts: HostFacts, condition: Condition) -> Iterator[Finding]:
    """A quota below the cores stops processes that have a core to run on; one at them or above never does."""
    cores, usable = condition.quota_cores, len(facts.cores_usable)
    if cores is None:
        return
    text = f"a CPU quota lets what runs there use {cores:g} of its {usable} usable cores"
    if cores >= usable:
        yield Finding("ok", facts.host, "quota", text)
        return
    yield Finding(
        "limits",
        facts.host,
        "quota",
        f"{text}: processes are stopped whenever it is used up",
        "Lift it (a container's CPU limit; cpu.max or cpu.cfs_quota_us of its control group)",
    )


def _files(host: str, limit: int | None, needed: int, who: str, command: str) -> Finding:
    if limit is None or limit >= needed:
        allowed = "any number" if limit is None else f"{limit:,}"
        return Finding("ok", host, "open files", f"{who} may open {allowed} and needs {needed:,}")
    return Finding(
        "stops",
        host,
        "open files",
        f"{who} may open {limit:,} and needs {needed:,} for its connections",
        f"Raise the limit for that user (nofile in /etc/security/limits.conf; see `{command}`), or choose a "
        "profile with fewer connections",
    )


def _queue(host: str, condition: Condition, demand: Demand) -> Iterator[Finding]:
    queue = condition.listen_queue
    if queue is None:
        return
    text = f"a listener may hold {queue:,} connections (somaxconn)"
    if queue >= min(demand.backlog, demand.connections):
        yield Finding("ok", host, "listen queue", text)
        return
    yield Finding(
        "limits",
        host,
        "listen queue",
        f"{text}, and {demand.connections:,} may arrive at once: some may come a second late",
        "Raise net.core.somaxconn (macOS: kern.ipc.somaxconn)",
    )


def _ports(host: str, condition: Condition, connections: int) -> Iterator[Finding]:
    if condition.ephemeral_ports is None:
        return
    first, last = condition.ephemeral_ports
    count = max(0, last - first + 1)
    text = (
        f"{count:,} ports for outgoing connections: {count // PORT_REST_SECONDS:,} new ones a second to one "
        "server without rest"
    )
    if count > connections:
        yield Finding("ok", host, "ports", text)
        return
    yield Finding(
        "stops",
        host,
        "ports",
        f"{count:,} ports for outgoing connections, and it is to open {connections:,}",
        "Widen net.ipv4.ip_local_port_range (macOS: net.inet.ip.portrange.first), or add load hosts",
    )


def program_finding(facts: HostFacts, program: HostProgram, found: str | None, cannot_send: str) -> Finding:
    """``found`` is the program as the host has it. ``cannot_send``: why it can't be sent; "": it can."""
    if found is not None:
        return Finding("ok", facts.host, program.name, found)
    if not cannot_send:
        text = f"it isn't there; Debian's {program.package} is sent when a benchmark begins"
        return Finding("ok", facts.host, program.name, text)
    return Finding(
        "stops",
        facts.host,
        program.name,
        f"it isn't there, and can't be sent: {cannot_send}",
        program.install_on(facts.host, facts.system),
    )


# ---------------------------------------------------------------- the server's port and the links


def port_finding(host: str, bind: str, port: int, problem: PortProblem | None) -> Finding:
    """``problem`` is why a server could not listen there, None if it could."""
    place = f"{bind}:{port}"
    if problem is None:
        return Finding("ok", host, "port", f"{place} is free for the server")
    return Finding("stops", host, "port", problem.on(place), problem.remedy)


def unreached_finding(host: str, address: str, port: int, problem: str) -> Finding:
    """``problem`` is link_probe.py's."""
    place = f"{address}:{port}"
    remedies = {
        "refused": "See that asgibench_address leads to the server's host, and that no firewall rejects it",
        "timeout": f"Open TCP port {port} on the server's host to this load host in its firewall or security "
        "group, or choose an open port with --port",
        "stranger": "Something else answers there: see that asgibench_address leads to the server's host",
    }
    remedy = remedies.get(problem, "See that asgibench_address is what the load hosts can connect to")
    return Finding("stops", host, "link", f"{place} is not reached ({problem})", remedy)


def link_findings(links: Links, demand: Demand) -> tuple[Finding, ...]:
    """What each link carries, in requests a second of each endpoint; the stated rates held against it."""
    found = [_link(name, link, demand) for name, link in links.hosts.items()]
    if links.together is not None:
        found.append(_speed("all load hosts", links.together, demand, "together", ""))
    bound = _all_of(links)
    for rate in demand.rates:
        for endpoint, size in demand.response_bytes.items():
            if bound is not None and rate * size > bound:
                found.append(
                    Finding(
                        "stops",
                        "all load hosts" if len(links.hosts) > 1 else next(iter(links.hosts)),
                        "link",
                        f"{rate:,.0f} {endpoint}/s are {rate * size / 1e6:,.0f} MB/s, and the link carries "
                        f"{bound / 1e6:,.1f}",
                        f"Leave the rate out, measure {endpoint} without it, or use a faster link",
                    )
                )
    return tuple(found)


def _all_of(links: Links) -> float | None:
    """Bytes a second that all load hosts can receive at once; None where that isn't known."""
    measured = [link.download for link in links.hosts.values()]
    if links.together is not None:
        measured = [links.together]
    if not links.hosts or any(one is None or one.is_lower_bound for one in measured):
        return None
    return sum(one.bytes_per_second for one in measured if one is not None)


def _link(name: str, link: Link, demand: Demand) -> Finding:
    notes = [] if link.round_trip_seconds is None else [f"round trip {link.round_trip_seconds * 1e3:.3f} ms"]
    if link.interface_bits_per_second is not None:
        notes.append(f"its interface says {link.interface_bits_per_second / 1e6:,.0f} Mbit/s")
    if link.upload is not None:
        notes.append(f"{_megabytes(link.upload)} to the server")
    if link.download is None:
        return Finding("ok", name, "link", "; ".join(["reaches the server's port", *notes]))
    return _speed(name, link.download, demand, "from the server", "; ".join(notes))


def _speed(name: str, measured: Transfer, demand: Demand, way: str, notes: str) -> Finding:
    speed = f"{_megabytes(measured)} {way}"
    carried = ", ".join(
        f"{measured.bytes_per_second / size:,.0f} {endpoint}"
        for endpoint, size in demand.response_bytes.items()
    )
    tail = f"; {notes}" if notes else ""
    if measured.is_lower_bound:
        return Finding("ok", name, "link", f"{speed} (the probe's CPU was the limit, not the link){tail}")
    text = f"{speed}: that carries about {carried} a second at most{tail}" if carried else f"{speed}{tail}"
    return Finding(
        "limits",
        name,
        "link",
        text,
        "A run that reaches it says so; a faster link, or more of them, lifts it",
    )


def _megabytes(measured: Transfer) -> str:
    least = "at least " if measured.is_lower_bound else ""
    rate = measured.bytes_per_second
    return f"{least}{rate / 1e6:,.1f} MB/s ({rate * 8 / 1e6:,.0f} Mbit/s)"


def by_state(findings: Sequence[Finding]) -> Mapping[State, tuple[Finding, ...]]:
    """The worst first; states that nothing is in are left out."""
    grouped = {state: tuple(one for one in findings if one.state == state) for state in STATES}
    return {state: found for state, found in grouped.items() if found}
