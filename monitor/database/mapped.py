"""What the tables of the database have in common.

Times are seconds since the epoch (UTC).
"""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables of the monitor."""


class Claimable:
    """A row that one process at a time works on (`monitor.jobs.leases`); its states have at least
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
