"""One diff to be worked on: which two checkpoints, and where they lie."""

from pathlib import Path
from typing import NamedTuple

from alerts.verdict import Checkpoint
from dfc.canonical import digest_of
from dfc.sides import SideName
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify


class Side(NamedTuple):
    """One of the two checkpoints of a diff."""

    content_digest: str
    weights_digest: str
    path: Path
    locator: str
    """Where it was found, for a person to read."""

    def for_verdict(self) -> Checkpoint:
        return Checkpoint(digest=self.content_digest, locator=self.locator)


def side_of(path: Path) -> Side:
    """The checkpoint in a directory. Raises CheckpointRefusedError for one that is not safe to
    load."""
    identity = identify(inspect_checkpoint(path))
    return Side(identity.content, identity.weights, path, str(path))


class CheckedVersion(NamedTuple):
    """A version of the line that was checked before."""

    name: str
    features: Path | None
    """Of `workers.keeping.known_features`; None where nothing is kept: it was not compared so far,
    or had the base's weights."""


class Job(NamedTuple):
    """A diff of `candidate` against `base`."""

    line: str | None
    base: Side
    candidate: Side
    earlier: tuple[CheckedVersion, ...] = ()
    """The newest first. Nothing is decided by them."""

    @property
    def probe_only(self) -> bool:
        """The weights are equal, so there is nothing for a crosscoder to find."""
        return self.base.weights_digest == self.candidate.weights_digest

    @property
    def pair_digest(self) -> str:
        """SHA-256 (hex) that names the two checkpoints."""
        return digest_of([self.base.content_digest, self.candidate.content_digest])

    def side(self, name: SideName) -> Side:
        return self.base if name == "base" else self.candidate
