"""Slow clients as tables: memory and throughput, what is let go of, and every reason, folded."""

from __future__ import annotations

from bench.proofs.kept import Proofs
from bench.proofs.slow_clients import TITLES, SlowFindings
from reports.page.parts import Folded
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.slow_clients import (
    ahead_text,
    closed_text,
    memory_text,
    opened_text,
    ratio_text,
    verdict_of,
)


def cost_table(proofs: Proofs[SlowFindings]) -> Table:
    """What connections cost that do nothing."""
    rows = tuple(
        TableRow(
            (
                server,
                opened_text(found.get("idle")),
                memory_text(found.get("idle")),
                ratio_text(None if "idle" not in found else found["idle"].ratio),
                memory_text(found.get("slowloris")),
                memory_text(found.get("stopped-writer")),
                memory_text(found.get("stopped-reader")),
            )
        )
        for server, found in proofs.findings.items()
    )
    return Table(
        "What connections cost that do nothing",
        (
            *words("Server"),
            *numbers("Idle connections", "kB for each", "Throughput beside them"),
            *numbers("Slow header, kB each", "Writer that stops, kB each", "Reader that stops, kB each"),
        ),
        rows,
        note=(
            "Memory is PSS of the server’s whole process tree (RSS where the system has no PSS), grown from "
            "before to all connections open. Throughput beside idle connections is a ratio to that without "
            "them, the geometric mean over pairs of neighbouring slices with its 95 % interval."
        ),
    )


def ends_table(proofs: Proofs[SlowFindings]) -> Table:
    """Whether a server lets go of them, and whether memory stays bounded."""
    rows = tuple(
        TableRow(
            (
                server,
                *(closed_text(found.get(one)) for one in ("silent", "slowloris", "stopped-writer")),
                *(
                    ahead_text(found.get(one))
                    for one in ("endless-answer", "vanished-reader", "endless-upload")
                ),
                verdict_of(found.get("half-closed")),
            )
        )
        for server, found in proofs.findings.items()
    )
    return Table(
        "Whether they are let go of, and whether memory stays bounded",
        words(
            "Server",
            "Silent",
            "Slow header",
            "Writer stops",
            "Reader stops",
            "Reader vanishes",
            "Upload is not read",
            "Half-closed",
        ),
        rows,
        note=(
            "closes: the server closed all of them, the last after this time. keeps: some were open when "
            "watching ended. bounded: the side that gives stopped, so far ahead (in part the system’s own "
            "buffers). unbounded: it went on until it was stopped. answers, drops: the answer to a client "
            "that has said that it will send no more."
        ),
    )


def reason_parts(proofs: Proofs[SlowFindings]) -> tuple[Folded, ...]:
    """Each server's verdicts with their reasons."""
    return tuple(
        Folded(
            f"{server}: reasons",
            (
                Table(
                    f"{proofs.subjects[server].title}, {proofs.subjects[server].when_and_where}",
                    words("Probe", "Verdict", "Why"),
                    tuple(TableRow((TITLES[probe], one.verdict, one.reason)) for probe, one in found.items()),
                    style="wide",
                ),
            ),
        )
        for server, found in proofs.findings.items()
    )
