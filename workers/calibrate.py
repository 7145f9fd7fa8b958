"""The nulls of a line's trusted version, measured and kept: what `latentwatch calibrate` does."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from alerts.deciding.calibration import Calibration
from monitor.database.opening import open_database
from monitor.database.schema import Version
from monitor.errors import CheckpointRefusedError
from monitor.lineage.calibrations import accepted_releases, keep
from monitor.on_demand.trusted_version import version_to_calibrate
from monitor.settings import Settings
from monitor.sources.locate import Located, find_files
from workers.diff import open_context
from workers.job import Job, Side
from workers.keeping.store import LocalStore
from workers.keeping.store_copies import in_use, subjects_of
from workers.nulls import Release, nulls_of, numeric_pairs, release_pairs
from workers.progress import DiffProgress
from workers.recipe import recipe_digest


def calibrate_line(
    line: str,
    version: str | None,
    copies: int,
    settings: Settings,
    progress: Callable[[], AbstractContextManager[DiffProgress]],
    clock: Callable[[], float] = time.time,
) -> Calibration:
    """Calibrate the trusted version `version` of `line`, by default the newest, and keep that.

    Scores that were measured before, also by a run that was killed, are not measured again. Raises
    a LatentwatchError, and keeps no calibration, where one can't be made.
    """
    sessions = open_database(settings.database_url)
    base = version_to_calibrate(sessions, settings, line, version, clock())
    side = _side(find_files(sessions, base), base)
    with sessions() as session:
        accepted, unreadable = accepted_releases(session, line)
    releases = [
        Release(
            f"{one.candidate.name} after {one.base.name}",
            Job(line, _known(sessions, one.base), _known(sessions, one.candidate)),
            one.quiet,
        )
        for one in accepted
    ]
    calibration = measure_nulls(
        Job(line, side, side), releases, unreadable, copies, settings, progress, clock
    )
    with sessions.begin() as session:
        keep(session, base, calibration)
    return calibration


def measure_nulls(
    unchanged: Job,
    releases: Sequence[Release],
    left_out: Sequence[str],
    copies: int,
    settings: Settings,
    progress: Callable[[], AbstractContextManager[DiffProgress]],
    clock: Callable[[], float] = time.time,
) -> Calibration:
    """The calibration of the version that both sides of `unchanged` are, by `copies` noisy copies
    of it and by `releases`; `left_out` says which others could not be counted. Kept nowhere."""
    jobs = [unchanged, *(release.job for release in releases)]
    subjects = [one for job in jobs for one in subjects_of(job)]
    # Else a comparison that ends could make room by what is being read.
    with in_use(settings.store_dir, subjects), progress() as shown:
        store = LocalStore(settings.store_dir)
        context = open_context(unchanged, settings, store, shown)
        pairs = numeric_pairs(context, copies)
        history, not_scored = release_pairs(context, releases)
    inputs = context.inputs
    return Calibration(
        schema="latentwatch.calibration/1",
        line=str(unchanged.line),
        base=unchanged.base.for_verdict(),
        recipe=recipe_digest(inputs.recipe),
        created_at=clock(),
        alpha=inputs.policy.alpha,
        scores=nulls_of(inputs.behaviour_suites, [*pairs, *history], inputs.policy),
        left_out=[*not_scored, *left_out],
    )


def _side(found: Located, version: Version) -> Side:
    return Side(version.content_digest, version.weights_digest, found.path, found.locator)


def _known(sessions: sessionmaker[Session], version: Version) -> Side:
    """`version` where it lies, or lay: its scores may be known without its files."""
    try:
        found = find_files(sessions, version)
    except CheckpointRefusedError:
        found = Located(Path(version.locator), version.locator)
    return _side(found, version)
