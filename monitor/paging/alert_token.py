"""The value that the buttons of an alert carry: which alert, and which revision was seen."""

import re
from typing import NamedTuple

from monitor.database.schema import AlertRow

_TOKEN = re.compile(r"([0-9a-f]{32})\.(\d{1,9})")


class Token(NamedTuple):
    """What a button says."""

    fingerprint: str
    revision: int

    def __str__(self) -> str:
        return f"{self.fingerprint}.{self.revision}"


def token_of(row: AlertRow) -> str:
    """The value for the buttons of this alert as it is now."""
    return str(Token(row.fingerprint, row.revision))


def read_token(text: str) -> Token | None:
    """What a button said; None where that is no such value."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else Token(match[1], int(match[2]))
