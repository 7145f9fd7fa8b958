"""What a host has of the shared store: whose results they are, in use or not, and a bound on all.

Results belong to a subject, the digest of a checkpoint or of a pair of them. A subject that is in
use is locked until its process ends or dies; of the others those used longest ago make room.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from monitor.file_lock import open_lock, shared, take_alone
from workers.errors import StoreError
from workers.job import Job
from workers.keeping.store import LocalStore

_OF_SUBJECT = ("artifacts/diffs/{}", "artifacts/shared/*/{}", "work/diffs/{}", "origins/diffs/{}")
_LOCKS = "subjects"


def subjects_of(job: Job) -> tuple[str, str, str]:
    """Whose results are those of `job`."""
    return job.pair_digest, job.base.content_digest, job.candidate.content_digest


@contextmanager
def in_use(root: Path, subjects: Sequence[str]) -> Iterator[None]:
    """Keep what the store at `root` has of `subjects` until the block ends."""
    (root / _LOCKS).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for subject in sorted(set(subjects)):
            lock = stack.enter_context(shared(_lock_file(root, subject)))
            os.utime(lock.fileno())
        yield


def make_room(root: Path, most_bytes: int) -> None:
    """Drop what nobody uses from the store at `root` until it takes `most_bytes` or less."""
    (root / _LOCKS).mkdir(parents=True, exist_ok=True)
    left, store = size_of(root), LocalStore(root)
    for subject in sorted(_subjects(root), key=lambda one: _used_at(root, one)):
        if left <= most_bytes:
            return
        with open_lock(_lock_file(root, subject)) as lock:
            if not take_alone(lock):
                continue
            for place in _places(root, subject):
                left -= size_of(place)
                _drop(store, place)


def _drop(store: LocalStore, place: Path) -> None:
    """Remove a directory as a whole: what is left of one whose removal was cut off would be taken
    for a result."""
    try:
        with store.scratch() as scratch:
            place.rename(scratch / place.name)
    except FileNotFoundError:
        return
    except (OSError, StoreError):  # no room for a directory more, or another disk
        shutil.rmtree(place, ignore_errors=True)


def size_of(root: Path) -> int:
    """Bytes of all files below `root`."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def artifacts_of(root: Path, subject: str) -> list[Path]:
    """The artifacts of `subject`, which are directories."""
    found = [*root.glob(f"artifacts/diffs/{subject}/*/*")]
    found += root.glob(f"artifacts/shared/*/{subject}/*")
    return sorted(path for path in found if path.is_dir())


def work_of(root: Path, subject: str) -> list[Path]:
    """The directories with what `subject` has not completed."""
    return sorted(path for path in root.glob(f"work/diffs/{subject}/*/*") if path.is_dir())


def _subjects(root: Path) -> set[str]:
    places = [place for pattern in _OF_SUBJECT for place in root.glob(pattern.format("*"))]
    return {place.name for place in places}


def _places(root: Path, subject: str) -> list[Path]:
    return [place for pattern in _OF_SUBJECT for place in root.glob(pattern.format(subject))]


def _used_at(root: Path, subject: str) -> float:
    lock = _lock_file(root, subject)
    known = [lock] if lock.exists() else _places(root, subject)
    return max((path.stat().st_mtime for path in known), default=0.0)


def _lock_file(root: Path, subject: str) -> Path:
    return root / _LOCKS / f"{subject}.lock"
