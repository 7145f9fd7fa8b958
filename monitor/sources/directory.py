"""Versions as the immediate subdirectories of a directory."""

import os
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path

from monitor.checkpoints.listing import Listing, is_unfinished, list_directory
from monitor.errors import SourceError
from monitor.sources.source import NOTHING_SEEN, Observation, Seen


class DirectorySource:
    """The subdirectories of `directory` whose names match the glob `include`.

    Hidden and unfinished ones are passed over.
    """

    def __init__(self, directory: Path, include: str = "*") -> None:
        self.directory = directory
        self.include = include

    def scan(self, seen: Seen = NOTHING_SEEN) -> list[Observation]:
        """What lies there now, the oldest first. Raises SourceError when it can't be listed."""
        try:
            entries = list(os.scandir(self.directory))
        except OSError as error:
            raise SourceError(
                f"{self.directory}: can't be listed ({error.strerror}); create the directory, or "
                "correct `directory` of this line in the settings"
            ) from error
        found = [
            _observe(entry, self.directory)
            for entry in entries
            if fnmatchcase(entry.name, self.include)
            and not entry.name.startswith(".")
            and not is_unfinished(entry.name)
            and _may_be_directory(entry)
        ]
        return sorted(found, key=lambda seen: (seen.listing.newest(), seen.name))

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The directory itself."""
        return nullcontext(Path(locator))


def _observe(entry: os.DirEntry[str], root: Path) -> Observation:
    if not entry.name.isprintable():
        # Not even its path may reach a terminal or the database.
        shown = ascii(entry.name)[1:-1]
        problem = "its name holds characters that can't be shown; rename it"
        return Observation(shown, str(root / shown), Listing((), problem))
    path = Path(os.path.realpath(entry.path))
    return Observation(entry.name, str(path), list_directory(path, root))


def _may_be_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: refused by its name, so that the others are looked at
        return True
