"""All tables of the database, to be taken from here; their history is in `monitor/migrations`."""

from monitor.alert_tables import AlertMessage, AlertRow, Question, QuestionState
from monitor.job_tables import Diff, DiffState, HostClock, Lease, Outgoing, WorkerRow
from monitor.mapped import Base, Claimable
from monitor.record_tables import Audit, FileDigest, StoredCalibration
from monitor.version_tables import UNCHECKED, Line, Observation, Trust, Version

__all__ = [
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
