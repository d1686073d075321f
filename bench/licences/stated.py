"""What a package's metadata say of its licence, and what can be told from that.

License-Expression alone is an SPDX expression by its definition (PEP 639); the field License is free text,
and a classifier may name a family. Where they say unlike things, the expression counts and the others are
told; without an expression nothing counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from bench.licences.expression import canonical, names_in
from bench.licences.texts import recognised
from bench.wire.installed import InstalledPackage

FAMILIES = {
    "License :: OSI Approved :: Apache Software License": ("Apache-1.0", "Apache-1.1", "Apache-2.0"),
    "License :: OSI Approved :: BSD License": ("0BSD", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause"),
    "License :: OSI Approved :: Zope Public License": ("ZPL-1.1", "ZPL-2.0", "ZPL-2.1"),
    "License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)": (
        *("LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later"),
        *("LGPL-3.0-only", "LGPL-3.0-or-later"),
    ),
    "License :: OSI Approved :: GNU General Public License (GPL)": (
        *("GPL-1.0-only", "GPL-1.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later"),
        *("GPL-3.0-only", "GPL-3.0-or-later"),
    ),
}
"""Classifiers that name several licences: PEP 639 forbids to infer one of them."""
CLASSIFIERS = {
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: MIT No Attribution License (MIT-0)": "MIT-0",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
    "License :: OSI Approved :: Zero-Clause BSD (0BSD)": "0BSD",
    "License :: OSI Approved :: zlib/libpng License": "Zlib",
    "License :: OSI Approved :: GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
}
SPELLINGS = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "mit license (mit)": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "simplified bsd license": "BSD-2-Clause",
    "isc license": "ISC",
    "mpl 2.0": "MPL-2.0",
    "mozilla public license 2.0": "MPL-2.0",
    "zpl 2.1": "ZPL-2.1",
    "zope public license 2.1": "ZPL-2.1",
}
"""Of the field License, in small letters; each names one licence and its version."""
NAME_AT_MOST = 100
"""A longer field License, or one of several lines, is a text and no name."""


class LicenceOf(msgspec.Struct, frozen=True):
    """A package's licence as far as it can be told."""

    spdx: str  # a canonical expression; "": it can't be told
    how: str  # what tells it, for readers: "License-Expression"; or why it can't be told
    # Licences that are named without telling how they go together; empty where ``spdx`` isn't.
    named: tuple[str, ...] = ()
    # What speaks against it, or beside it: a sentence each.
    remarks: tuple[str, ...] = ()
    files: dict[str, str] = {}  # {licence file: the licence that it was recognised as, or ""}


class _Said(msgspec.Struct, frozen=True):
    """What each source names, as SPDX licences."""

    field: str  # an expression, or ""
    is_text: bool  # the field is a licence's text
    classified: tuple[str, ...]
    families: dict[str, tuple[str, ...]]  # {the classifier's last words: any of these}
    texts: tuple[str, ...]  # of the licence files that are of the package itself


def licence_of(package: InstalledPackage) -> LicenceOf:
    """Nothing is guessed: where sources name unlike licences, or a family alone, it says so."""
    files = {file.path: recognised(file.text) for file in package.licence_files}
    said = _said(package, files)
    stated = canonical(package.licence_expression) if package.licence_expression else ""
    if stated:
        remarks = _against(stated, said)
        return LicenceOf(stated, "License-Expression", remarks=remarks, files=files)
    remarks = ()
    if package.licence_expression:
        remarks = (f"its License-Expression, {package.licence_expression!r}, is none that SPDX knows",)
    found = _without_expression(said, package.licence)
    return msgspec.structs.replace(found, remarks=(*remarks, *found.remarks), files=files)


def _said(package: InstalledPackage, files: dict[str, str]) -> _Said:
    field, is_text = _of_field(package.licence)
    own = {name: spdx for name, spdx in files.items() if "/" not in name}
    licences = [one for one in package.classifiers if one.startswith("License :: ")]
    return _Said(
        field=field,
        is_text=is_text,
        classified=tuple(dict.fromkeys(CLASSIFIERS[one] for one in licences if one in CLASSIFIERS)),
        families={one.rpartition(" :: ")[2]: FAMILIES[one] for one in licences if one in FAMILIES},
        texts=tuple(dict.fromkeys(spdx for spdx in own.values() if spdx)),
    )


def _of_field(text: str) -> tuple[str, bool]:
    """(the expression that the field License is, or "", whether it is a licence's text)"""
    if not text:
        return "", False
    if "\n" in text or len(text) > NAME_AT_MOST:
        return recognised(text), True
    name = re.sub(r"\s+", " ", text).strip()
    return SPELLINGS.get(name.lower(), "") or canonical(name), False


def _against(expression: str, said: _Said) -> tuple[str, ...]:
    """What the other sources say that the expression doesn't: a sentence each."""
    names = set(names_in(expression))
    remarks = []
    if said.field and not set(names_in(said.field)) & names:
        remarks.append(f"its field License says {said.field}")
    other = [one for one in said.classified if one not in names]
    other += [words for words, ones in said.families.items() if not names & set(ones)]
    if other:
        remarks.append(f"a classifier of it says {' and '.join(other)}")
    texts = [one for one in said.texts if one not in names]
    if texts:
        remarks.append(f"a licence file of it is {' and '.join(texts)}")
    return tuple(remarks)


def _without_expression(said: _Said, field: str) -> LicenceOf:
    """From the field License, else the classifiers, else the licence files."""
    name = "the text in its field License" if said.is_text else f"its field License ({_shortened(field)})"
    if said.field:
        beside = _beside(said.field, said)
        if not beside:
            return LicenceOf(said.field, name, remarks=_against(said.field, said))
        named = tuple(dict.fromkeys((*names_in(said.field), *beside)))
        return _several(named, f"{name} and its classifiers name unlike ones")
    if len(said.classified) == 1 and not said.families:
        (only,) = said.classified
        return LicenceOf(only, "a classifier", remarks=_against(only, said))
    if said.classified:
        return _several((*said.classified, *_families(said)), "its classifiers name several")
    if len(said.texts) == 1:
        (only,) = said.texts
        outside = [words for words, ones in said.families.items() if only not in ones]
        if outside:
            return _several((only, *outside), "its licence file and its classifiers name unlike ones")
        of_metadata = " and ".join(said.families) or _shortened(field)
        remarks = (f"its metadata say no more than {of_metadata}",) if of_metadata else ()
        return LicenceOf(only, "the text of its licence file", remarks=remarks)
    if said.texts:
        return _several(said.texts, "it has several licence files")
    if said.families or field:
        words = " and ".join(said.families) or _shortened(field)
        return LicenceOf("", f"its metadata say no more than {words}")
    return LicenceOf("", "its metadata name none")


def _beside(expression: str, said: _Said) -> tuple[str, ...]:
    """What classifiers name beside the field License, where they aren't of its licences."""
    names = set(names_in(expression))
    families = [one for one in _families(said) if one not in names]
    return (*(one for one in said.classified if one not in names), *families)


def _families(said: _Said) -> tuple[str, ...]:
    """Each by the one of its licences that a licence file or the field License has; else by its own words."""
    known = {*said.texts, *names_in(said.field)}
    found = {words: known.intersection(ones) for words, ones in said.families.items()}
    return tuple(next(iter(ones)) if len(ones) == 1 else words for words, ones in found.items())


def _several(named: Sequence[str], how: str) -> LicenceOf:
    remark = "whether one may choose, or all hold, its metadata don’t say"
    return LicenceOf("", how, named=tuple(dict.fromkeys(named)), remarks=(remark,))


def _shortened(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= 60 else f"{line[:59]}…"
