"""Versions as the model versions of a registered model in MLflow.

MLflow gives no digests of artifacts, so one that is replaced in place by another of the same size
can't be seen: what was downloaded first is what is compared, for as long as it is kept.
"""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitor.checkpoints.checkpoint import looks_complete
from monitor.checkpoints.listing import Listing
from monitor.errors import CheckpointRefusedError, SourceError
from monitor.settings.sources import MlflowLine, MlflowSettings
from monitor.sources.downloads import DownloadCache, Read, downloaded
from monitor.sources.remote_file import MAX_FILES, RemoteFile, fingerprint, listing_of
from monitor.sources.source import NOTHING_SEEN, Observation, Seen

_LOCATOR = re.compile(r"mlflow:(.+)/(\d+)")
_CHUNK = 1 << 22
_STORES = ("mlflow-artifacts", "s3", "gs", "wasbs", "abfss")
"""Schemes of artifact stores; a file or a page somewhere is none that a publisher may name."""
_CLIENT_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # More patience would keep the other lines waiting; the next look is the next try.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
_PARTS = ("model/", "components/tokenizer/")
"""Where MLflow's own transformers flavour puts the files of a checkpoint."""


class MlflowSource:
    """The versions of `line.model`, called by their numbers, and by their aliases too."""

    def __init__(self, line: MlflowLine, settings: MlflowSettings, cache: DownloadCache) -> None:
        self._line, self._cache = line, cache
        self._uri = settings.server
        self._known: dict[str, Artifacts] = {}

    def scan(self, seen: Seen = NOTHING_SEEN) -> list[Observation]:
        """The versions, the oldest first, each once more under every alias."""
        with self._explained():
            client = _client(self._uri)
            model = client.get_registered_model(self._line.model)
            found = {v.version: self._observation(client, v) for v in self._versions(client)}
        aliases = [
            Observation(
                alias,
                found[version].locator,
                found[version].listing,
                found[version].fingerprint,
                f"MLflow alias {alias}" if alias == self._line.trusted_alias else None,
            )
            for alias, version in sorted(model.aliases.items())
            if version in found
        ]
        return [*sorted(found.values(), key=lambda one: int(one.name)), *aliases]

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The files of a model version, downloaded."""
        match = _LOCATOR.fullmatch(locator)
        if match is None:
            raise SourceError(f"{locator}: is no version in MLflow; the line had another source")
        with self._explained():
            client = _client(self._uri)
            version = client.get_model_version(*match.groups())
            artifacts = Artifacts.of(client, self._uri, version)
        return downloaded(self._cache, locator, artifacts.files, self._reader(artifacts))

    def _versions(self, client: Any) -> Iterator[Any]:
        quote = '"' if "'" in self._line.model else "'"
        token = None
        while True:
            page = client.search_model_versions(
                f"name={quote}{self._line.model}{quote}", page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _observation(self, client: Any, version: Any) -> Observation:
        number, locator = str(version.version), f"mlflow:{version.name}/{version.version}"
        if version.status != "READY":
            problem = f"its status at MLflow is {version.status}, not READY"
            unfinished = version.status == "PENDING_REGISTRATION"
            return Observation(number, locator, Listing((), problem, unfinished=unfinished))
        try:
            with self._explained():
                artifacts = self._artifacts(client, version)
        except CheckpointRefusedError as error:
            return Observation(number, locator, Listing((), str(error)))
        except SourceError as error:  # of this version alone: the registry answers
            problem = f"version {number}: its artifacts can't be listed: {error}"
            return Observation(number, locator, Listing((), problem, unread=True))
        listing = listing_of(artifacts.files, version.creation_timestamp / 1e3)
        return Observation(number, locator, listing, fingerprint(artifacts.files))

    def _artifacts(self, client: Any, version: Any) -> "Artifacts":
        # A model that is deleted and made again gives the same numbers once more.
        key = f"{version.version} {version.creation_timestamp}"
        if key in self._known:
            return self._known[key]
        found = Artifacts.of(client, self._uri, version)
        if looks_complete({file.path for file in found.files}):  # else files may still come
            self._known[key] = found
        return found

    def _reader(self, artifacts: "Artifacts") -> Read:
        def read(file: RemoteFile, offset: int) -> Iterator[bytes]:
            # MLflow's client can't go on within a file, so what stands here of one is not used.
            with self._explained(), self._cache.scratch() as scratch:
                copy = Path(artifacts.download(file, str(scratch)))
                with copy.open("rb") as stream:
                    stream.seek(offset)
                    while chunk := stream.read(_CHUNK):
                        yield chunk

        return read

    @contextmanager
    def _explained(self) -> Iterator[None]:
        if self._uri is None:
            raise SourceError(
                f"MLflow: {self._line.model}: no server is set; set mlflow.tracking_uri"
            )
        try:
            yield
        except (SourceError, CheckpointRefusedError):
            raise
        except ImportError as error:
            raise SourceError(
                f"MLflow: {self._line.model}: {error}; install the extra 'mlflow', and the client "
                "of the store with the artifacts"
            ) from error
        except Exception as error:  # MLflow's own, and those of each store of artifacts
            detail = _without_secrets(str(error)) or type(error).__name__
            raise SourceError(
                f"MLflow: {self._line.model}: {detail[:300]}; check mlflow.tracking_uri, "
                "mlflow.model, and MLFLOW_TRACKING_* in the environment"
            ) from error


class Artifacts:
    """The artifacts of one model version."""

    def __init__(self, repository: Any, places: dict[RemoteFile, str]) -> None:
        self._repository, self._places = repository, places
        self.files = list(places)

    @classmethod
    def of(cls, client: Any, uri: str | None, version: Any) -> "Artifacts":
        """Listed from where MLflow says that they lie. Raises CheckpointRefusedError."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        name, number = version.name, str(version.version)
        place = _underlying(client, client.get_model_version_download_uri(name, number))
        parts = urlsplit(place)
        # Credentials go to the server of the settings, not to one that a publisher names.
        elsewhere = parts.scheme == "mlflow-artifacts" and parts.netloc
        if parts.scheme not in _STORES or elsewhere:
            raise CheckpointRefusedError(
                f"its artifacts lie at {place[:200]!r}; log them to the artifact store of the "
                f"MLflow server ({', '.join(_STORES)})"
            )
        made = f"{name}/{number} {version.creation_timestamp} {place}"
        repository = get_artifact_repository(place, tracking_uri=uri)
        found = list(_walk(repository))
        flavoured = any(path == "MLmodel" for path, _ in found)
        # The tokenizer's own folder sorts first, so the model's one wins where both have a file.
        places = {_shown(path, flavoured): (path, size) for path, size in sorted(found)}
        return cls(
            repository,
            {
                RemoteFile(shown, size, f"tag:mlflow {uri} {made} {path}"): path
                for shown, (path, size) in places.items()
            },
        )

    def download(self, file: RemoteFile, directory: str) -> str:
        """The path of a copy of `file` in `directory`."""
        return str(self._repository.download_artifacts(self._places[file], directory))


def _without_secrets(text: str) -> str:
    """`text` without the credentials of the environment: an HTTP client shows a header that it
    refuses, such as one that a newline at the end of a token has broken."""
    for name in _SECRETS:
        if found := os.environ.get(name, "").strip():
            text = text.replace(found, f"({name})")
    return text


def _client(uri: str | None) -> Any:
    for name, value in _CLIENT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _underlying(client: Any, place: str) -> str:
    """Where the artifacts of a run or a logged model lie; other places as they are."""
    scheme, _, path = place.partition(":/")
    if scheme == "runs":
        run, _, folder = path.strip("/").partition("/")
        return f"{client.get_run(run).info.artifact_uri}/{folder}"
    if scheme == "models" and path.startswith("m-"):
        return str(client.get_logged_model(path.strip("/")).artifact_location)
    return place


def _shown(path: str, flavoured: bool) -> str:
    for part in _PARTS if flavoured else ():
        path = path.removeprefix(part)
    return path


def _walk(repository: Any) -> Iterator[tuple[str, int]]:
    pending, left = [""], MAX_FILES
    while pending:
        folder = pending.pop()
        for entry in repository.list_artifacts(folder or None):
            left -= 1
            if left < 0:
                raise CheckpointRefusedError(f"holds more than {MAX_FILES:,} files")
            if entry.is_dir:
                pending.append(entry.path)
            else:
                yield entry.path, int(entry.file_size or 0)
