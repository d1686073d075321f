"""What a licence asks of who uses what it covers, by its own text.

A licence that isn't in the table is not judged. Sources are the texts on https://spdx.org/licenses/.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["none", "permissive", "weak copyleft", "copyleft", "network copyleft", "use restricted"]


class Obligation(msgspec.Struct, frozen=True):
    """``asks`` is a sentence for readers; ``kind`` is what it asks in one word or two."""

    kind: Kind
    asks: str

    @property
    def restricts_use(self) -> bool:
        """Running the program, for whatever purpose, is not free."""
        return self.kind == "use restricted"


_NOTHING = "Nothing."
_NOTICE = "Who passes it on keeps the copyright notice and the licence’s text with every copy."
_BSD_2 = (
    "Who passes it on keeps the copyright notice, the conditions and the disclaimer, in the source or, with "
    "binaries, in what accompanies them."
)
_APACHE = (
    "Who passes it on gives the licence’s text and the NOTICE file along, keeps all notices, and marks the "
    "files that were changed. Its patent licence ends for who sues over patents in it."
)
_SOURCE = "Who passes on programs made with it gives their whole source under the same licence"
_LIBRARY = (
    "Who passes it on gives its own source, changes included, under the same licence, and lets the user "
    "exchange it in a program that is linked to it."
)

OBLIGATIONS: dict[str, Obligation] = {
    "0BSD": Obligation("none", _NOTHING),
    "CC0-1.0": Obligation("none", _NOTHING),
    "MIT-0": Obligation("none", _NOTHING),
    "Unlicense": Obligation("none", _NOTHING),
    "MIT": Obligation("permissive", _NOTICE),
    "ISC": Obligation("permissive", _NOTICE),
    "Zlib": Obligation(
        "permissive", "Changed versions are marked as such; the notice stays in every copy of the source."
    ),
    "BSD-2-Clause": Obligation("permissive", _BSD_2),
    "BSD-3-Clause": Obligation(
        "permissive", f"{_BSD_2} The holders’ names endorse nothing without their leave."
    ),
    "Apache-2.0": Obligation("permissive", _APACHE),
    "PSF-2.0": Obligation(
        "permissive",
        "Who passes it on keeps the licence and the copyright notice, and says in short what was changed.",
    ),
    "Python-2.0": Obligation(
        "permissive",
        "Who passes it on keeps the licence and the copyright notice, and says in short what was changed.",
    ),
    "TCL": Obligation("permissive", "Who passes it on keeps the copyright notices and this notice."),
    "ZPL-2.1": Obligation(
        "permissive",
        f"{_BSD_2} Changed files say that and when they were changed; names and trademarks are not given.",
    ),
    "MPL-2.0": Obligation(
        "weak copyleft",
        "Who passes it on gives the source of its files, changed ones included, under the same.",
    ),
    "LGPL-2.1-only": Obligation("weak copyleft", _LIBRARY),
    "LGPL-2.1-or-later": Obligation("weak copyleft", _LIBRARY),
    "LGPL-3.0-only": Obligation("weak copyleft", _LIBRARY),
    "LGPL-3.0-or-later": Obligation("weak copyleft", _LIBRARY),
    "GPL-2.0-only": Obligation("copyleft", f"{_SOURCE}."),
    "GPL-2.0-or-later": Obligation("copyleft", f"{_SOURCE}."),
    "GPL-3.0-only": Obligation("copyleft", f"{_SOURCE}."),
    "GPL-3.0-or-later": Obligation("copyleft", f"{_SOURCE}."),
    "AGPL-3.0-only": Obligation("network copyleft", f"{_SOURCE}; who serves it offers it to its users."),
    "AGPL-3.0-or-later": Obligation("network copyleft", f"{_SOURCE}; who serves it offers it to its users."),
    "SSPL-1.0": Obligation(
        "use restricted", "Who offers it as a service gives the source of all that makes the service."
    ),
    "BUSL-1.1": Obligation(
        "use restricted",
        "Use in production needs a grant that the licence itself names, or a bought licence.",
    ),
    "Elastic-2.0": Obligation("use restricted", "It is not to be offered to others as a service."),
}


def obligation_of(licence: str) -> Obligation | None:
    """By SPDX name; an exception (``WITH``) only permits more. None: it isn't in the table."""
    return OBLIGATIONS.get(licence.partition(" WITH ")[0])
