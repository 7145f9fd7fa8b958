"""Versions as the commits of a repository on the Hugging Face Hub.

A commit is there as a whole or not at all and never changes, so it makes an immutable locator.
Branches move; every one of their newest commits that holds a checkpoint is a version, and so is
every one that came since the last look, so that none is lost while the Hub or the watch is away.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from monitor.checkpoint import looks_complete
from monitor.downloads import DownloadCache, downloaded
from monitor.errors import SourceError
from monitor.hub_client import Commit, HubClient, Ref
from monitor.remote_file import RemoteFile, fingerprint, listing_of
from monitor.source import Listing, Observation, Place
from monitor.source_settings import HubLine, HubSettings

_LOCATOR = re.compile(r"hf:([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
_PER_PAGE = 50
MAX_COMMITS = 1000
"""How far back commits are looked for that came to a branch between two looks."""


class HubSource:
    """The commits on the refs of a repository that `line` names.

    A commit of a branch is called `main@` and twelve digits, a tag by its name.
    """

    def __init__(self, line: HubLine, settings: HubSettings, cache: DownloadCache) -> None:
        self._line, self._settings, self._cache = line, settings, cache
        self._client = HubClient(line.repo, settings)
        self._files: dict[str, list[RemoteFile]] = {}
        self._commits: dict[Ref, list[Commit]] = {}
        self._gaps: dict[Ref, Observation] = {}

    def scan(self, seen: Collection[Place] = ()) -> list[Observation]:
        """The commits, the oldest first; one request where nothing has moved."""
        refs = [ref for ref in self._client.refs() if self._is_watched(ref.name)]
        if not refs:
            raise SourceError(
                f"Hub: {self._line.repo}: none of its branches and tags matches hub.refs "
                f"({', '.join(self._line.refs)}); correct it in the settings"
            )
        commits = {ref: self._history(ref, seen) for ref in refs}
        files = {
            one.sha: self._files_of(one.sha) for history in commits.values() for one in history
        }
        self._commits, self._files = commits, files
        found = [one for ref in refs for one in self._observations(ref)]
        found += [self._gaps[ref] for ref in refs if ref in self._gaps]
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

    def _history(self, ref: Ref, seen: Collection[Place]) -> list[Commit]:
        """The newest commits, and of a branch that was seen before all that came since."""
        if ref in self._commits:
            return self._commits[ref]
        count = 1 if ref.is_tag else self._line.commits
        earlier = [place for place in seen if self._is_of(ref, place)]
        known = {place.locator for place in earlier}
        taken: list[Commit] = []
        reached = ref.is_tag or not known
        for commit in self._client.commits(ref.commit, 1 if ref.is_tag else _PER_PAGE):
            taken.append(commit)
            reached = reached or self._locator(commit) in known
            if len(taken) >= (count if reached else max(count, MAX_COMMITS)):
                break
        else:
            reached = True  # the first commit of all
        if not reached:
            self._gaps[ref] = self._gap(ref, taken)
        return taken

    def _is_of(self, ref: Ref, place: Place) -> bool:
        here = place.locator.startswith(f"hf:{self._line.repo}@")
        return here and place.name.startswith(f"{ref.name}@")

    def _gap(self, ref: Ref, taken: list[Commit]) -> Observation:
        oldest = taken[-1].sha[:12]
        problem = (
            f"{len(taken):,} or more commits came to {ref.name} since it was last looked at; those "
            f"before {oldest} were not seen, so check them by hand, and look more often"
        )
        locator = self._locator(taken[-1])
        return Observation(f"{ref.name} before {oldest}", locator, Listing((), problem))

    def _locator(self, commit: Commit) -> str:
        return f"hf:{self._line.repo}@{commit.sha}"

    def _files_of(self, sha: str) -> list[RemoteFile]:
        if sha not in self._files:
            self._files[sha] = self._client.files(sha)
        return self._files[sha]

    def _observations(self, ref: Ref) -> Iterator[Observation]:
        for commit in self._commits[ref]:
            files = self._files[commit.sha]
            # A push may be split over commits; those before its last one are no versions.
            if commit.sha != ref.commit and not looks_complete({file.path for file in files}):
                continue
            listing = listing_of(files, commit.date)
            name = ref.name if ref.is_tag else f"{ref.name}@{commit.sha[:12]}"
            if not name.isprintable():
                problem = "its name holds characters that can't be shown; rename it"
                name, listing = ascii(name)[1:-1], Listing((), problem)
            yield Observation(name, self._locator(commit), listing, fingerprint(files))
