"""Where an alert goes, as data: by line, behaviour and severity to a channel of Slack, to other
destinations, and up a ladder.

As in Alertmanager the first route that fits is taken, so special ones stand before general ones.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from alerts.quiet_hours import QuietHours, refuse_endless
from alerts.verdict import Severity

CHANNEL = r"[CG][A-Z0-9]{2,}"
_DESTINATION = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"


def matching(pattern: str, remedy: str) -> AfterValidator:
    """Refuses a text that is not as `pattern` says, with `remedy` in its place."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"must be {remedy}")
        return text

    return AfterValidator(check)


ChannelId = Annotated[
    str, matching(CHANNEL, "the id of a channel (C..., in Slack under Copy link), not its name")
]
GroupId = Annotated[
    str, matching(r"S[A-Z0-9]{2,}", "the id of a user group (S...), not its name or handle")
]
ReviewerId = Annotated[
    str,
    matching(
        r"[UWS][A-Z0-9]{2,}",
        "the id of a user (U..., in Slack under Copy member ID) or of a user group (S...)",
    ),
]
DestinationName = Annotated[
    str, matching(_DESTINATION, "a name of small letters, digits and single _, as of its table")
]
"""As in `alerts.destinations`; never the id of a channel, and part of a variable's name."""
Hearer = Annotated[
    str,
    matching(rf"{CHANNEL}|{_DESTINATION}", "the id of a channel (C...) or a destination's name"),
]
Globs = Annotated[list[str], Field(min_length=1)]
ANY = ["*"]
Examples = Literal["none", "redacted", "full"]
"""How much model text goes there: none; labels and tokens of features, but of answers only how long
they are; or all of it."""


class Rung(BaseModel):
    """Who hears of it when nobody has acknowledged for so long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after_seconds: float = Field(gt=0)
    """Since the alert was opened, or since the end of the quiet hours in which it was."""
    mention: GroupId | None = None
    """User group that is mentioned in the alert's thread, and with it in the channel."""
    destinations: list[DestinationName] = []

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if self.mention is None and not self.destinations:
            raise ValueError("a rung tells nobody: give it a mention or destinations")
        return self


class Route(BaseModel):
    """Which alerts go to a channel and to destinations, and what happens while nobody answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: Globs = ANY
    behaviours: Globs = ANY
    """An alert without a flagged behaviour, such as a missing check, only fits `*`."""
    severities: list[Severity] = Field(default=["warning", "critical"], min_length=1)
    channel: ChannelId | None = None
    """Of Slack."""
    destinations: list[DestinationName] = []
    """Which hear of it at once, as the channel does."""
    mention: GroupId | None = None
    """User group that the message itself mentions."""
    repeat_seconds: float = Field(default=14_400.0, gt=0)
    """How often an open alert is told again."""
    ladder: list[Rung] = []
    quiet: list[QuietHours] = []
    """When warnings are held back; critical alerts never are."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.channel is None and not self.destinations:
            raise ValueError("a route leads nowhere: give it a channel or destinations")
        mentions = self.mention is not None or any(rung.mention for rung in self.ladder)
        if self.channel is None and mentions:
            raise ValueError("a mention is made in a channel of Slack: give the route a channel")
        refuse_endless(self.quiet)
        return self

    @property
    def takes_everything(self) -> bool:
        """Whether no alert passes it by."""
        return "*" in self.lines and "*" in self.behaviours and len(set(self.severities)) == 2


def routes_of(
    routes: Sequence[Route], line: str, behaviours: Sequence[str], severity: Severity
) -> list[Route]:
    """The routes of an alert: for each of its behaviours the first that fits, each route once."""
    taken: list[Route] = []
    named: Sequence[str | None] = behaviours or [None]
    for behaviour in named:
        for route in routes:
            if _fits(route, line, behaviour, severity):
                if route not in taken:
                    taken.append(route)
                break
    return taken


def by_channel(routes: Sequence[Route]) -> dict[str, list[Route]]:
    """The routes to each channel of Slack: a channel gets an alert once, and all of them count."""
    found: dict[str, list[Route]] = {}
    for route in routes:
        if route.channel is not None:
            found.setdefault(route.channel, []).append(route)
    return found


def mentions_of(routes: Sequence[Route]) -> list[GroupId]:
    """The user groups that a message mentions which goes by `routes`, each once."""
    return list(dict.fromkeys(route.mention for route in routes if route.mention is not None))


def names_of(routes: Sequence[Route]) -> list[DestinationName]:
    """All destinations that `routes` or their ladders name, each once."""
    named = [
        name
        for route in routes
        for names in (route.destinations, *(rung.destinations for rung in route.ladder))
        for name in names
    ]
    return list(dict.fromkeys(named))


def _fits(route: Route, line: str, behaviour: str | None, severity: Severity) -> bool:
    return (
        severity in route.severities
        and any(fnmatchcase(line, glob) for glob in route.lines)
        and any(
            glob == "*" if behaviour is None else fnmatchcase(behaviour, glob)
            for glob in route.behaviours
        )
    )
