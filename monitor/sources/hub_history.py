"""Which commits of a branch have to be looked at: the newest ones, and all since the last look."""

from monitor.settings.sources import HubLine
from monitor.sources.hub_client import Commit, HubClient, Ref
from monitor.sources.source import Listing, Observation, Seen

_PER_PAGE = 50
MAX_COMMITS = 1000
"""How far back commits are looked for that came to a branch between two looks."""


class HubHistory:
    """The commits on the refs of the repository of `line`."""

    def __init__(self, line: HubLine, client: HubClient) -> None:
        self._line, self._client = line, client
        self._commits: dict[Ref, list[Commit]] = {}
        self._gaps: dict[Ref, Observation] = {}

    def commits(self, refs: list[Ref], seen: Seen) -> dict[Ref, list[Commit]]:
        """Of every ref the newest commits, and of a branch that was seen before all that came
        since, the newest first. Asks nothing about a ref that has not moved."""
        found = {ref: self._commits.get(ref) or self._walk(ref, seen) for ref in refs}
        self._commits = found
        return found

    def gaps(self) -> list[Observation]:
        """One for each ref on which more came than was looked at; it says so."""
        return [self._gaps[ref] for ref in self._commits if ref in self._gaps]

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
            self._gaps[ref] = self._gap(ref, taken)
        return taken

    def _gap(self, ref: Ref, taken: list[Commit]) -> Observation:
        oldest = taken[-1].sha[:12]
        problem = (
            f"{len(taken):,} or more commits came to {ref.name} since it was last looked at; those "
            f"before {oldest} were not seen, so check them by hand, and look more often"
        )
        return Observation(
            f"{ref.name} before {oldest}", self.locator(taken[-1]), Listing((), problem)
        )
