"""What may happen to an alert: what checks find, what time brings, what reviewers do."""

from typing import NamedTuple

from alerts.alert import AlertState, Finding
from alerts.verdict import Severity


class Measured(NamedTuple):
    """A check has ended without a pass, or is overdue."""

    finding: Finding
    severity: Severity
    reason: str
    behaviours: tuple[str, ...] = ()
    """Those that it flagged."""


class Passed(NamedTuple):
    """A later check of the same pair has passed."""

    reason: str


class Replaced(NamedTuple):
    """Another result counts in its place, or its version was skipped, so that nobody misses a check
    any more."""

    reason: str


class Woken(NamedTuple):
    """The snooze is over."""

    reason: str


class Acknowledge(NamedTuple):
    """A reviewer has seen it and is at work."""

    by: str
    seen: int
    """The revision that the reviewer saw."""


class Snooze(NamedTuple):
    """A reviewer wants to hear of it again at a stated time."""

    by: str
    seen: int
    until: float
    until_next: bool
    reason: str
    """For how long, in words."""


class Propose(NamedTuple):
    """The first of two reviewers wants to trust the version."""

    by: str
    seen: int
    reason: str


class Lapsed(NamedTuple):
    """What the first of two reviewers proposed rests on evidence that has changed."""

    reason: str


class Decided(NamedTuple):
    """Somebody has trusted or quarantined the version."""

    by: str
    to: AlertState
    reason: str
    seen: int | None = None
    """None where it was decided elsewhere, as on the command line."""


Event = Measured | Passed | Replaced | Woken | Acknowledge | Snooze | Propose | Lapsed | Decided
