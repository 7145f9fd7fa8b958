"""Versions as the commits of a repository on the Hugging Face Hub.

A commit is there as a whole or not at all and never changes, so it makes an immutable locator.
Branches move; every one of their newest commits that holds a checkpoint is a version, and so is
every one that came since the last look, so that none is lost while the Hub or the watch is away.
A commit that could not be taken in is shown again until it is, whatever came after it.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from monitor.checkpoints.checkpoint import looks_complete
from monitor.checkpoints.listing import Listing
from monitor.errors import GoneError, SourceError
from monitor.settings.sources import HubLine, HubSettings
from monitor.sources.downloads import DownloadCache, downloaded
from monitor.sources.hub_client import Commit, HubClient, Ref
from monitor.sources.hub_history import HubHistory
from monitor.sources.remote_file import RemoteFile, fingerprint, listing_of
from monitor.sources.source import NOTHING_SEEN, Fate, Observation, Place, Seen

_LOCATOR = re.compile(r"hf:([\w.-]+/[\w.-]+)@([0-9a-f]{40})")


class HubSource:
    """The commits on the refs of a repository that `line` names.

    A commit of a branch is called `main@` and twelve digits, a tag by its name.
    """

    def __init__(self, line: HubLine, settings: HubSettings, cache: DownloadCache) -> None:
        self._line, self._settings, self._cache = line, settings, cache
        self._client = HubClient(line.repo, settings)
        self._history = HubHistory(line, self._client)
        self._files: dict[str, list[RemoteFile]] = {}
        self._owed: dict[str, Commit] = {}

    def scan(self, seen: Seen = NOTHING_SEEN) -> list[Observation]:
        """The commits, the oldest first; one request where nothing has moved."""
        refs = [ref for ref in self._client.refs() if self._is_watched(ref.name)]
        if not refs:
            raise SourceError(
                f"Hub: {self._line.repo}: none of its branches and tags matches hub.refs "
                f"({', '.join(self._line.refs)}); correct it in the settings"
            )
        histories = self._history.commits(refs, seen)
        found = [one for ref in refs for one in self._of_ref(ref, histories[ref], seen)]
        found += self._history.gaps(seen)
        found += self._still_owed(seen, {Place(one.name, one.locator) for one in found})
        needed = {commit.sha for history in histories.values() for commit in history}
        self._files = {s: f for s, f in self._files.items() if s in needed | self._owed.keys()}
        return sorted(found, key=lambda one: (one.listing.newest(), one.name))

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The files of a commit, downloaded."""
        match = _LOCATOR.fullmatch(locator)
        if match is None:
            raise SourceError(f"{locator}: is no commit on the Hub; the line had another source")
        repo, sha = match.groups()
        client = self._client if repo == self._line.repo else HubClient(repo, self._settings)
        files = self._files_of(sha) if client is self._client else client.files(sha)
        return downloaded(self._cache, locator, files, partial(client.read, sha))

    def _is_watched(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._line.refs)

    def _files_of(self, sha: str) -> list[RemoteFile]:
        if sha not in self._files:
            self._files[sha] = self._client.files(sha)
        return self._files[sha]

    def _of_ref(self, ref: Ref, history: list[Commit], seen: Seen) -> Iterator[Observation]:
        published_anew = False
        for commit in history:
            name = ref.name if ref.is_tag else f"{ref.name}@{commit.sha[:12]}"
            fate = seen.get(Place(name, self._history.locator(commit)))
            if published_anew and fate in (Fate.REFUSED, Fate.GONE):
                continue  # whoever published it has published something better since
            published_anew = published_anew or fate is Fate.VERSION
            # A push may be split over commits; those before its last one are no versions.
            if commit.sha == ref.commit or self._is_whole(commit):
                yield self._observation(name, commit)

    def _still_owed(self, seen: Seen, shown: set[Place]) -> list[Observation]:
        """Commits of earlier looks that are to be taken in, wherever the branches are now."""
        before, self._owed = self._owed, {}
        found = []
        for place, fate in seen.items():
            match = _LOCATOR.fullmatch(place.locator)
            if fate is not Fate.PENDING or place in shown or match is None:
                continue
            repo, sha = match.groups()
            if repo != self._line.repo:
                continue
            try:
                commit = before.get(sha) or next(self._client.commits(sha, 1), None)
                if commit is not None and self._is_whole(commit):
                    self._owed[sha] = commit
                    found.append(self._observation(place.name, commit))
            except GoneError:
                continue
        return found

    def _is_whole(self, commit: Commit) -> bool:
        return looks_complete({file.path for file in self._files_of(commit.sha)})

    def _observation(self, name: str, commit: Commit) -> Observation:
        files = self._files_of(commit.sha)
        listing = listing_of(files, commit.date)
        if not name.isprintable():
            problem = "its name holds characters that can't be shown; rename it"
            name, listing = ascii(name)[1:-1], Listing((), problem)
        return Observation(name, self._history.locator(commit), listing, fingerprint(files))
