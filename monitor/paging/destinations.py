"""Destinations as the settings describe them."""

import ssl
from pathlib import Path

from pydantic import SecretStr

from alerts.destinations.alertmanager import Alertmanager
from alerts.destinations.email import Email
from alerts.destinations.notice import Destination
from alerts.destinations.pagerduty import PagerDuty
from alerts.destinations.signed_webhook import SignedWebhook, read_secret
from monitor.errors import SettingsError
from monitor.settings.destinations import (
    AlertmanagerSettings,
    DestinationSettings,
    EmailSettings,
    PagerDutySettings,
    WebhookReceiverSettings,
)
from monitor.settings.environment import variable_of


def destination_of(name: str, given: DestinationSettings) -> Destination:
    """The destination `name` that `given` describes; nothing is sent yet.

    Raises SettingsError for a secret that it needs and that is not set, and for certificates that
    can't be read.
    """

    def secret(key: str, value: SecretStr | None) -> str:
        if value is None:
            setting = f"alerts.destinations.{name}.{key}"
            raise SettingsError(f"{setting}: is not set; set {variable_of(setting)}")
        return value.get_secret_value()

    match given:
        case PagerDutySettings():
            routing_key = secret("routing_key", given.routing_key)
            return PagerDuty(routing_key, str(given.url), given.timeout_seconds)
        case WebhookReceiverSettings():
            key = read_secret(secret("secret", given.secret))
            return SignedWebhook(str(given.url), key, given.timeout_seconds)
        case AlertmanagerSettings():
            return alertmanager_of(given)
        case EmailSettings():
            return Email(
                given.host,
                given.port,
                given.tls,
                _certificates(f"alerts.destinations.{name}.ca_file", given.ca_file),
                given.username,
                None if given.username is None else secret("password", given.password),
                given.sender,
                tuple(given.recipients),
                given.timeout_seconds,
            )


def alertmanager_of(given: AlertmanagerSettings) -> Alertmanager:
    """The Alertmanager that `given` describes."""
    return Alertmanager(str(given.url).rstrip("/"), given.expires_seconds, given.timeout_seconds)


def _certificates(setting: str, file: Path | None) -> Path | None:
    """The file, if certificates can be read from it by the process that sends: as with secrets, no
    other one has to have it."""
    if file is None:
        return None
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # what is no certificate, too
        raise SettingsError(
            f"{setting}: no certificates can be read from {file}: {error.strerror}; correct it, or "
            "leave it out to believe the system's"
        ) from error
    return file
