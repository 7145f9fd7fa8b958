"""The tables of what is checked: lines, their versions, and what was seen where."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from monitor.database.mapped import Base


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


class Line(Base):
    """A named sequence of versions of one model."""

    __tablename__ = "lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[float]
    looked_at: Mapped[float | None]
    """When the watcher last saw what lies there."""
    look_problem: Mapped[str | None]
    """What kept it from looking, or from queueing what it saw, the last time it tried."""
    taking_in_since: Mapped[float | None]
    """Since when the watcher fetches and digests a push; None where it does not."""
    endorsed_digest: Mapped[str | None]
    """Content digest of the version that its place names as the trusted one, where it names one."""


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
    __table_args__ = (Index("ix_observations_place", "line_id", "name", "locator"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("lines.id"))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    """None where the push was refused."""
    name: Mapped[str]
    locator: Mapped[str]
    reason: Mapped[str | None]
    """Why it was refused; None where it was not."""
    pending: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It was not refused for good: a later look has to take it in, also that of another process."""
    fingerprint: Mapped[str | None]
    """Of `monitor.sources.source.Observation`: what a remote place said about its files."""
    seen_at: Mapped[float]
    gone_at: Mapped[float | None]
    """When a look showed first that it lies there no more; None while it does."""
    unread_at: Mapped[float | None]
    """When the place could not be listed; None where the version was found there since."""
