"""What an operator can set about messages that wake the watch; without an address none is taken."""

import ipaddress

from pydantic import BaseModel, Field, SecretStr, field_validator

from monitor.errors import SettingsError
from monitor.settings.table import TABLE
from monitor.webhooks import generic

LEAST_SECRET = 16


class WebhookSettings(BaseModel):
    """Where messages are taken, and the secrets of their senders, from the environment only."""

    model_config = TABLE

    host: str | None = None
    """Address to listen at; None takes no messages."""
    port: int = Field(default=8787, ge=0, le=65535)
    secret: SecretStr | None = None
    """Of senders that sign by the Standard Webhooks specification, at /v1/events."""
    hub_secret: SecretStr | None = None
    """Of the Hugging Face Hub, at /v1/hub."""
    mlflow_secret: SecretStr | None = None
    """Of MLflow, at /v1/mlflow."""
    read_token: SecretStr | None = None
    """Of who may read at /v1/versions what is known of a version; without one nobody may."""

    @property
    def has_secret(self) -> bool:
        return any((self.secret, self.hub_secret, self.mlflow_secret, self.read_token))

    @field_validator("secret", "hub_secret", "mlflow_secret", "read_token")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < LEAST_SECRET:
            raise ValueError(f"must have {LEAST_SECRET} characters or more")
        return secret

    @field_validator("read_token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        text = "-" if token is None else token.get_secret_value()
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("must be plain ASCII without blanks")
        return token

    @field_validator("secret")
    @classmethod
    def _a_key(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            generic(secret.get_secret_value())
        return secret

    def refuse_unguarded(self) -> None:
        """Raise SettingsError where other machines reach the address and there is no secret.

        Asked of who listens: any other process has the same settings without the secrets.
        """
        if self.host is not None and not self.has_secret and not _is_loopback(self.host):
            raise SettingsError(
                f"webhooks.host: webhooks at {self.host} need a secret: set "
                "LATENTWATCH_WEBHOOKS__SECRET, __HUB_SECRET, __MLFLOW_SECRET or __READ_TOKEN, or "
                "listen at 127.0.0.1"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
