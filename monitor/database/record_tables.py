"""The tables of what was found out once and is kept: decisions, calibrations, digests of files."""

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from monitor.database.mapped import Base


class Audit(Base):
    """One move of a version's trust state, or of something else that people answer for; rows are
    only ever added (triggers see to it)."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    subject: Mapped[str | None] = mapped_column(index=True)
    """What moved where it is no version, as `alert:FINGERPRINT`."""
    from_state: Mapped[str]
    to_state: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[float]
    previous_hash: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)


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
    asked_at: Mapped[float] = mapped_column(index=True)
    """About when it was last of use."""
