"""What Autobahn's verdict on one case amounts to, and which section of RFC 6455 or 7692 the case is about."""

from __future__ import annotations

from dataclasses import dataclass

from bench.wire.conformance import ConformanceFinding, Judgement, shown

SUITE = "websocket"
# By the beginning of a case's number; the longest counts.
SUBJECTS = {
    "1": ("Framing", "RFC 6455 §5.6"),
    "2": ("Pings and pongs", "RFC 6455 §5.5.2"),
    "3": ("Reserved bits", "RFC 6455 §5.2"),
    "4": ("Opcodes", "RFC 6455 §5.2"),
    "5": ("Fragments", "RFC 6455 §5.4"),
    "6": ("UTF-8", "RFC 6455 §8.1"),
    "7": ("Closing", "RFC 6455 §5.5.1"),
    "7.5": ("Closing", "RFC 6455 §8.1"),
    "7.7": ("Close codes", "RFC 6455 §7.4"),
    "7.9": ("Close codes", "RFC 6455 §7.4"),
    "7.13": ("Close codes", "RFC 6455 §7.4"),
    "10": ("Fragments", "RFC 6455 §5.4"),
    "12": ("Compression", "RFC 7692 §7"),
    "13": ("Compression", "RFC 7692 §7"),
}
# Autobahn: NON-STRICT is acceptable, though another way is better; INFORMATIONAL is of what no rule says.
OF_MESSAGES: dict[str, Judgement] = {
    "OK": "conforms",
    "NON-STRICT": "allowed",
    "INFORMATIONAL": "allowed",
    "UNIMPLEMENTED": "allowed",
    "FAILED": "violates",
}
OF_CLOSING: dict[str, Judgement] = {"OK": "conforms", "INFORMATIONAL": "allowed", "UNCLEAN": "weak"}
ORDER: tuple[Judgement, ...] = ("conforms", "allowed", "weak", "violates", "untested")
TITLE_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """One case as it came out, in Autobahn's own words."""

    number: str  # "7.1.5"
    description: str
    messages: str  # the verdict on what was exchanged: "OK", "NON-STRICT", "FAILED", ...
    closing: str  # the verdict on the closing handshake
    result: str
    result_of_closing: str
    sent: bytes
    received: bytes
    app_had: str  # the messages and pongs that came back, for a reader


def case_finding(case: CaseOutcome) -> ConformanceFinding:
    """The worse of both verdicts counts; one that Autobahn does not have leaves the case untested."""
    of_messages = OF_MESSAGES.get(case.messages, "untested")
    of_closing = OF_CLOSING.get(case.closing, "violates")
    judgement = max(of_messages, of_closing, key=ORDER.index)
    about_closing = ORDER.index(of_closing) > ORDER.index(of_messages)
    verdict, why = (case.closing, case.result_of_closing) if about_closing else (case.messages, case.result)
    subject, rule = subject_of_case(case.number)
    return ConformanceFinding(
        suite=SUITE,
        probe=f"autobahn-{case.number}",
        subject=subject,
        title=" ".join(case.description.replace("<br>", " ").split())[:TITLE_CHARACTERS].rstrip("."),
        rule=rule,
        level="MUST",
        judgement=judgement,
        why=f"Autobahn: {verdict}: {why.rstrip('.')}",
        sent=shown(case.sent),
        received=shown(case.received),
        app_saw=case.app_had,
    )


def subject_of_case(number: str) -> tuple[str, str]:
    """(subject, section). Raises KeyError for a group of cases that is not known."""
    parts = number.split(".")
    for length in range(len(parts), 0, -1):
        found = SUBJECTS.get(".".join(parts[:length]))
        if found is not None:
            return found
    raise KeyError(number)
