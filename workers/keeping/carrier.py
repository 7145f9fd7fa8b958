"""Carries the results of a diff between this host and the store that all hosts share.

The process that compares has no network and knows a directory alone; so whoever supervises it
brings there what the shared store has of the two checkpoints before it begins, and takes away what
is new while it runs and when it has ended. Nothing is decided by this: what can't be carried is
computed again, so a store that is away costs work and never a verdict.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from monitor.errors import LeaseLostError
from monitor.settings import Settings
from workers.errors import StoreError
from workers.job import Job
from workers.keeping.shared_store import DamagedBundleError, SharedStore
from workers.keeping.store import LocalStore
from workers.keeping.store_copies import artifacts_of, in_use, make_room, subjects_of, work_of

logger = logging.getLogger(__name__)

Fingerprint = tuple[tuple[str, int, int, int], ...]


@contextmanager
def carried(
    settings: Settings, job: Job, raise_if_ended: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """While the block runs, `job` is compared with what all hosts have; then they have its results.

    Where no store is shared this host's results are kept as long as there is room, and nothing is
    carried. `raise_if_ended` is called between two bundles that are brought, and may raise. After a
    LeaseLostError nothing more is carried: another host works on the diff now.
    """
    subjects = subjects_of(job)
    with in_use(settings.store_dir, subjects):
        if settings.store.url is None:
            yield
        else:
            carrier = _Carrier(settings.store_dir, SharedStore(settings.store), subjects)
            with _carrying(carrier, settings, raise_if_ended):
                yield
    make_room(settings.store_dir, settings.store.copies_bytes)


@contextmanager
def _carrying(
    carrier: "_Carrier", settings: Settings, raise_if_ended: Callable[[], None]
) -> Iterator[None]:
    carrier.bring(raise_if_ended)
    make_room(settings.store_dir, settings.store.copies_bytes)
    try:
        with _regularly(carrier.take_away, settings.store.save_seconds):
            yield
    except LeaseLostError:
        raise
    except BaseException:
        carrier.take_away()
        raise
    carrier.take_away()


class _Carrier:
    """The names of bundles are those of directories in the local store, after their subject."""

    def __init__(self, root: Path, shared: SharedStore, subjects: tuple[str, ...]) -> None:
        self._root, self._shared, self._subjects = root, shared, subjects
        self._local = LocalStore(root)
        self._there: set[str] = set()
        """Names of artifacts that the shared store has."""
        self._saved: dict[str, Fingerprint | None] = {}
        """By the name of work that the shared store has: the files of it, as they were here; None
        where they could not be brought."""

    def bring(self, raise_if_ended: Callable[[], None]) -> None:
        for subject in self._subjects:
            with _warned():
                for name in self._shared.names(subject):
                    raise_if_ended()
                    kind, _, key = name.removeprefix(f"{subject}/").partition("/")
                    if kind == "artifacts":
                        self._bring_artifact(name, key)
                    elif kind == "work":
                        self._bring_work(name, key)

    def take_away(self) -> None:
        with _warned():
            for subject in self._subjects:
                for place in artifacts_of(self._root, subject):
                    name = self._name(subject, place)
                    if name not in self._there:
                        self._shared.put(name, place)
                        self._there.add(name)
            for place in work_of(self._root, self._subjects[0]):
                self._save_work(self._name(self._subjects[0], place), place)
            for name in [name for name in self._saved if not self._place(name).exists()]:
                self._shared.remove(name)
                del self._saved[name]

    def _bring_artifact(self, name: str, key: str) -> None:
        with _warned(DamagedBundleError):
            if self._local.get(key) is None:
                manifest = self._shared.manifest(name)
                if manifest is None:
                    return
                with self._local.put(key) as directory:
                    self._shared.fetch(name, manifest, directory)
            self._there.add(name)

    def _bring_work(self, name: str, key: str) -> None:
        place, origin = self._place(name), self._origin(name)
        brought: Fingerprint | None = None
        with _warned(DamagedBundleError):
            manifest = self._shared.manifest(name)
            if manifest is None:
                return
            # What this host saved last, or had from there, it may have gone on with since.
            if not (place.is_dir() and _text(origin) == manifest.id):
                with self._local.scratch() as scratch:
                    self._shared.fetch(name, manifest, scratch / "work")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with suppress(FileNotFoundError):
                        place.rename(scratch / "before")
                    (scratch / "work").rename(place)
                _note(origin, manifest.id)
                brought = _fingerprint(place)
        self._saved[name] = brought

    def _save_work(self, name: str, place: Path) -> None:
        before = _fingerprint(place)
        if not before or self._saved.get(name) == before:
            return
        with self._local.scratch() as scratch:
            try:
                shutil.copytree(place, scratch / "work")
            except OSError:
                if _fingerprint(place) == before:
                    raise
            if _fingerprint(place) != before:  # it is being written; next time
                return
            manifest = self._shared.put(name, scratch / "work")
        _note(self._origin(name), manifest.id)
        self._saved[name] = before

    def _name(self, subject: str, place: Path) -> str:
        return f"{subject}/{place.relative_to(self._root).as_posix()}"

    def _place(self, name: str) -> Path:
        return self._root / name.partition("/")[2]

    def _origin(self, name: str) -> Path:
        """Which of the bundles called `name` the work here was last the same as."""
        return self._root / "origins" / name.partition("/")[2].partition("/")[2]


@contextmanager
def _regularly(act: Callable[[], None], seconds: float) -> Iterator[None]:
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(seconds):
            act()

    thread = threading.Thread(target=run, name="carrier", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@contextmanager
def _warned(
    kinds: type[Exception] | tuple[type[Exception], ...] = (StoreError, OSError),
) -> Iterator[None]:
    """Errors of these kinds cost work, which is said, and nothing else."""
    try:
        yield
    except kinds as error:
        logger.warning("%s; what is missing is computed again", error)


def _fingerprint(place: Path) -> Fingerprint:
    """What changes when any file below `place` is written; empty where there is none."""
    found = []
    with suppress(FileNotFoundError):
        for path in sorted(place.rglob("*")):
            if path.is_file():
                stat = path.stat()
                relative = path.relative_to(place).as_posix()
                found.append((relative, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(found)


def _note(origin: Path, id_: str) -> None:
    origin.parent.mkdir(parents=True, exist_ok=True)
    origin.write_text(id_)


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
