"""Files of remote pushes on local disk: by digest, resumed, checked, and within a size limit.

A file lies once under `blobs`, whatever pushes hold it; a push is a directory of relative links
under `pushes`, which only ever grows and is never changed. Only files that count for a checkpoint
are fetched. What a process has open is locked and not dropped, until the process ends or dies.
"""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from dfc.durable import flush
from monitor.checkpoints.adapter import ADAPTER_WEIGHTS, is_adapter
from monitor.checkpoints.checkpoint import read_description
from monitor.checkpoints.weights import named_shards
from monitor.errors import SourceError
from monitor.file_lock import open_lock, take_alone
from monitor.pace import FETCHED, QUEUEING, Pace, unhurried
from monitor.sources.download_room import PART, DownloadRoom, in_use, lock_file
from monitor.sources.remote_file import RemoteFile, blob_name, fingerprint, new_hash, wanted

_CHUNK = 1 << 22
_LOOK_SECONDS = 0.2

Read = Callable[[RemoteFile, int], Iterable[bytes]]
"""Yields the bytes of a file from an offset on; may end early, or raise OSError or SourceError."""


Tell = Callable[[int], None]
"""Gets how many bytes of a file are here."""


class DownloadCache:
    """Downloads below `directory`, of `max_bytes` in all; one process at a time fetches.

    `pace` follows them, and ends one by raising: what has arrived stays for the next.
    """

    def __init__(self, directory: Path, max_bytes: int, pace: Pace = unhurried) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._pace = pace
        self._room = DownloadRoom(directory, max_bytes)

    @contextmanager
    def fetched(self, place: str, files: Iterable[RemoteFile], read: Read) -> Iterator[Path]:
        """A directory with those of `files` that count for a checkpoint, until the block ends.

        `place` names the push: the same name always comes with the same files, or with some of
        them. Only what is not here yet is read. Raises CheckpointRefusedError for unsafe names and
        pushes above the limit, SourceError when a file does not arrive whole; what has arrived
        stays for the next call.
        """
        needed = wanted(files)
        push = self._room.pushes / hashlib.sha256(place.encode()).hexdigest()
        with ExitStack() as stack:
            with self._locked():
                stack.enter_context(in_use(push))
                self._room.make(push, needed)
                before, total = 0, sum(file.size for file in needed)
                for file in needed:
                    if not self._is_here(file):
                        self._download(file, read, partial(self._tell, before, total))
                    before += file.size
                    _link(push / file.path, self._room.blobs / blob_name(file))
                os.utime(push)
            yield push

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory for what a reader has to keep for a moment; of one that died it is dropped
        when room is made."""
        self._room.scratch.mkdir(exist_ok=True)
        mine = self._room.scratch / secrets.token_hex(8)
        with in_use(mine):
            try:
                yield mine
            finally:
                shutil.rmtree(mine, ignore_errors=True)
        lock_file(mine).unlink(missing_ok=True)

    def _tell(self, before: int, total: int, arrived: int) -> None:
        self._pace(FETCHED, before + arrived, total)

    def _is_here(self, file: RemoteFile) -> bool:
        """Whether the file lies here whole; one that a power cut or a full disk spoiled is dropped.

        Large files are known by their size: their digests are taken when they are compared.
        """
        blob = self._room.blobs / blob_name(file)
        if not blob.exists():
            return False
        whole = blob.stat().st_size == file.size
        if whole and (file.size > _CHUNK or _has_its_digest(blob, file)):
            return True
        blob.unlink()
        return False

    def _download(self, file: RemoteFile, read: Read, tell: Tell) -> None:
        part = self._room.blobs / f"{blob_name(file)}{PART}"
        with part.open("ab") as stream:
            tell(stream.tell())
            try:
                # Ask again for as long as that gives more bytes: servers cut long answers.
                while (before := stream.tell()) < file.size:
                    for chunk in read(file, before):
                        stream.write(chunk)
                        stream.flush()  # what is there when this process is killed counts
                        tell(stream.tell())
                        if stream.tell() > file.size:
                            break
                    if stream.tell() == before:
                        break
            except (OSError, SourceError) as error:
                arrived = stream.tell()
                if arrived >= file.size:
                    part.unlink()  # the reader found out at its end that it read something else
                raise SourceError(
                    f"{file.path}: download stopped at {arrived:,} of {file.size:,} bytes "
                    f"({error}); the next look goes on from there"
                ) from error
        arrived = part.stat().st_size
        if arrived < file.size:
            raise SourceError(
                f"{file.path}: download stopped at {arrived:,} of {file.size:,} bytes; the next "
                "look goes on from there"
            )
        if arrived > file.size or not _has_its_digest(part, file, tell):
            part.unlink()
            raise SourceError(
                f"{file.path}: what was downloaded is not what the store lists (size or digest "
                "differs); it was thrown away, and the next look begins anew"
            )
        flush(part)  # else a power cut may leave the name without the bytes
        part.rename(self._room.blobs / blob_name(file))
        flush(self._room.blobs)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._room.blobs.mkdir(parents=True, exist_ok=True)
            self._room.pushes.mkdir(exist_ok=True)
            lock = open_lock(self.directory / "lock")
        except OSError as error:
            raise SourceError(f"{self.directory}: can't be used for downloads: {error}") from error
        with lock:
            while not take_alone(lock):
                self._pace(QUEUEING, 0, 0)
                time.sleep(_LOOK_SECONDS)
            try:
                yield
            except OSError as error:
                raise SourceError(f"{self.directory}: can't be written: {error}") from error


@contextmanager
def downloaded(
    cache: DownloadCache, locator: str, files: Iterable[RemoteFile], read: Read
) -> Iterator[Path]:
    """The directory with those of `files` that count, until the block ends.

    What its small files show to be refused is refused before the weights are fetched. Raises
    SourceError, CheckpointRefusedError.
    """
    files = list(files)
    place = f"{locator}\n{fingerprint(files)}"
    small = [file for file in files if not file.path.endswith(".safetensors")]
    with cache.fetched(place, small, read) as path:
        names = {file.path for file in files}
        shards = [ADAPTER_WEIGHTS]
        if not is_adapter(names):
            read_description(path, names)
            _, shards = named_shards(path, names)
        counted = [file for file in files if file in small or file.path in shards]
        with cache.fetched(place, counted, read):
            yield path


def _link(link: Path, blob: Path) -> None:
    target = os.path.relpath(blob, link.parent)
    if link.is_symlink() and os.readlink(link) == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def _has_its_digest(path: Path, file: RemoteFile, tell: Tell = lambda _: None) -> bool:
    check = new_hash(file)
    if check is None:
        return True
    found, expected = check
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
            tell(file.size)
    return bool(found.hexdigest() == expected)
