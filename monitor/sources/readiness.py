"""Whether a push is complete, from two listings and the time. Pure: reads neither files nor clock.

Whether the files then make up a checkpoint (all shards there, none truncated) is for
`monitor.checkpoints.checkpoint` to say.
"""

from dataclasses import dataclass
from typing import NamedTuple

from monitor.checkpoints.checkpoint import may_count
from monitor.checkpoints.listing import Listing, is_unfinished


class Rule(NamedTuple):
    """How a line's pushes show that they are complete."""

    ready_marker: str | None
    quiet_seconds: float
    quiet_polls: int


@dataclass(frozen=True)
class Sight:
    """A listing and for how long it has looked like that."""

    listing: Listing
    since: float
    """When it was first seen so, in seconds since the epoch."""
    polls: int = 0
    """How often it has been found unchanged since."""


class Ready(NamedTuple):
    """The push may be read."""


class NotReady(NamedTuple):
    """The push may not be read yet."""

    reason: str
    settling: bool = False
    """Only time is missing: nothing but the quiet period stands in the way."""
    unfinished: bool = False
    """Its publisher is not done with it, as far as can be seen."""


def look(previous: Sight | None, listing: Listing, now: float) -> Sight:
    """What is known of a push after finding it as `listing` at `now`."""
    if previous is None or previous.listing != listing:
        return Sight(listing, now)
    return Sight(listing, previous.since, previous.polls + 1)


def readiness(sight: Sight, rule: Rule, now: float) -> Ready | NotReady:
    """Whether the push of `sight` is complete by `rule` at `now`."""
    listing = sight.listing
    if listing.problem is not None:
        return NotReady(listing.problem, unfinished=listing.unfinished)
    if not listing.files:
        return NotReady("is empty, or its first file is still to come", unfinished=True)
    for file in listing.files:
        if any(is_unfinished(part) for part in file.path.split("/")):
            return NotReady(f"still being written: {file.path!r} is there", unfinished=True)
    if rule.ready_marker is not None:
        return _by_marker(sight, rule, rule.ready_marker, now)
    return _by_quiet(sight, rule, now)


def _by_marker(sight: Sight, rule: Rule, name: str, now: float) -> Ready | NotReady:
    listing = sight.listing
    marker = next((file for file in listing.files if file.path == name), None)
    if marker is None:
        reason = f"still being written: its marker {name!r} is not there"
        return NotReady(reason, unfinished=True)
    # The state of a trainer's other processes, or what an evaluation leaves, may come after it.
    counting = [file for file in listing.files if may_count(file.path)]
    for file in counting:
        if file.mtime_ns > marker.mtime_ns:
            return NotReady(
                f"still being written: {file.path!r} is newer than the marker {name!r}, "
                "which may be left over from an earlier push",
                unfinished=True,
            )
    if any(file.ctime_ns > marker.ctime_ns for file in counting):
        # A copy that keeps the times of what it is made of may bring the marker before the rest.
        return _by_quiet(sight, rule, now)
    return Ready()


def _by_quiet(sight: Sight, rule: Rule, now: float) -> Ready | NotReady:
    quiet_by_its_times = sight.listing.changed() <= now - rule.quiet_seconds
    quiet_by_polls = sight.polls >= rule.quiet_polls and now - sight.since >= rule.quiet_seconds
    if quiet_by_its_times or quiet_by_polls:
        return Ready()
    return NotReady(
        f"still being written: its files changed within the last {rule.quiet_seconds:g} s",
        settling=True,
    )
