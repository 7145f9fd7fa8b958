"""The files of a push as they lie in a directory. Lists and links only; opens no file."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from monitor.checkpoints.unreadable import is_of_the_push
from monitor.errors import CheckpointRefusedError, SourceError

UNFINISHED = ("tmp-*", "*.tmp", "*-unfinished", "*.incomplete")
"""Names that writers give to what isn't complete."""
MAX_ENTRIES = 100_000


class FileStat(NamedTuple):
    """One file of a push, as the file system describes it."""

    path: str
    """Relative to the push, with slashes."""
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class Listing:
    """All files of a push, sorted by path."""

    files: tuple[FileStat, ...]
    problem: str | None = None
    """Why this push can't be read whatever else it holds; the files may be incomplete then."""
    unread: bool = False
    """The problem says nothing about the push: it could not be listed now, and a later look may."""
    unfinished: bool = False
    """The problem is that its publisher is not done with it, by what the place itself says."""

    def raise_problem(self) -> None:
        """Raise what the problem is, if there is one: CheckpointRefusedError, or SourceError where
        the push could not be listed now."""
        if self.problem is not None:
            raise (SourceError if self.unread else CheckpointRefusedError)(self.problem)

    def newest(self) -> float:
        """When the newest file was modified, in seconds since the epoch; 0 without files."""
        return max((file.mtime_ns for file in self.files), default=0) / 1e9

    def changed(self) -> float:
        """When any file last changed in any way: a copy may keep the times of what it is made of,
        the time of its change it can't keep."""
        return max((max(file.mtime_ns, file.ctime_ns) for file in self.files), default=0) / 1e9


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
