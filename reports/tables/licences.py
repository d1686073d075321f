"""Licences and health of the servers, and what the licences ask of who uses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bench.licences.expression import names_in
from bench.licences.obligations import obligation_of
from bench.licences.releases import age_days
from bench.proofs.licences import PackageFinding, ServerLicences
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.numbers import MISSING, counted, listed, megabytes

RELATIONS = {
    "server": "the server",
    "needed": "required by it",
    "beside": "installed beside it",
    "app": "the test app’s",
}
HEALTH_TITLES = ("Server", "Version", "Licence", "Licences of its packages", "Released", "Days ago")
SIZE_TITLES = ("Packages", "Size, MB", "Machine code, MB")


def health_row(name: str, found: ServerLicences, at: str) -> tuple[str, ...]:
    """The cells of HEALTH_TITLES, SIZE_TITLES and its Pythons; ``at`` is when it was read (ISO)."""
    own = found.server
    days = age_days(own.released, at) if own is not None else None
    return (
        name,
        own.version if own is not None else MISSING,
        licence_text(own) if own is not None else MISSING,
        counted_licences(found),
        own.released if own is not None and own.released else MISSING,
        MISSING if days is None else f"{days:,}",
        f"{len(found.of_server)}",
        megabytes(found.size_bytes),
        megabytes(sum(found.compiled.values())),
        _pythons(own) if own is not None else MISSING,
    )


def health_table(findings: Mapping[str, ServerLicences], read_at: Mapping[str, str]) -> Table:
    """``read_at``: when each server's was read (ISO)."""
    columns = (*words(*HEALTH_TITLES[:-1]), *numbers(HEALTH_TITLES[-1], *SIZE_TITLES), *words("Python"))
    rows = tuple(TableRow(health_row(name, found, read_at[name])) for name, found in findings.items())
    note = (
        "Packages: the server, what it requires, and what its entry installs beside it, without the test "
        "app’s. Size: their files without bytecode. Released: the day on which the package index had the "
        "first file of that version, as the lock file has it; days ago: when it was read."
    )
    return Table("Licences and what is installed", columns, rows, note=note)


def obligations_table(findings: Mapping[str, ServerLicences]) -> Table:
    """Each licence that some package of a server has, with what it asks and who has it."""
    holders: dict[str, list[str]] = {}
    for found in findings.values():
        for one in found.of_server:
            for licence in _licences(one):
                holders.setdefault(licence, []).append(one.name)
    rows = []
    for licence in sorted(holders):
        known = obligation_of(licence)
        kind, asks = (
            (known.kind, known.asks) if known is not None else ("not known", "We have no line on it.")
        )
        rows.append(TableRow((licence, kind, asks, ", ".join(sorted(set(holders[licence]), key=str.lower)))))
    columns = words("Licence (SPDX)", "Kind", "What it asks", "Of these packages")
    note = (
        "Read from the licences’ texts; no legal advice. Of alternatives (OR) each is listed: one may choose."
    )
    return Table("What the licences ask", columns, tuple(rows), note=note)


def packages_table(name: str, found: ServerLicences) -> Table:
    rows = tuple(
        TableRow(
            (
                one.name,
                one.version,
                RELATIONS[one.relation],
                licence_text(one),
                one.licence.how,
                one.released or MISSING,
                megabytes(one.size_bytes),
                listed([path.rpartition("/")[2] for path in one.compiled]) if one.compiled else MISSING,
                one.requires_python or MISSING,
            ),
            "muted" if one.relation == "app" else "",
        )
        for one in found.packages
    )
    columns = (
        *words("Package", "Version", "Is", "Licence", "Told by", "Released"),
        *numbers("Size, MB"),
        *words("Machine code", "Python"),
    )
    return Table(name, columns, rows)


def licence_text(one: PackageFinding) -> str:
    """The SPDX expression; else what is known instead."""
    if one.licence.spdx:
        return one.licence.spdx
    return f"unclear: {listed(one.licence.named)}" if one.licence.named else "unknown"


def counted_licences(found: ServerLicences) -> str:
    """``MIT (12), BSD-3-Clause (3), unknown (1)``: the most frequent first."""
    counts = Counter(one.licence.spdx or "unclear" for one in found.of_server)
    return ", ".join(f"{licence} ({number})" for licence, number in _ranked(counts))


def remarks(findings: Mapping[str, ServerLicences]) -> tuple[str, ...]:
    """What a reader should know of packages' licences, each package once."""
    said: dict[str, None] = {}
    for found in findings.values():
        for one in found.of_server:
            said |= dict.fromkeys(_remarks_of(one))
    return tuple(said)


def _remarks_of(one: PackageFinding) -> Iterator[str]:
    title = f"{one.name} {one.version}".strip()
    if not one.licence.spdx:
        named = f" names {listed(one.licence.named)}" if one.licence.named else "’s licence is not known"
        yield f"{title}{named}: {'; '.join((one.licence.how, *one.licence.remarks))}."
    elif one.licence.remarks:
        yield f"{title} is {one.licence.spdx} by {one.licence.how}; {'; '.join(one.licence.remarks)}."
    for problem in one.problems:
        yield f"{title}: {problem}."


def plain_of(findings: Mapping[str, ServerLicences], read_at: Mapping[str, str]) -> dict[str, object]:
    """``{server: {...}}`` with each package of its environment, as JSON has it."""
    return {
        name: {
            "licence": found.server.licence.spdx if found.server is not None else "",
            "size_bytes": found.size_bytes,
            "machine_code_bytes": found.compiled,
            "read_at": read_at[name],
            "packages": {one.name: _plain(one, read_at[name]) for one in found.packages},
            "obligations": {
                licence: known.asks
                for one in found.of_server
                for licence in _licences(one)
                if (known := obligation_of(licence)) is not None
            },
        }
        for name, found in findings.items()
    }


def _plain(one: PackageFinding, read_at: str) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(one)
    return {**plain, "days_since_release": age_days(one.released, read_at)}


def package_count(findings: Sequence[ServerLicences]) -> str:
    """``41 packages``: each name and version once."""
    return counted(len({(one.name, one.version) for found in findings for one in found.of_server}), "package")


def _licences(one: PackageFinding) -> tuple[str, ...]:
    return names_in(one.licence.spdx) if one.licence.spdx else one.licence.named


def _pythons(own: PackageFinding) -> str:
    """``>=3.10; named: 3.10 to 3.14``."""
    asked = own.requires_python or "not stated"
    if not own.pythons:
        return asked
    first, last = own.pythons[0], own.pythons[-1]
    return f"{asked}; names {first}" + ("" if first == last else f" to {last}")


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
