"""Where the files of a version are now, out of all places where it was ever seen."""

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.digest_cache import DatabaseDigestCache
from monitor.checkpoints.identity import identify
from monitor.checkpoints.listing import list_directory
from monitor.database.schema import Line, Observation, Version
from monitor.errors import CheckpointChangedError, CheckpointRefusedError, SourceError
from monitor.pace import Pace, unhurried
from monitor.sources.fetching import is_remote, open_place


class Located(NamedTuple):
    """Where the files of a version are."""

    path: Path
    """On this machine."""
    locator: str
    """Of the place that has them."""


def find_files(
    sessions: sessionmaker[Session], version: Version, pace: Pace = unhurried
) -> Located:
    """A place that holds the files of `version` now, out of all where it was ever seen.

    Places on this machine come first; others are opened within a `fetching` block. Either takes
    as long as reading or fetching every byte, which `pace` follows and may end. Raises
    CheckpointChangedError when no place has them any more, and SourceError when one that may have
    them can't be reached now.
    """
    with sessions() as session:
        line_name = session.get_one(Line, version.line_id).name
        seen = session.scalars(
            select(Observation.locator).filter_by(version_id=version.id).order_by(Observation.id)
        ).all()
    problem = "it was never seen anywhere"
    away: SourceError | None = None
    for locator in sorted(dict.fromkeys(seen), key=is_remote):
        try:
            path = open_place(line_name, locator, pace)
            # Links were judged when it was registered; now the digest decides.
            checkpoint = inspect_checkpoint(path, list_directory(path, root=Path("/")))
            found = identify(checkpoint, DatabaseDigestCache(sessions), pace)
        except CheckpointRefusedError as error:
            problem = f"{locator}: {error}"
            continue
        except SourceError as error:
            away = error
            continue
        if found.content == version.content_digest:
            return Located(path, locator)
        problem = f"{locator}: holds other files now"
    if away is not None:
        raise SourceError(f"{version.name}: its files can't be fetched now: {away}") from away
    raise CheckpointChangedError(
        f"{version.name}: its files are nowhere to be found any more ({problem}); "
        "publish them again"
    )
