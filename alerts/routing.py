"""Where an alert goes, as data: by line, behaviour and severity to a channel, a group, a ladder.

As in Alertmanager the first route that fits is taken, so special ones stand before general ones.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from alerts.verdict import Severity

ChannelId = Annotated[str, StringConstraints(pattern=r"^[CG][A-Z0-9]{2,}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{2,}$")]
GroupId = Annotated[str, StringConstraints(pattern=r"^S[A-Z0-9]{2,}$")]
Globs = Annotated[list[str], Field(min_length=1)]
ANY = ["*"]
Examples = Literal["none", "redacted", "full"]
"""How much model text goes there: none; labels and tokens of features, but of answers only how long
they are; or all of it."""


class Rung(BaseModel):
    """A user group that is mentioned when nobody has acknowledged for so long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after_seconds: float = Field(gt=0)
    """Since the alert was opened."""
    mention: GroupId


class Route(BaseModel):
    """Which alerts go to a channel, and what happens while nobody answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: Globs = ANY
    behaviours: Globs = ANY
    """An alert without a flagged behaviour, such as a missing check, only fits `*`."""
    severities: list[Severity] = Field(default=["warning", "critical"], min_length=1)
    channel: ChannelId
    mention: GroupId | None = None
    """User group that the message itself mentions."""
    repeat_seconds: float = Field(default=14_400.0, gt=0)
    """How often an open alert is told again."""
    ladder: list[Rung] = []

    @property
    def takes_everything(self) -> bool:
        """Whether no alert passes it by."""
        return "*" in self.lines and "*" in self.behaviours and len(set(self.severities)) == 2


def routes_of(
    routes: Sequence[Route], line: str, behaviours: Sequence[str], severity: Severity
) -> list[Route]:
    """The routes of an alert: for each of its behaviours the first that fits, one per channel."""
    taken: dict[str, Route] = {}
    named: Sequence[str | None] = behaviours or [None]
    for behaviour in named:
        for route in routes:
            if _fits(route, line, behaviour, severity):
                taken.setdefault(route.channel, route)
                break
    return list(taken.values())


def _fits(route: Route, line: str, behaviour: str | None, severity: Severity) -> bool:
    return (
        severity in route.severities
        and any(fnmatchcase(line, glob) for glob in route.lines)
        and any(
            glob == "*" if behaviour is None else fnmatchcase(behaviour, glob)
            for glob in route.behaviours
        )
    )
