"""What an operator can set about destinations other than Slack.

Their secrets come from the environment, or as files, to the processes that send; any other process
reads the same settings without them.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    HttpUrl,
    SecretStr,
    field_validator,
    model_validator,
)

from alerts.destinations.email import Tls
from alerts.destinations.pagerduty import EVENTS
from alerts.destinations.signed_webhook import read_secret
from alerts.routing import matching
from monitor.settings.table import TABLE, Seconds

Address = Annotated[
    str,
    matching(r"[^@\s<>,;]+@[^@\s<>,;]+", "an address alone, such as latentwatch@lab.example"),
]


class _Destination(BaseModel):
    model_config = TABLE

    timeout_seconds: Seconds = 10.0
    """Of one request."""


class PagerDutySettings(_Destination):
    """An integration "Events API v2" of a service."""

    kind: Literal["pagerduty"]
    url: HttpUrl = HttpUrl(EVENTS)
    """`https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU."""
    routing_key: SecretStr | None = None

    @field_validator("routing_key")
    @classmethod
    def _of_an_integration(cls, key: SecretStr | None) -> SecretStr | None:
        said = "-" if key is None else key.get_secret_value()
        if key is not None and (len(said) != 32 or not said.isalnum()):
            raise ValueError("must be the integration key: 32 letters and digits")
        return key


class WebhookReceiverSettings(_Destination):
    """A receiver of one's own."""

    kind: Literal["webhook"]
    url: HttpUrl
    secret: SecretStr | None = None

    @field_validator("secret")
    @classmethod
    def _readable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            read_secret(secret.get_secret_value())
        return secret


class EmailSettings(_Destination):
    """A mail server, and who gets mail through it."""

    kind: Literal["email"]
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    tls: Tls = "starttls"
    ca_file: Path | None = None
    """Certificates to be believed in place of the system's."""
    username: str | None = None
    password: SecretStr | None = None
    sender: Address
    recipients: list[Address] = Field(min_length=1)

    @model_validator(mode="after")
    def _signs_in_safely(self) -> Self:
        if self.username is None and self.password is not None:
            raise ValueError("a password belongs to a username: set username, or no password")
        if self.username is not None and self.tls == "none":
            raise ValueError("a password needs tls: starttls or implicit")
        return self


class AlertmanagerSettings(_Destination):
    """One Alertmanager."""

    kind: Literal["alertmanager"]
    url: HttpUrl
    repeat_seconds: Seconds = 60.0
    """How often it is told again of what is unresolved."""
    expires_seconds: Seconds = 3600.0
    """When it takes an alert for resolved of which it is told no more."""

    @model_validator(mode="after")
    def _told_in_time(self) -> Self:
        if self.expires_seconds < 3 * self.repeat_seconds:
            raise ValueError("expires_seconds must be at least three times repeat_seconds")
        return self


DestinationSettings = Annotated[
    PagerDutySettings | WebhookReceiverSettings | EmailSettings | AlertmanagerSettings,
    Field(discriminator="kind"),
]
