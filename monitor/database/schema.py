"""All tables of the database, to be taken from here; their history is in `migrations`."""

from monitor.database.alert_tables import (
    UNANSWERED,
    AlertMessage,
    AlertRow,
    Question,
    QuestionState,
)
from monitor.database.job_tables import Diff, DiffState, HostClock, Lease, Outgoing, WorkerRow
from monitor.database.mapped import Base, Claimable
from monitor.database.record_tables import Audit, FileDigest, StoredCalibration
from monitor.database.version_tables import UNCHECKED, Line, Observation, Trust, Version

__all__ = [
    "UNANSWERED",
    "UNCHECKED",
    "AlertMessage",
    "AlertRow",
    "Audit",
    "Base",
    "Claimable",
    "Diff",
    "DiffState",
    "FileDigest",
    "HostClock",
    "Lease",
    "Line",
    "Observation",
    "Outgoing",
    "Question",
    "QuestionState",
    "StoredCalibration",
    "Trust",
    "Version",
    "WorkerRow",
]
