"""The identity of a checkpoint: digests of its files, of its tensors and of its tokenization.

The content digest is the identity. The weights digest is the same however the tensors are spread
over files, and tells a change of weights from a change of template, tokenizer or configuration.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dfc.canonical import digest_of
from monitor.checkpoints.checkpoint import Checkpoint, inspect_checkpoint
from monitor.checkpoints.listing import FileStat, list_directory
from monitor.checkpoints.safetensors_header import Header
from monitor.checkpoints.unreadable import unreadable
from monitor.errors import CheckpointChangedError, CheckpointRefusedError
from monitor.pace import DIGESTED, Pace, unhurried

_CHUNK = 1 << 22
_TOKENIZATION = ("model", "added_tokens", "normalizer", "pre_tokenizer", "decoder")
"""Parts of tokenizer.json that decide which ids a text gets."""


class TensorDigest(NamedTuple):
    """One tensor, identified by its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str


class FileDigests(NamedTuple):
    """What was found in one file; no tensors where it isn't one of the weights."""

    sha256: str
    tensors: tuple[TensorDigest, ...] = ()


class DigestCache(Protocol):
    """Remembers the digests of a file for as long as its size, times and inode stay the same."""

    def get(self, path: Path, stat: FileStat) -> FileDigests | None: ...

    def put(self, path: Path, stat: FileStat, digests: FileDigests) -> None: ...


class Identity(NamedTuple):
    """SHA-256 digests in hexadecimal."""

    content: str
    """Over path, size and bytes of every file that counts."""
    weights: str
    """Over name, type, shape and bytes of every tensor."""
    tokenizer: str
    """Over what decides which ids a text gets."""


def identify(
    checkpoint: Checkpoint, cache: DigestCache | None = None, pace: Pace = unhurried
) -> Identity:
    """The identity of `checkpoint`, read from its files at `pace`, or from `cache`.

    Raises CheckpointRefusedError when its files change while they are read, and SourceError where
    they can't be read now.
    """
    headers = {file.name: file.header for file in checkpoint.weights}
    manifest: list[dict[str, Any]] = []
    tensors: list[TensorDigest] = []
    before, total = 0, sum(stat.size for stat in checkpoint.files)
    for stat in checkpoint.files:
        path = (checkpoint.path / stat.path).resolve()
        digests = cache.get(path, stat) if cache else None
        if digests is None:
            tell = partial(_told, pace, before, total)
            digests = digest_file(path, headers.get(stat.path), tell)
            if cache:
                cache.put(path, stat, digests)
        manifest.append({"path": stat.path, "size": stat.size, "sha256": digests.sha256})
        tensors.extend(digests.tensors)
        before += stat.size
    # Links were judged when the listing was made; here only a change matters.
    now = list_directory(checkpoint.path, root=Path("/"))
    if now.unread:
        now.raise_problem()
    if now.files != checkpoint.listing.files:
        raise CheckpointRefusedError("still being written: its files changed while they were read")
    return Identity(
        content=digest_of(manifest),
        weights=digest_of(sorted(tensors)),
        tokenizer=digest_of(_tokenization(checkpoint.tokenizer)),
    )


def digest_file(
    path: Path, header: Header | None = None, tell: Callable[[int], None] = lambda read: None
) -> FileDigests:
    """The digests of the file at `path` in one pass; of its tensors too when `header` is given.

    `tell` gets how many bytes have been read, again and again.
    """
    whole = hashlib.sha256()
    tensors = []
    try:
        with path.open("rb") as stream:
            for tensor in header.tensors if header else ():
                _feed(stream.read(tensor.begin - stream.tell()), whole)
                one = hashlib.sha256()
                while stream.tell() < tensor.end:
                    chunk = stream.read(min(_CHUNK, tensor.end - stream.tell()))
                    if not chunk:
                        raise CheckpointRefusedError(f"{path.name}: shrank while it was read")
                    _feed(chunk, whole, one)
                    tell(stream.tell())
                tensors.append(
                    TensorDigest(tensor.name, tensor.dtype, tensor.shape, one.hexdigest())
                )
            while chunk := stream.read(_CHUNK):
                _feed(chunk, whole)
                tell(stream.tell())
    except OSError as error:
        raise unreadable(path, error) from error
    return FileDigests(whole.hexdigest(), tuple(tensors))


def verify_unchanged(path: Path, content_digest: str) -> None:
    """Raise CheckpointChangedError unless the files at `path` still have `content_digest`.

    Reads every byte again and trusts no cache: for after the files were loaded.
    """
    try:
        found = identify(inspect_checkpoint(path, list_directory(path, root=Path("/")))).content
    except CheckpointRefusedError as error:
        raise CheckpointChangedError(
            f"{path}: changed since its digest was taken: {error}"
        ) from error
    if found != content_digest:
        raise CheckpointChangedError(
            f"{path}: changed since its digest was taken (then {content_digest[:12]}, "
            f"now {found[:12]}); publish the change under a new name"
        )


def _tokenization(tokenizer: dict[str, Any]) -> dict[str, Any]:
    parts = {part: tokenizer.get(part) for part in _TOKENIZATION}
    model = parts["model"]
    if isinstance(model, dict) and isinstance(model.get("merges"), list):
        # Older writers join the two halves of a merge by a space.
        merges = [
            merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]
        ]
        parts["model"] = {**model, "merges": merges}
    return parts


def _told(pace: Pace, before: int, total: int, read: int) -> None:
    pace(DIGESTED, before + read, total)


def _feed(chunk: bytes, *hashes: Any) -> None:
    for one in hashes:
        one.update(chunk)
