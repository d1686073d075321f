"""Recognises the text of a licence, and only where it is certain: word for word, and nothing beside it.

Compared are words in small letters, so that layout and punctuation don't count. What may differ is what
the licences leave open: the holders' names. A text that has more in it than the licence, a title and
copyright lines is not recognised: what else it says may change what the licence allows.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache

WORD = re.compile(r"[a-z0-9]+")
# From the title to "END OF TERMS AND CONDITIONS", as words.
APACHE_2_SHA256 = "f45538b138cf9aea39fa205de037a0bede8305e68281650e7ab809a8b3ebb2f0"
APACHE_START = "apache license version 2 0 january 2004"
APACHE_END = "end of terms and conditions"
APACHE_APPENDIX = "appendix how to apply the apache license to your work"
APACHE_APPENDIX_WORDS = 250
APACHE_NOTICE = (
    "licensed under the apache license version 2 0 the license you may not use this file except in "
    "compliance with the license you may obtain a copy of the license at http www apache org licenses "
    "license 2 0 unless required by applicable law or agreed to in writing software distributed under "
    "the license is distributed on an as is basis without warranties or conditions of any kind either "
    "express or implied see the license for the specific language governing permissions and limitations "
    "under the license"
)
NAMES = r"(?:[a-z0-9]+ ){1,16}?"
MIT_GRANT = (
    "permission is hereby granted free of charge to any person obtaining a copy of this software and "
    "associated documentation files the software to deal in the software without restriction including "
    "without limitation the rights to use copy modify merge publish distribute sublicense and or sell "
    "copies of the software and to permit persons to whom the software is furnished to do so"
)
MIT_CONDITION = (
    "subject to the following conditions the above copyright notice and this permission notice "
    "(?:including the next paragraph )?shall be included in all copies or substantial portions of the "
    "software"
)
MIT_DISCLAIMER = (
    "the software is provided as is without warranty of any kind express or implied including but not "
    "limited to the warranties of merchantability fitness for a particular purpose and non "
    f"?infringement in no event shall the {NAMES}be liable for any claim damages or other liability "
    "whether in an action of contract tort or otherwise arising from out of or in connection with the "
    "software or the use or other dealings in the software"
)
BSD_GRANT = (
    "redistribution and use in source and binary forms with or without modification are permitted "
    "provided that the following conditions are met (?:1 )?redistributions of source code must retain "
    "the above copyright notice this list of conditions and the following disclaimer (?:2 "
    ")?redistributions in binary form must reproduce the above copyright notice this list of conditions "
    "and the following disclaimer in the documentation and or other materials provided with the "
    "distribution "
)
BSD_ENDORSEMENT = (
    f"(?:3 )?neither the names? of {NAMES}nor the names of {NAMES}may be used to endorse or promote "
    "products derived from this software without specific prior written permission "
)
BSD_DISCLAIMER = (
    f"this software is provided by {NAMES}as is and any express or implied warranties including but not "
    "limited to the implied warranties of merchantability and fitness for a particular purpose are "
    f"disclaimed in no event shall {NAMES}be liable for any direct indirect incidental special exemplary "
    "or consequential damages including but not limited to procurement of substitute goods or services "
    "loss of use data or profits or business interruption however caused and on any theory of liability "
    "whether in contract strict liability or tort including negligence or otherwise arising in any way "
    "out of the use of this software even if advised of the possibility of such damage"
)
ISC = (
    "permission to use copy modify and or distribute this software for any purpose with or without fee "
    "is hereby granted provided that the above copyright notice and this permission notice appear in "
    f"all copies the software is provided as is and {NAMES}disclaims? all warranties with regard to this "
    "software including all implied warranties of merchantability and fitness in no event shall "
    f"{NAMES}be liable for any special direct indirect or consequential damages or any damages "
    "whatsoever resulting from loss of use data or profits whether in an action of contract negligence "
    "or other tortious action arising out of or in connection with the use or performance of this "
    "software"
)
BODIES = {
    "MIT": f"{MIT_GRANT} {MIT_CONDITION} {MIT_DISCLAIMER}",
    "MIT-0": f"{MIT_GRANT} {MIT_DISCLAIMER}",
    "BSD-3-Clause": f"{BSD_GRANT}{BSD_ENDORSEMENT}{BSD_DISCLAIMER}",
    "BSD-2-Clause": f"{BSD_GRANT}{BSD_DISCLAIMER}",
    "ISC": ISC,
    "Apache-2.0": APACHE_NOTICE,
}
TITLE = re.compile(
    r"\b(?:the )?(?:mit|mit 0|mit no attribution|isc|bsd|(?:new |modified |simplified )?bsd|bsd [23] clause|"
    r"[23] clause bsd|(?:revised|simplified) bsd|expat) licen[sc]e(?: mit| expat)?\b"
)
PREAMBLE_WORDS = 120
# In what stands before the licence, these say that something else holds beside it.
TELLING = frozenset(
    (
        *("license", "licence", "licenses", "licences", "licensed", "licenced", "dual", "either", "except"),
        *("portions", "includes", "permission", "terms", "conditions", "must", "gpl", "patent", "not"),
    )
)


def recognised(text: str) -> str:
    """The SPDX name of the licence whose text this is; "" where it isn't certain."""
    words = " ".join(WORD.findall(text.lower()))
    if _is_apache_2(words):
        return "Apache-2.0"
    for name, body in _bodies():
        found = body.search(words)
        if found is not None and found.end() == len(words) and _says_nothing_more(words[: found.start()]):
            return name
    return ""


def _is_apache_2(words: str) -> bool:
    start, end = words.find(APACHE_START), words.find(APACHE_END)
    if start < 0 or end < start or not _says_nothing_more(words[:start]):
        return False
    end += len(APACHE_END)
    appendix = words[end:].strip()
    if appendix and not appendix.startswith(APACHE_APPENDIX):
        return False
    body = words[start:end].replace("https", "http")
    is_it = hashlib.sha256(body.encode()).hexdigest() == APACHE_2_SHA256
    return is_it and len(appendix.split()) <= APACHE_APPENDIX_WORDS


def _says_nothing_more(preamble: str) -> bool:
    """Names of holders, years and a title are nothing more."""
    left = TITLE.sub(" ", preamble).split()
    return len(left) <= PREAMBLE_WORDS and not TELLING.intersection(left)


@cache
def _bodies() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, re.compile(rf"\b{body}$")) for name, body in BODIES.items())
