"""Which commits of a branch have to be looked at: the newest ones, and all since the last look."""

import re

from monitor.checkpoints.listing import Listing
from monitor.settings.sources import HubLine
from monitor.sources.hub_client import Commit, HubClient, Ref
from monitor.sources.source import Fate, Observation, Place, Seen

_PER_PAGE = 50
MAX_COMMITS = 1000
"""How far back commits are looked for that came to a branch between two looks."""
_GAP = re.compile(r"(\S+) before ([0-9a-f]{12})")


class HubHistory:
    """The commits on the refs of the repository of `line`."""

    def __init__(self, line: HubLine, client: HubClient) -> None:
        self._line, self._client = line, client
        self._commits: dict[Ref, list[Commit]] = {}
        self._gaps: dict[Ref, Place] = {}

    def commits(self, refs: list[Ref], seen: Seen) -> dict[Ref, list[Commit]]:
        """Of every ref the newest commits, and of a branch that was seen before all that came
        since, the newest first. Asks nothing about a ref that has not moved."""
        for ref in refs:
            # Kept one by one: the Hub may say at any of hundreds of refs that it was asked enough.
            self._commits[ref] = self._commits.get(ref) or self._walk(ref, seen)
        self._commits = {ref: self._commits[ref] for ref in refs}
        return self._commits

    def gaps(self, seen: Seen) -> list[Observation]:
        """One for each time that more came to a ref than was looked at; it says so.

        It is shown again, whatever came since, for as long as the ref is there and watched.
        """
        own = f"hf:{self._line.repo}@"
        told = {
            p for p, fate in seen.items() if fate is not Fate.GONE and p.locator.startswith(own)
        }
        told |= {self._gaps[ref] for ref in self._commits if ref in self._gaps}
        refs = {ref.name for ref in self._commits}
        return [
            _gap(place, *match.groups())
            for place in told
            if (match := _GAP.fullmatch(place.name)) and match[1] in refs
        ]

    def locator(self, commit: Commit) -> str:
        """Where the files of `commit` are."""
        return f"hf:{self._line.repo}@{commit.sha}"

    def _walk(self, ref: Ref, seen: Seen) -> list[Commit]:
        count = 1 if ref.is_tag else self._line.commits
        known = {place.locator for place in seen if place.name.startswith(f"{ref.name}@")}
        known = {locator for locator in known if locator.startswith(f"hf:{self._line.repo}@")}
        taken: list[Commit] = []
        reached = ref.is_tag or not known
        for commit in self._client.commits(ref.commit, 1 if ref.is_tag else _PER_PAGE):
            taken.append(commit)
            reached = reached or self.locator(commit) in known
            if len(taken) >= (count if reached else max(count, MAX_COMMITS)):
                break
        else:
            reached = True  # the first commit of all
        if not reached:
            name = f"{ref.name} before {taken[-1].sha[:12]}"
            self._gaps[ref] = Place(name, self.locator(taken[-1]))
        return taken


def _gap(place: Place, ref: str, oldest: str) -> Observation:
    problem = (
        f"{MAX_COMMITS:,} or more commits came to {ref} between two looks; those before {oldest} "
        "were not seen, so check them by hand, and look more often"
    )
    return Observation(*place, Listing((), problem))
