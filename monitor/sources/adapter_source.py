"""Adapters on any source, as the versions that they make of the line's base.

Whatever the source shows as an adapter is merged into the base when it is opened, on every machine
to the same bytes. The base itself is shown as a version too, so that it can be trusted.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from monitor.checkpoints.adapter import Adapter, is_adapter, read_adapter
from monitor.checkpoints.checkpoint import (
    TOKENIZER_CONFIG,
    Checkpoint,
    counts_beside_weights,
    inspect_checkpoint,
    is_template,
)
from monitor.checkpoints.listing import FileStat, Listing, list_directory
from monitor.checkpoints.lora_merge import check_fits, merged
from monitor.checkpoints.strict_json import read_json_object
from monitor.errors import CheckpointRefusedError, SourceError
from monitor.settings.sources import AdaptersOfLine
from monitor.sources.downloads import DownloadCache, downloaded
from monitor.sources.remote_file import RemoteFile
from monitor.sources.source import NOTHING_SEEN, Observation, Place, Seen, Source

BASE = "base"
"""The name under which the base is seen."""
_SCHEME = "lora:"


class AdapterSource:
    """What `source` shows, and the base that its adapters are made for."""

    def __init__(self, source: Source, adapters: AdaptersOfLine, cache: DownloadCache) -> None:
        self._source, self._cache = source, cache
        self._base = adapters.base.resolve()
        self._names = [str(adapters.base), *adapters.names]

    def scan(self, seen: Seen = NOTHING_SEEN) -> list[Observation]:
        """The base, and what lies at the source now."""
        if not self._base.is_dir():
            raise SourceError(
                f"{self._base}: is no directory; correct `adapters.base` of this line"
            )
        listing = list_directory(self._base, root=Path("/"))
        own = {
            place._replace(locator=place.locator.removeprefix(_SCHEME)): fate
            for place, fate in seen.items()
        }
        found = [Observation(BASE, str(self._base), listing, marked=False)]
        return found + [self._shown(one, listing, seen) for one in self._source.scan(own)]

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The files of a push; of an adapter, the base with the adapter merged in."""
        if locator == str(self._base):
            return nullcontext(self._base)
        if not locator.startswith(_SCHEME):
            return self._source.open(locator)
        return self._merged(locator)

    def _shown(self, one: Observation, base: Listing, seen: Seen) -> Observation:
        if one.name == BASE:
            problem = f"{BASE!r} is the name of the base of this line's adapters; rename the push"
            return replace(one, listing=Listing((), problem), endorsed_by=None)
        place = Place(one.name, f"{_SCHEME}{one.locator}")
        # What can't be listed now is what it was.
        was_one = one.listing.unread and place in seen
        if not was_one and not is_adapter({file.path for file in one.listing.files}):
            return one
        listing = one.listing
        if base.unread:
            listing = Listing((), f"adapters.base {self._base}: {base.problem}", unread=True)
        known = repr((one.fingerprint or one.listing.files, base.files, self._names))
        digest = hashlib.sha256(known.encode()).hexdigest()
        return Observation(*place, listing, digest, one.endorsed_by, base=base)

    @contextmanager
    def _merged(self, locator: str) -> Iterator[Path]:
        with ExitStack() as stack:
            own = stack.enter_context(self._source.open(locator.removeprefix(_SCHEME)))
            adapter = read_adapter(own, self._names)
            try:
                base = inspect_checkpoint(self._base, list_directory(self._base, root=Path("/")))
            except CheckpointRefusedError as error:
                raise CheckpointRefusedError(f"adapters.base {self._base}: {error}") from error
            check_fits(adapter, base.weights)
            files = _files(base, own)
            read = partial(_read, base, adapter, files)
            yield stack.enter_context(downloaded(self._cache, locator, files, read))


def _files(base: Checkpoint, own: Path) -> dict[RemoteFile, Path | None]:
    """The files of the merged checkpoint, and where they are copied from; None for merged ones."""
    listing = list_directory(own, root=Path("/"))
    listing.raise_problem()
    beside = {file.path: (file, own / file.path) for file in listing.files}
    weights = {file.name for file in base.weights}
    # Who loads the adapter takes the tokenizer and the template that lie beside it.
    instead = {path: one for path, one in beside.items() if counts_beside_weights(path)}
    copied = {file.path: (file, base.path / file.path) for file in base.files}
    if _brings_template(own, set(instead)):
        # A template file goes before the one in tokenizer_config.json, whoever wrote which.
        copied = {path: one for path, one in copied.items() if not is_template(path)}
    copied |= instead
    found: dict[RemoteFile, Path | None] = {}
    for path, (file, place) in copied.items():
        if path in weights:
            parts = [file, *(one for one, _ in beside.values())]
            found[RemoteFile(path, file.size, _tag(base.path, own, parts))] = None
        else:
            found[RemoteFile(path, file.size, _tag(place, place, [file]))] = place
    return found


def _brings_template(own: Path, names: set[str]) -> bool:
    if any(is_template(name) for name in names):
        return True
    return TOKENIZER_CONFIG in names and bool(
        read_json_object(own / TOKENIZER_CONFIG).get("chat_template")
    )


def _tag(base: Path, own: Path, files: list[FileStat]) -> str:
    return f"tag:lora/1 {base} {own} {sorted(files)}"


def _read(
    base: Checkpoint,
    adapter: Adapter,
    files: dict[RemoteFile, Path | None],
    file: RemoteFile,
    offset: int,
) -> Iterator[bytes]:
    place = files[file]
    if place is None:
        [weights] = [one for one in base.weights if one.name == file.path]
        yield from merged(adapter, base.path, weights, offset)
        return
    with place.open("rb") as stream:
        stream.seek(offset)
        yield stream.read()
