"""An alert: what stands for one (line, base, candidate), and where it is."""

import hashlib
import json
from enum import StrEnum
from typing import NamedTuple

from alerts.verdict import Severity

LATENTWATCH = "latentwatch"
"""The actor of what no person does."""


class AlertState(StrEnum):
    """Where an alert is. The last four end it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    TRUSTED = "trusted"
    QUARANTINED = "quarantined"
    CLEARED = "cleared"
    """It was a missing check, and a later one passed."""
    SUPERSEDED = "superseded"
    """Another result has taken its place, or it was about the missing check of a version that was
    skipped."""


UNRESOLVED = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.SNOOZED)
DECISIONS = (AlertState.TRUSTED, AlertState.QUARANTINED)


class Finding(StrEnum):
    """What an alert is about; neither of the other two is ever a pass."""

    FLAGGED = "flagged"
    UNDECIDED = "undecided"
    UNCHECKED = "unchecked"
    """Nothing has been measured for longer than the settings allow."""


class Alert(NamedTuple):
    """An alert at one moment; times in seconds since the epoch."""

    finding: Finding
    severity: Severity
    state: AlertState
    revision: int
    changed_by: str
    changed_at: float
    reason: str
    """Of the last change."""
    found: str
    """What the check said, or why there is none."""
    opened_at: float
    """Since when it is, or was last, open."""
    snoozed_until: float | None = None
    """The end of the snooze; every snooze has one."""
    until_next: bool = False
    """The snooze ends with the next version of the line, if that comes earlier."""
    proposed_by: str | None = None
    """Who wants to trust the version, while a second reviewer has to agree."""
    proposal: str | None = None
    """Why they want to."""
    answered_by: str | None = None
    """Who has acknowledged or snoozed it, while it is so."""
    answered_at: float | None = None
    answer: str | None = None
    """For how long it is snoozed, in words."""
    behaviours: tuple[str, ...] = ()
    """Those that the check flagged, as routes name them."""

    @property
    def unresolved(self) -> bool:
        """Whether it still waits for an answer."""
        return self.state in UNRESOLVED


def fingerprint(line: str, base_digest: str, candidate_digest: str) -> str:
    """The same for every run on these versions, and telling nothing about them."""
    return hashlib.sha256(json.dumps([line, base_digest, candidate_digest]).encode()).hexdigest()[
        :32
    ]
