"""The time that Slack's answers bear, which that of this host may be far from.

Timestamps of messages are by the same clock. It is asked once a minute, since Slack limits how
often that may be; in between this host counts the seconds, which no setting of its clock changes.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from slack_sdk import WebClient

from alerts.channel import RefusedError
from alerts.slack.errors import told

ASK_SECONDS = 60.0


def seconds_up() -> float:
    """Since this host was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SlackClock:
    """Seconds since the epoch by Slack's clock."""

    def __init__(self, client: WebClient, elapsed: Callable[[], float]) -> None:
        self._client, self._elapsed = client, elapsed
        self._asked: tuple[float, float] | None = None

    def __call__(self) -> float:
        """Raises a ChannelError where Slack does not tell."""
        at = self._elapsed()
        if self._asked is None or not 0.0 <= at - self._asked[0] < ASK_SECONDS:
            self._asked = at, self._ask()
        return self._asked[1] + at - self._asked[0]

    def _ask(self) -> float:
        headers = told(self._client.auth_test).headers
        dates = [value for name, value in headers.items() if name.lower() == "date"]
        try:
            return parsedate_to_datetime(dates[0]).timestamp()
        except (IndexError, ValueError) as error:
            raise RefusedError(
                "the answers of Slack bear no time (the header Date), without which a message that "
                "may have been sent can't be found again; check alerts.slack.api_url and the proxy"
            ) from error
