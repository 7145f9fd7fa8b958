"""The tables of what reviewers see: alerts, the messages about them, and the questions they ask."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from monitor.database.mapped import Base, Claimable


class QuestionState(StrEnum):
    """Where a question is; as of a diff, `failed` says that it ended without an answer."""

    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNANSWERED = (QuestionState.QUEUED, QuestionState.RUNNING)
"""States in which a question has not ended."""


class AlertRow(Base):
    """An alert (`alerts.alert`), one per line, base and candidate."""

    __tablename__ = "alerts"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("lines.id"))
    base_digest: Mapped[str]
    """Empty where the line has no trusted version to compare with."""
    candidate_digest: Mapped[str]
    diff_id: Mapped[int | None] = mapped_column(ForeignKey("diffs.id"))
    """The comparison that ended last; None where none has."""
    opened_at: Mapped[float]
    finding: Mapped[str]
    severity: Mapped[str]
    state: Mapped[str]
    revision: Mapped[int]
    """How many audit rows it has."""
    changed_by: Mapped[str]
    changed_at: Mapped[float]
    reason: Mapped[str]
    found: Mapped[str]
    behaviours: Mapped[str] = mapped_column(default="[]")
    """JSON list of those that the comparison flagged, as routes name them."""
    snoozed_until: Mapped[float | None]
    until_next: Mapped[bool]
    proposed_by: Mapped[str | None]
    proposal: Mapped[str | None]
    answered_by: Mapped[str | None]
    answered_at: Mapped[float | None]
    answer: Mapped[str | None]
    planned: Mapped[int] = mapped_column(default=0)
    """The revision up to which messages were planned."""


class AlertMessage(Base):
    """A message about an alert that is, or is to be, in a channel of Slack or another destination:
    the outbox of the alerts."""

    __tablename__ = "alert_messages"
    __table_args__ = (
        UniqueConstraint("channel", "key"),
        Index(
            "ix_alert_messages_unsent",
            "channel",
            sqlite_where=text("sent < wanted"),
            postgresql_where=text("sent < wanted"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"), index=True)
    """None where it tells of an outage."""
    thread_id: Mapped[int | None] = mapped_column(ForeignKey("alert_messages.id"), index=True)
    """The message in whose thread it stands; None where it stands in the channel."""
    channel: Mapped[str]
    """Id of a channel of Slack, or the name of a destination."""
    kind: Mapped[str]
    """`monitor.alerting.messages.Kind`."""
    key: Mapped[str]
    """By which it is found again in the channel."""
    text: Mapped[str]
    """Of a reply; an alert's own message is made when it is sent. Of an outage, what it is."""
    rank: Mapped[int]
    """The attention that the alert needed when this was planned; the highest goes first."""
    broadcast: Mapped[bool]
    """It stands in a thread and in the channel too."""
    wanted: Mapped[int]
    """The revision of the alert that it is to show."""
    sent: Mapped[int]
    """The revision that it shows; 0 before it was sent."""
    reference: Mapped[str | None]
    """Under which the channel knows it."""
    tries: Mapped[int]
    attempted_at: Mapped[float | None]
    """Of a first sending whose end is not known; of a message in Slack by Slack's clock."""
    not_before: Mapped[float]
    error: Mapped[str | None]
    """Why it could not be sent the last time."""
    failing_since: Mapped[float | None]
    """Since when it could not be sent; None where that was not tried, or has succeeded."""


class Question(Claimable, Base):
    """What a reviewer asks about an alert beyond its verdict, and what a worker answers."""

    __tablename__ = "questions"

    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    diff_id: Mapped[int] = mapped_column(ForeignKey("diffs.id"))
    """The comparison whose features it is about."""
    queue: Mapped[str]
    """`monitor.jobs.outbox.QUEUES`: that of its diff."""
    asked: Mapped[str]
    """JSON of `alerts.question.Asked`."""
    asked_by: Mapped[str]
    asked_at: Mapped[float]
    sent_at: Mapped[float | None]
    """When a worker was woken for it; None where that has still to be done."""
    answer: Mapped[str | None]
    """JSON of `alerts.question.Answered`."""
    cancelled_by: Mapped[str | None]
    """Who wants no answer any more; whoever works on one stops."""
    cancel_reason: Mapped[str | None]
