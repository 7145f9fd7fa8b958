"""The tables of the work: diffs, the messages that wake a worker for one, and who is at work."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from monitor.database.mapped import Base, Claimable


class DiffState(StrEnum):
    """Where a diff is; `failed` and `cancelled` mean that it ended without a verdict."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Diff(Claimable, Base):
    """One job: compare a candidate with a base by one recipe."""

    __tablename__ = "diffs"
    __table_args__ = (
        UniqueConstraint("line_id", "base_digest", "candidate_digest", "recipe_digest"),
        Index("ix_diffs_candidate", "line_id", "candidate_digest"),
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
    passed_on: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often it was claimed by who then could not take it."""
    passed_on_at: Mapped[float | None]
    """Since when every worker that claims it has to leave it to others."""
    progress: Mapped[str | None]
    """JSON of `monitor.jobs.progress.Step` while it runs."""
    readings: Mapped[str | None]
    """JSON of `monitor.jobs.readings.Readings` while a worker runs it."""
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often in a row it has ended by a failure; `attempt` counts tries since it was queued."""
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


class HostClock(Base):
    """How far the clock of a host was from the database's when they were last compared."""

    __tablename__ = "clocks"

    host: Mapped[str] = mapped_column(primary_key=True)
    ahead: Mapped[float]
    """In seconds; negative where it is behind."""
    measured_at: Mapped[float]
    """By the clock of the database."""


class Lease(Base):
    """A role that one process has at a time, until it is not renewed."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[float]
