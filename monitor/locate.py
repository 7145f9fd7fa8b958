"""Where the files of a version are now, out of all places where it was ever seen."""

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoint import inspect_checkpoint
from monitor.digest_cache import DatabaseDigestCache
from monitor.directory import list_directory
from monitor.errors import CheckpointChangedError, CheckpointRefusedError, SourceError
from monitor.fetching import is_remote, open_place
from monitor.identity import identify
from monitor.schema import Line, Observation, Version


class Located(NamedTuple):
    """Where the files of a version are."""

    path: Path
    """On this machine."""
    locator: str
    """Of the place that has them."""


def find_files(sessions: sessionmaker[Session], version: Version) -> Located:
    """A place that holds the files of `version` now, out of all where it was ever seen.

    Places on this machine come first; others are opened within a `fetching` block. Raises
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
            path = open_place(line_name, locator)
            # Links were judged when it was registered; now the digest decides.
            checkpoint = inspect_checkpoint(path, list_directory(path, root=Path("/")))
            found = identify(checkpoint, DatabaseDigestCache(sessions))
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
