"""One look at a line as a pure function: what was known + what is there + the time -> events."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from monitor.sources.readiness import NotReady, Ready, Rule, Sight, look, readiness
from monitor.sources.source import Observation, Place


class Known(NamedTuple):
    """What is known of the push at one place."""

    sight: Sight
    told: Ready | NotReady | None
    """What the last event about these files said."""
    fingerprint: str | None = None
    """What the place said about them then: what is merged into a base changes with the base."""
    base: Sight | None = None
    """What is known of the base that it is merged into."""


class Complete(NamedTuple):
    """A push may be read now."""

    observation: Observation


class Incomplete(NamedTuple):
    """A push is there but may not be read."""

    observation: Observation
    reason: str
    settling: bool = False
    """Nothing but the quiet period stands in the way."""
    unfinished: bool = False
    """Its publisher is not done with it."""


Event = Complete | Incomplete
State = Mapping[Place, Known]


def step(
    state: State, observations: Iterable[Observation], rule: Rule, now: float
) -> tuple[State, list[Event]]:
    """The new state, and an event for every push about which there is something new to say.

    What is no longer there is forgotten, so it is told anew when it comes back.
    """
    known: dict[Place, Known] = {}
    events: list[Event] = []
    for observation in observations:
        place = Place(observation.name, observation.locator)
        before = state.get(place)
        sight = look(before.sight if before else None, observation.listing, now)
        own = rule if observation.marked else rule._replace(ready_marker=None)
        found = readiness(sight, own, now)
        base = None
        if observation.base is not None:
            base = look(before.base if before else None, observation.base, now)
            if isinstance(found, Ready):
                found = _of_base(readiness(base, rule._replace(ready_marker=None), now))
        same = before is not None and (before.sight.listing, before.fingerprint) == (
            sight.listing,
            observation.fingerprint,
        )
        told = before.told if before is not None and same else None
        if found != told:
            events.append(
                Complete(observation)
                if isinstance(found, Ready)
                else Incomplete(observation, *found)
            )
        known[place] = Known(sight, found, observation.fingerprint, base)
    return known, events


def _of_base(found: Ready | NotReady) -> Ready | NotReady:
    """What an adapter is that waits for nothing but its base, which was `found` so."""
    if isinstance(found, Ready):
        return found
    return found._replace(reason=f"the base of the adapters: {found.reason}")


def untold(state: State, observation: Observation) -> State:
    """`state` as if nothing had been said of what was observed: the next step says it again."""
    place = Place(observation.name, observation.locator)
    return {**state, place: state[place]._replace(told=None)}


def settling(state: State) -> bool:
    """Whether a push of `state` is only waiting for the quiet period to pass."""
    return any(_is_settling(known) for known in state.values())


def pending(state: State) -> set[Place]:
    """Where pushes of `state` lie of which there will be something to say without any change."""
    return {place for place, known in state.items() if known.told is None or _is_settling(known)}


def _is_settling(known: Known) -> bool:
    return isinstance(known.told, NotReady) and known.told.settling
