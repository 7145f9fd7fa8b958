"""The seam to a place where versions are published: what is there now, and opening one of them."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from monitor.checkpoints.listing import Listing


@dataclass(frozen=True)
class Observation:
    """Something that lies at the place now."""

    name: str
    """What people call it."""
    locator: str
    """Where it is, as immutable as the place allows: a commit rather than a branch. An absolute
    path for a local directory, else it begins with a scheme. Not its identity, which is the digest
    of its files."""
    listing: Listing
    fingerprint: str | None = None
    """Digest of what the place says about its files, without having read them: seen again in the
    same line, they are the same files. None where they are local, and are read every time."""
    endorsed_by: str | None = None
    """What at the place says that this is the trusted version; None where nothing does."""
    marked: bool = True
    """Who publishes it knows of the line's ready marker; else the quiet period alone decides."""
    base: Listing | None = None
    """What it is merged into when it is opened, and what has to be at rest too; no marker lies
    there."""


class Place(NamedTuple):
    """Where a push lies and what it is called there."""

    name: str
    locator: str


def refuse_outage(asked: Iterable[Observation]) -> None:
    """Raise SourceError where none of `asked` could be listed: that lies with the place."""
    listings = [one.listing for one in asked]
    if listings and all(listing.unread for listing in listings):
        listings[0].raise_problem()


class Fate(Enum):
    """What became of a push that was seen."""

    VERSION = auto()
    REFUSED = auto()
    PENDING = auto()
    """It is still to be taken in: it was being written, or could not be fetched."""
    GONE = auto()
    """A later look did not show it."""


Seen = Mapping[Place, Fate]
"""The places of a line up to its last look, over all processes that ever watched it."""
NOTHING_SEEN: Seen = MappingProxyType({})


class Source(Protocol):
    """A place that is asked again and again; nothing is believed because an event said so."""

    def scan(self, seen: Seen = NOTHING_SEEN) -> Iterable[Observation]:
        """What lies there now. Raises SourceError when the place can't be listed.

        A source that shows only the newest of what it has shows all that came since what was
        `seen`, and of that what is pending. Pushes that it does not show count as gone.
        """
        ...

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The local directory with the files of `locator`, which stay until the block ends.

        Any process that has the line's settings can do that, not only the one that saw it. Raises
        SourceError when it doesn't work now and may later, CheckpointRefusedError when it never
        will.
        """
        ...


def never_changes(locator: str) -> bool:
    """Whether what lay at `locator` is what lies there for good: a commit on the Hub, which a line
    shows no more once newer ones have come."""
    return locator.removeprefix("lora:").startswith("hf:")
