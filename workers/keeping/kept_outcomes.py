"""What reviewers get of every verdict: kept in the data directory, and where hosts share a store,
found by all of them."""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from alerts.evidence import Evidence
from alerts.json_file import read_json
from alerts.pages.history import Release
from alerts.verdict import Verdict
from dfc.canonical import digest_of
from monitor.lineage.history import earlier_verdicts
from monitor.settings import Settings
from workers.errors import StoreError
from workers.job import CheckedVersion, Job
from workers.keeping.shared_store import SharedStore
from workers.verdicts.outcome import (
    FEATURES,
    VERDICT,
    Outcome,
    read_evidence,
    report_directory,
    write_outcome,
)

logger = logging.getLogger(__name__)

EARLIER = 8
"""Versions before a candidate with whose features its own are compared."""
_ORIGIN = ".origin"
"""Names the bundle that the files beside it are the same as."""


def keep_outcome(settings: Settings, outcome: Outcome, history: Sequence[Release] = ()) -> None:
    """Write verdict, evidence, page and message to their place, and share them.

    Raises StoreError when they can't be written here; a shared store that is away is only warned
    of, since the verdict itself is in the database.
    """
    directory = report_directory(settings.data_dir, outcome.verdict)
    write_outcome(directory, outcome, history)
    if settings.store.url is None:
        return
    try:
        kept = SharedStore(settings.store).put(_name(outcome.verdict), directory)
        (directory / _ORIGIN).write_text(kept.id)
    except (StoreError, OSError) as error:
        logger.warning("%s; other hosts have no report of this verdict", error)


def find_outcome(settings: Settings, verdict: Verdict) -> Path:
    """The directory with the files of `verdict`, brought here where another host wrote them."""
    directory = report_directory(settings.data_dir, verdict)
    if settings.store.url is not None:
        try:
            _bring(SharedStore(settings.store), _name(verdict), directory)
        except (StoreError, OSError) as error:
            logger.warning("%s; what this host has of the report is shown", error)
    return directory


def evidence_of(settings: Settings, verdict: Verdict) -> Evidence:
    """What was measured beside `verdict`; with a caveat where what is kept belongs to another try,
    as of a worker that had been given up for dead. Raises OSError or ValueError when it can't be
    read."""
    directory = find_outcome(settings, verdict)
    kept = directory / VERDICT
    if kept.is_file() and read_json(kept, Verdict) != verdict:
        return Evidence(
            caveats=[
                "The evidence that is kept belongs to another try and is not shown; queue the "
                "version again by `latentwatch check`."
            ]
        )
    return read_evidence(directory)


def earlier_versions(
    sessions: sessionmaker[Session], settings: Settings, job: Job
) -> tuple[CheckedVersion, ...]:
    """The last versions that the job's line had before its candidate, and were checked."""
    if job.line is None:
        return ()
    digest = job.candidate.content_digest
    try:
        with sessions() as session:
            verdicts = earlier_verdicts(session, job.line, digest, EARLIER)
    except (SQLAlchemyError, ValueError) as error:  # nothing is decided by them
        logger.warning("features are not compared with those of earlier versions: %s", error)
        return ()
    places = [(name, find_outcome(settings, verdict) / FEATURES) for name, verdict in verdicts]
    return tuple(CheckedVersion(name, path if path.is_file() else None) for name, path in places)


def _bring(shared: SharedStore, name: str, directory: Path) -> None:
    manifest, origin = shared.manifest(name), directory / _ORIGIN
    if manifest is None or (origin.is_file() and origin.read_text() == manifest.id):
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".", dir=directory.parent))
    try:
        shared.fetch(name, manifest, scratch)
        directory.mkdir(exist_ok=True)
        for file in manifest.files:
            (scratch / file.path).replace(directory / file.path)
        origin.write_text(manifest.id)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _name(verdict: Verdict) -> str:
    pair = digest_of([verdict.base.digest, verdict.candidate.digest])
    return f"{pair}/reports/{digest_of([verdict.line, verdict.recipe.digest])}"
