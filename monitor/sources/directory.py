"""Versions as the immediate subdirectories of a directory. Lists and links only; opens no file."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path

from monitor.checkpoints.unreadable import is_of_the_push
from monitor.errors import SourceError
from monitor.sources.source import NOTHING_SEEN, FileStat, Listing, Observation, Seen

UNFINISHED = ("tmp-*", "*.tmp", "*-unfinished", "*.incomplete")
"""Names that writers give to what isn't complete."""
MAX_ENTRIES = 100_000


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


def is_unfinished(name: str) -> bool:
    """Whether a file or directory of this name is still being written by its writer's own word."""
    return any(fnmatchcase(name, pattern) for pattern in UNFINISHED)


def list_directory(path: Path, root: Path | None = None) -> Listing:
    """All files below `path`. Symbolic links may only lead to files below `root`.

    Without `root` that is `path` itself, or the repository folder when `path` is a snapshot in
    a Hugging Face cache, whose files are links into that folder.
    """
    try:
        path = path.resolve(strict=True)
        root = _own_root(path) if root is None else root.resolve()
        files = sorted(_walk(path, root))
    except _UnusableError as error:
        return Listing((), str(error))
    except FileNotFoundError:
        return Listing((), "is not there, or files disappear while they are listed")
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        unread = isinstance(error, OSError) and not is_of_the_push(error)
        return Listing((), f"can't be listed: {error}", unread)
    return Listing(tuple(files))


class _UnusableError(Exception):
    pass


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


def _own_root(path: Path) -> Path:
    repository = path.parent.parent
    cached = path.parent.name == "snapshots" and repository.name.startswith("models--")
    return repository if cached else path


def _walk(path: Path, root: Path) -> Iterator[FileStat]:
    if not path.is_relative_to(root):
        raise _UnusableError("is a symbolic link that leaves the watched directory; copy it here")
    pending, left = [""], MAX_ENTRIES
    while pending:
        folder = pending.pop()
        with os.scandir(path / folder) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    raise _UnusableError(f"holds more than {MAX_ENTRIES:,} files and directories")
                name = f"{folder}{entry.name}"
                if not entry.name.isprintable():
                    raise _UnusableError(f"file {name!a}: its name can't be shown; rename it")
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                    continue
                if entry.is_symlink():
                    _check_link(path / name, name, root)
                yield _file(name, entry.stat())


def _file(name: str, status: os.stat_result) -> FileStat:
    if not stat.S_ISREG(status.st_mode):
        raise _UnusableError(f"{name!r} is neither a file nor a directory; remove it")
    if not 0 <= status.st_mtime_ns < 2**63:
        raise _UnusableError(
            f"{name!r} was modified at a time that can't be recorded; correct it with `touch`"
        )
    return FileStat(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _check_link(link: Path, name: str, root: Path) -> None:
    target = link.resolve()
    if not target.is_relative_to(root):
        raise _UnusableError(
            f"{name!r} is a symbolic link that leaves {root}; put a copy of the file in its place"
        )
    if target.is_dir():
        raise _UnusableError(f"{name!r} is a symbolic link to a directory; replace it by a copy")
