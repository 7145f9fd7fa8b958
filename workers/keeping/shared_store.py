"""Directories by name in an object store that several hosts share, through fsspec.

A bundle is there as a whole or not at all: its files are written first, below a name that was never
used before, and then a manifest with their sizes and digests, by which they are read back. What a
write that was cut off has left has no manifest and is never read.
"""

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import fsspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from monitor.settings.store import StoreSettings
from workers.errors import StoreError

MANIFEST = "manifest.json"
_CONTENT = "content-"
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


class DamagedBundleError(StoreError):
    """What lies in the store under a name is not what was written there."""


def _within(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ValueError("leaves the bundle, or is hidden")
    return path


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, AfterValidator(_within)]
    """Relative, with slashes."""
    size: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """What a bundle holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Another one every time the bundle is written."""
    files: list[_File]


class SharedStore:
    """The bundles below `settings.url`. All methods raise StoreError when it can't be used."""

    def __init__(self, settings: StoreSettings) -> None:
        assert settings.url is not None, "only a store with a URL is shared"
        self._url, self._options = settings.url, settings.options

    def check(self) -> None:
        """See that it can be written, listed and read."""
        with self._opened() as (store, root):
            probe = f"{root}/probe-{uuid.uuid4().hex}"
            store.pipe_file(probe, b"latentwatch")
            store.find(probe)
            store.cat_file(probe)
            store.rm_file(probe)

    def names(self, below: str) -> list[str]:
        """The bundles whose names begin with `below` and a slash."""
        with self._opened() as (store, root):
            found = store.find(f"{root}/{below}")
        paths = [path.removeprefix(f"{root}/") for path in found]
        names = [
            path.removesuffix(f"/{MANIFEST}")
            for path in paths
            if path.endswith(f"/{MANIFEST}") and f"/{_CONTENT}" not in path
        ]
        # A bundle is put where its name says: one that leads elsewhere was written by nobody here.
        return [name for name in names if _PATH.fullmatch(name)]

    def manifest(self, name: str) -> Manifest | None:
        """What the bundle holds; None where there is none. Raises DamagedBundleError."""
        with self._opened() as (store, root):
            try:
                text = store.cat_file(f"{root}/{name}/{MANIFEST}")
            except FileNotFoundError:
                return None
        try:
            return Manifest.model_validate_json(text)
        except ValidationError as error:
            raise DamagedBundleError(
                f"{self._url}/{name}: its manifest can't be read ({error.error_count()} errors, "
                f"such as {error.errors()[0]['msg']})"
            ) from error

    def fetch(self, name: str, manifest: Manifest, directory: Path) -> None:
        """Write the files of the bundle into `directory`. Raises DamagedBundleError when one is
        missing or is another than was written."""
        directory.mkdir(exist_ok=True)
        with self._opened() as (store, root):
            for file in manifest.files:
                target = directory / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                source = f"{root}/{name}/{_CONTENT}{manifest.id}/{file.path}"
                try:
                    store.get_file(source, str(target))
                except FileNotFoundError as error:
                    raise DamagedBundleError(
                        f"{self._url}/{name}: {file.path} is missing"
                    ) from error
                if (target.stat().st_size, _sha256(target)) != (file.size, file.sha256):
                    raise DamagedBundleError(
                        f"{self._url}/{name}: {file.path} is damaged (its size or digest differs)"
                    )

    def put(self, name: str, directory: Path) -> Manifest:
        """Write the bundle, in place of an earlier one; hidden files are left out.

        Nothing in `directory` may change meanwhile.
        """
        before = self._known(name)
        paths = sorted(path for path in directory.rglob("*") if path.is_file())
        named = [(path, path.relative_to(directory).as_posix()) for path in paths]
        files = [
            _File(path=relative, size=path.stat().st_size, sha256=_sha256(path))
            for path, relative in named
            if _PATH.fullmatch(relative)
        ]
        written = Manifest(id=uuid.uuid4().hex, files=files)
        with self._opened() as (store, root):
            content = f"{root}/{name}/{_CONTENT}{written.id}"
            try:
                for file in files:
                    store.put_file(str(directory / file.path), f"{content}/{file.path}")
                self._publish(store, f"{root}/{name}/{MANIFEST}", written)
            except Exception:
                with suppress(Exception):  # it is never read in any case
                    store.rm(content, recursive=True)
                raise
            if before is not None:
                with suppress(FileNotFoundError):
                    store.rm(f"{root}/{name}/{_CONTENT}{before.id}", recursive=True)
        return written

    def remove(self, name: str) -> None:
        """Remove the bundle if it is there; its manifest goes first."""
        with self._opened() as (store, root), suppress(FileNotFoundError):
            store.rm_file(f"{root}/{name}/{MANIFEST}")
            store.rm(f"{root}/{name}", recursive=True)

    def _known(self, name: str) -> Manifest | None:
        with suppress(DamagedBundleError):
            return self.manifest(name)
        return None

    def _publish(self, store: Any, path: str, manifest: Manifest) -> None:
        text = manifest.model_dump_json().encode()
        if not self._is_file_system():  # in an object store a write is seen as a whole
            store.pipe_file(path, text)
            return
        scratch = f"{path}.{manifest.id}"
        store.pipe_file(scratch, text)
        store.mv(scratch, path)

    def _is_file_system(self) -> bool:
        return self._url.startswith("file://")

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        making = {"auto_mkdir": True} if self._is_file_system() else {}
        try:
            store, root = fsspec.core.url_to_fs(self._url, **making, **self._options)
            store.invalidate_cache()
            yield store, root.rstrip("/")
        except StoreError:
            raise
        except Exception as error:  # every store has errors of its own
            detail = str(error) or type(error).__name__
            raise StoreError(
                f"{self._url}: can't be used as the store ({detail[:300]}); check store.url, "
                "store.options, and the credentials in the environment"
            ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
