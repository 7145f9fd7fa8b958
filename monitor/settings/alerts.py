"""What an operator can set about alerts: where they go, who answers them, and Slack's secrets."""

import re
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    HttpUrl,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from alerts.routing import (
    CHANNEL,
    ChannelId,
    DestinationName,
    Examples,
    Hearer,
    ReviewerId,
    Route,
    by_channel,
    matching,
    names_of,
)
from monitor.settings.destinations import DestinationSettings
from monitor.settings.table import TABLE, Seconds

SLACK_API = "https://slack.com/api/"


Listen = Annotated[str, matching(r"[^:]+:\d{1,5}", "HOST:PORT, such as 127.0.0.1:3000")]


class SlackSettings(BaseModel):
    """The Slack app. Its secrets come from the environment only."""

    model_config = TABLE

    bot_token: SecretStr | None = None
    """`xoxb-`; None posts nothing."""
    app_token: SecretStr | None = None
    """`xapp-`: answers come over Socket Mode, which needs no address that Slack can reach."""
    signing_secret: SecretStr | None = None
    """Answers come over HTTP, and are signed with this."""
    listen: Listen = "127.0.0.1:3000"
    """Where the HTTP endpoint listens; put a proxy with TLS before it."""
    api_url: HttpUrl = HttpUrl(SLACK_API)
    timeout_seconds: Seconds = 10.0

    @field_validator("bot_token", "app_token")
    @classmethod
    def _of_its_kind(cls, token: SecretStr | None, field: ValidationInfo) -> SecretStr | None:
        if token is None:
            return None
        text = token.get_secret_value().strip()
        if not text.isprintable() or " " in text:
            raise ValueError("holds white space or control characters; copy it again")
        other, prefix = ("app", "xapp-") if field.field_name == "bot_token" else ("bot", "xoxb-")
        if text.startswith(prefix):
            raise ValueError(f"begins with {prefix}, so that it is the {other}_token; swap the two")
        return SecretStr(text)

    @property
    def takes_answers(self) -> bool:
        """Whether there is a way for answers to come in; without one, alerts have no buttons."""
        return self.app_token is not None or self.signing_secret is not None

    @field_validator("api_url")
    @classmethod
    def _ends_with_a_slash(cls, url: HttpUrl) -> HttpUrl:
        return url if str(url).endswith("/") else HttpUrl(f"{url}/")


class AlertSettings(BaseModel):
    """Alerts and the people who answer them."""

    model_config = TABLE

    routes: list[Route] = []
    reviewers: list[ReviewerId] = []
    """Slack users and user groups whose answers count; nobody else's do."""
    two_reviewers: bool = False
    """A flagged version is trusted only when a second reviewer agrees."""
    examples: Examples = "full"
    report_url: HttpUrl | None = None
    """Where `reports` of the data directory is served, for the button that opens a report."""
    unchecked_seconds: Seconds = 21_600.0
    """How long a version may be without a verdict before that is an alert."""
    slack: SlackSettings = SlackSettings()
    destinations: dict[DestinationName, DestinationSettings] = {}
    """What routes name beside channels of Slack."""
    outages_to: list[Hearer] | None = None
    """Who hears that another one can't be written to; None takes where the last route leads."""
    outage_seconds: Seconds = 300.0
    """How long it has to be so."""

    @property
    def slack_channels(self) -> list[ChannelId]:
        """All channels of Slack that are written to, each once."""
        return sorted({*by_channel(self.routes), *filter(is_channel, self.hearers)})

    @property
    def places(self) -> list[str]:
        """All channels and destinations that alerts can go to."""
        return [*self.slack_channels, *self.destinations]

    @property
    def hearers(self) -> list[str]:
        """Channels and destinations that hear of outages."""
        if self.outages_to is not None:
            return list(self.outages_to)
        last = self.routes[-1:]
        return [*(r.channel for r in last if r.channel is not None), *names_of(last)]

    @field_validator("destinations", mode="before")
    @classmethod
    def _are_described(cls, given: object) -> object:
        for name, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, dict) and "kind" not in value:
                raise ValueError(
                    f"{name} has no kind: describe it in [alerts.destinations.{name}], or remove "
                    f"the variable LATENTWATCH_ALERTS__DESTINATIONS__{str(name).upper()}__..."
                )
        return given

    @model_validator(mode="after")
    def _destinations_are_known(self) -> Self:
        heard = [one for one in self.outages_to or [] if not is_channel(one)]
        named = [("routes", name) for name in names_of(self.routes)]
        for key, name in [*named, *(("outages_to", name) for name in heard)]:
            if name not in self.destinations:
                known = ", ".join(sorted(self.destinations)) or "there is none"
                raise ValueError(
                    f"{key}: of the destinations none is called {name!r} ({known}); correct it, or "
                    f"add [alerts.destinations.{name}]"
                )
        return self

    @model_validator(mode="after")
    def _somebody_can_act(self) -> Self:
        alone = set(self.reviewers)
        if self.two_reviewers and len(alone) == 1 and not next(iter(alone)).startswith("S"):
            raise ValueError(
                "two_reviewers: there is one reviewer, so that nobody could ever agree; add "
                "another one to reviewers, or a user group"
            )
        if self.outages_to is not None and not self.outages_to:
            raise ValueError(
                "outages_to: is empty, so that nobody would hear of an outage; name a channel or a "
                "destination, or leave it out"
            )
        heard = self.outages_to or []
        twice = next((one for one in heard if heard.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"outages_to: {twice!r} stands there twice; name it once")
        return self

    @model_validator(mode="after")
    def _every_route_is_reached(self) -> Self:
        for number, route in enumerate(self.routes[:-1], start=1):
            if route.takes_everything:
                raise ValueError(
                    f"routes: number {number} takes everything, so that those after it are never "
                    "reached; move it to the end"
                )
        return self

    @model_validator(mode="after")
    def _every_alert_has_a_place(self) -> Self:
        if self.routes and not self.routes[-1].takes_everything:
            raise ValueError(
                "routes: the last one must take what no other takes: give it a place, and "
                "neither lines, behaviours nor severities"
            )
        if self.slack.bot_token is not None and not self.routes:
            raise ValueError("routes: there is a bot_token but no route; add [[alerts.routes]]")
        return self


def is_channel(hearer: str) -> bool:
    """Whether it is the id of a channel of Slack, and no name of a destination."""
    return re.fullmatch(CHANNEL, hearer) is not None
