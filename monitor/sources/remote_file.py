"""The files of a push in a store, as the store describes them before any is read."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from monitor.checkpoints.checkpoint import may_count
from monitor.checkpoints.listing import FileStat, Listing
from monitor.errors import CheckpointRefusedError, SourceError

MAX_FILES = 100_000
_LENGTHS = {"sha256": 64, "git": 40}


class RemoteFile(NamedTuple):
    """One file of a push."""

    path: str
    """Relative to the push, with slashes."""
    size: int
    """In bytes."""
    digest: str
    """`sha256:HEX`, `git:HEX` (git's name of a blob), or `tag:TEXT`, which only says that the
    bytes are others when it changes and therefore has to name the place too."""


def listing_of(files: Sequence[RemoteFile], modified: float) -> Listing:
    """The listing by which a push is judged complete and safely named, before it is fetched.

    `modified` is when it was published, in seconds since the epoch.
    """
    if len(files) > MAX_FILES:
        return Listing((), f"holds more than {MAX_FILES:,} files")
    for file in files:
        if not file.path.isprintable():
            return Listing((), f"file {file.path[:80]!a}: its name can't be shown; rename it")
    stats = (FileStat(file.path, file.size, int(modified * 1e9), 0, 0) for file in files)
    return Listing(tuple(sorted(stats)))


def fingerprint(files: Iterable[RemoteFile]) -> str:
    """SHA-256 (hex) over what the store says about the files that can count for a checkpoint."""
    counted = sorted(file for file in files if may_count(file.path))
    return hashlib.sha256(repr([tuple(file) for file in counted]).encode()).hexdigest()


def wanted(files: Iterable[RemoteFile]) -> list[RemoteFile]:
    """Those of `files` that can count for a checkpoint, the smallest first.

    Raises CheckpointRefusedError for a name that leaves the push, SourceError for a digest or size
    that is none.
    """
    chosen = [file for file in files if _counts(file)]
    return sorted(chosen, key=lambda file: (file.size, file.path))


def blob_name(file: RemoteFile) -> str:
    """64 hexadecimal digits: the SHA-256 of its content, or of whatever else identifies it."""
    kind, _, value = file.digest.partition(":")
    if kind == "sha256":
        return value
    return hashlib.sha256(f"{file.digest}\0{file.size}".encode()).hexdigest()


def new_hash(file: RemoteFile) -> tuple[Any, str] | None:
    """What its bytes have to be fed to, and the digest (hex) that has to come out.

    None where the store gave no digest of the content.
    """
    kind, _, value = file.digest.partition(":")
    if kind == "sha256":
        return hashlib.sha256(), value
    if kind == "git":
        return hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False), value
    return None


def _counts(file: RemoteFile) -> bool:
    path = PurePosixPath(file.path)
    plain = file.path == str(path) and "\\" not in file.path and file.path.isprintable()
    if not plain or path.is_absolute() or ".." in path.parts:
        raise CheckpointRefusedError(
            f"file {file.path[:80]!a}: its name leaves the push; rename it"
        )
    if not may_count(file.path):
        return False
    kind, _, value = file.digest.partition(":")
    length = _LENGTHS.get(kind)
    is_hex = len(value) == length and not set(value) - set("0123456789abcdef")
    if not (is_hex or kind == "tag") or file.size < 0:
        raise SourceError(f"{file.path}: the store lists no usable digest and size for it")
    return True
