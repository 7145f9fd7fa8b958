"""The tables of the database: lines, versions, observations, diffs with their outbox, calibrations,
the audit log, alerts with their messages and questions, file digests, and who is at work.

Times are seconds since the epoch (UTC). The schema's history is in `monitor/migrations`.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Trust(StrEnum):
    """What is known and decided about a version."""

    NEW = "new"
    CHECKING = "checking"
    PASSED = "passed"
    FLAGGED = "flagged"
    UNDECIDED = "undecided"
    TRUSTED = "trusted"
    QUARANTINED = "quarantined"
    SUPERSEDED = "superseded"


UNCHECKED = (Trust.NEW, Trust.CHECKING, Trust.UNDECIDED, Trust.SUPERSEDED)
"""Versions in these states have no verdict, whatever the reason."""


class DiffState(StrEnum):
    """Where a diff is; `failed` and `cancelled` mean that it ended without a verdict."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class QuestionState(StrEnum):
    """Where a question is; as of a diff, `failed` says that it ended without an answer."""

    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"


class Base(DeclarativeBase):
    """All tables of the monitor."""


class Claimable:
    """A row that one process at a time works on (`monitor.leases`); its states have at least
    `queued` and `running`."""

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="queued")
    attempt: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    """Grows by one with every claim; a result is only written under the newest fence."""
    owner: Mapped[str | None]
    lease_until: Mapped[float | None]
    not_before: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """Until then a queued one waits, as after a try that failed."""
    error: Mapped[str | None]
    """What kept it from its end; of a queued one, why its last try ended."""
    finished_at: Mapped[float | None]


class Line(Base):
    """A named sequence of versions of one model."""

    __tablename__ = "lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[float]
    looked_at: Mapped[float | None]
    """When the watcher last saw what lies there."""
    look_problem: Mapped[str | None]
    """What kept it from looking the last time it tried."""


class Version(Base):
    """One immutable checkpoint of a line, identified by the digest of its files."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("line_id", "content_digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("lines.id"))
    name: Mapped[str]
    """Under which it was first seen; other names are in its observations."""
    locator: Mapped[str]
    """Where it was first seen."""
    content_digest: Mapped[str]
    weights_digest: Mapped[str]
    tokenizer_digest: Mapped[str]
    shape: Mapped[str]
    """Architecture, blocks and width, as `LlamaForCausalLM 30x576`."""
    published_at: Mapped[float]
    """Modification time of its newest file, or when it was seen, if that was earlier."""
    registered_at: Mapped[float]
    state: Mapped[str] = mapped_column(default=Trust.NEW)
    state_at: Mapped[float]
    reason: Mapped[str | None]
    """Why it is in this state."""


class Observation(Base):
    """That something was seen at a place: a version, an alias of one, or a refused push."""

    __tablename__ = "observations"

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("lines.id"))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"))
    """None where the push was refused."""
    name: Mapped[str]
    locator: Mapped[str]
    reason: Mapped[str | None]
    """Why it was refused; None where it was not."""
    fingerprint: Mapped[str | None]
    """Of `monitor.source.Observation`: what a remote place said about the files of a version."""
    seen_at: Mapped[float]


class Diff(Claimable, Base):
    """One job: compare a candidate with a base by one recipe."""

    __tablename__ = "diffs"
    __table_args__ = (
        UniqueConstraint("line_id", "base_digest", "candidate_digest", "recipe_digest"),
    )

    line_id: Mapped[int] = mapped_column(ForeignKey("lines.id"))
    base_digest: Mapped[str]
    candidate_digest: Mapped[str]
    recipe_digest: Mapped[str]
    probe_only: Mapped[bool]
    """The weights are equal, so only the behaviour can differ."""
    stage: Mapped[str | None]
    verdict: Mapped[str | None]
    """JSON of `latentwatch.verdict/1`."""
    queued_at: Mapped[float]
    progress: Mapped[str | None]
    """JSON of `monitor.progress.Step` while it runs."""
    readings: Mapped[str | None]
    """JSON of `monitor.readings.Readings` while a worker runs it."""
    cancel_reason: Mapped[str | None]
    """Who asked for it to be cancelled, and why; whoever runs it stops."""


class Outgoing(Base):
    """The message that wakes a worker for a queued diff; gone once the diff has ended."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    diff_id: Mapped[int] = mapped_column(ForeignKey("diffs.id"), unique=True)
    queue: Mapped[str]
    not_before: Mapped[float]
    sent_at: Mapped[float | None]
    """None where it still has to be sent."""


class WorkerRow(Base):
    """A worker process, as it last told."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[str]
    gpu: Mapped[str | None]
    """The CUDA device that it has to itself; None where it takes what it finds."""
    started_at: Mapped[float]
    seen_at: Mapped[float]


class Lease(Base):
    """A role that one process has at a time, until it is not renewed."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[float]


class StoredCalibration(Base):
    """One calibration of a line; the newest one of a base counts, and older ones are kept."""

    __tablename__ = "calibrations"

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("lines.id"))
    base_digest: Mapped[str]
    """Of the trusted version whose nulls these are."""
    recipe_digest: Mapped[str]
    created_at: Mapped[float]
    calibration: Mapped[str]
    """JSON of `latentwatch.calibration/1`; the digests of its suites are in it."""


class Audit(Base):
    """One move of a version's trust state, or of something else that people answer for; rows are
    only ever added (triggers see to it)."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"))
    subject: Mapped[str | None] = mapped_column(index=True)
    """What moved where it is no version, as `alert:FINGERPRINT`."""
    from_state: Mapped[str]
    to_state: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[float]
    previous_hash: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)


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
    planned: Mapped[int] = mapped_column(default=0)
    """The revision up to which messages were planned."""


class AlertMessage(Base):
    """A message about an alert that is, or is to be, in a channel of Slack or another destination:
    the outbox of the alerts."""

    __tablename__ = "alert_messages"
    __table_args__ = (UniqueConstraint("channel", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"))
    """None where it tells of an outage."""
    thread_id: Mapped[int | None] = mapped_column(ForeignKey("alert_messages.id"))
    """The message in whose thread it stands; None where it stands in the channel."""
    channel: Mapped[str]
    """Id of a channel of Slack, or the name of a destination."""
    kind: Mapped[str]
    """`monitor.alert_messages.Kind`."""
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
    """Of a first sending whose end is not known."""
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
    """`monitor.outbox.QUEUES`: that of its diff."""
    asked: Mapped[str]
    """JSON of `alerts.question.Asked`."""
    asked_by: Mapped[str]
    asked_at: Mapped[float]
    sent_at: Mapped[float | None]
    """When a worker was woken for it; None where that has still to be done."""
    answer: Mapped[str | None]
    """JSON of `alerts.question.Answered`."""


class FileDigest(Base):
    """The digests of one file as it was when it had this size, inode and these times."""

    __tablename__ = "file_digests"

    path: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    tensors: Mapped[str | None]
    """JSON list of [name, dtype, shape, sha256] of a safetensors file."""
