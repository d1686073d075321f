"""What a request of the guard's ends with where it can't be met."""

from __future__ import annotations


class Refused(Exception):
    """``kind`` is for the program (see GuardFailure), the text for the reader."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
