"""Whether everything is there that alerts need: Slack, every destination, and what was not sent."""

import logging
from collections.abc import Callable, Iterator

from sqlalchemy.orm import Session, sessionmaker

from alerts.channel import ChannelError
from alerts.wording import duration
from monitor.errors import SettingsError
from monitor.paging.destinations import destination_of
from monitor.paging.outages import failing
from monitor.paging.slack_doctor import Finding, examine_slack
from monitor.settings.alerts import AlertSettings

logger = logging.getLogger(__name__)


def examine(settings: AlertSettings, clock: Callable[[], float]) -> list[Finding]:
    """Look at Slack where it is used, and at every destination.

    Slack without a token is a finding, and so is that there is not a single destination.
    """
    uses_slack = settings.slack_channels or not settings.destinations
    return [*(_slack(settings, clock) if uses_slack else ()), *_destinations(settings, clock())]


def undelivered(sessions: sessionmaker[Session], now: float) -> list[Finding]:
    """The channels and destinations to which something could not be sent."""
    with sessions() as session:
        return [
            Finding(False, name, f"failing for {duration(now - outage.since)}: {outage.error}")
            for name, outage in failing(session).items()
        ]


def _slack(settings: AlertSettings, clock: Callable[[], float]) -> list[Finding]:
    try:
        return examine_slack(settings, clock)
    except SettingsError as error:
        return [Finding(False, "Slack", str(error))]
    except Exception as error:
        return [_unexpected("Slack", error)]


def _destinations(settings: AlertSettings, now: float) -> Iterator[Finding]:
    for name, given in settings.destinations.items():
        what = f"{given.kind} {name}"
        try:
            yield Finding(True, what, destination_of(name, given).probe(now))
        except (ChannelError, SettingsError) as error:
            yield Finding(False, what, str(error))
        except Exception as error:
            yield _unexpected(what, error)


def _unexpected(what: str, error: Exception) -> Finding:
    """What nobody thought of hides nothing else that was found. Its text may hold a secret."""
    logger.error("%s could not be looked at: %s", what, type(error).__name__)
    return Finding(False, what, f"could not be looked at: {type(error).__name__}")
