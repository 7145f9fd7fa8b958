"""Whether everything is there that alerts need: Slack, every destination, and what was not sent."""

from collections.abc import Callable, Iterator

from sqlalchemy.orm import Session, sessionmaker

from alerts.channel import ChannelError
from alerts.wording import duration
from monitor.alert_settings import AlertSettings
from monitor.destinations import destination_of
from monitor.outages import failing
from monitor.slack_doctor import Finding, examine_slack


def examine(settings: AlertSettings, clock: Callable[[], float]) -> list[Finding]:
    """Look at Slack where it is used, and at every destination.

    Raises SettingsError where Slack is used without a token, a destination's secret is not set, or
    not a single destination is there.
    """
    uses_slack = settings.slack_channels or not settings.destinations
    slack = examine_slack(settings, clock) if uses_slack else []
    return [*slack, *_destinations(settings, clock())]


def undelivered(sessions: sessionmaker[Session], now: float) -> list[Finding]:
    """The channels and destinations to which something could not be sent."""
    with sessions() as session:
        return [
            Finding(False, name, f"failing for {duration(now - outage.since)}: {outage.error}")
            for name, outage in failing(session).items()
        ]


def _destinations(settings: AlertSettings, now: float) -> Iterator[Finding]:
    for name, given in settings.destinations.items():
        what = f"{given.kind} {name}"
        try:
            yield Finding(True, what, destination_of(name, given).probe(now))
        except ChannelError as error:
            yield Finding(False, what, str(error))
