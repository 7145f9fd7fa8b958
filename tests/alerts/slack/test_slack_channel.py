"""Slack as a channel: a message is found again however much is said around it, by Slack's clock."""

from collections.abc import Iterator

import pytest

from alerts.channel import Posting, RefusedError
from alerts.slack.channel import SlackChannel
from alerts.slack.client import web_client
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import BOT_TOKEN, Workspace

NOW, CHANNEL = 1_790_000_000.0, "C0ALERTS"
POSTING = Posting(CHANNEL, "key-1", "an alert")


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with fake_slack(Workspace(lambda: NOW)) as running:
        yield running


def channel_of(slack: FakeSlack) -> SlackChannel:
    return SlackChannel(web_client(BOT_TOKEN, slack.api_url, 5.0))


def say(slack: FakeSlack, number: int, first: float, seconds: float) -> None:
    """So many messages of others, from `first` on, spread over `seconds`."""
    for index in range(number):
        ts = f"{first + (index + 1) * seconds / number:.6f}"
        slack.workspace.messages[CHANNEL].append({"type": "message", "ts": ts, "text": "chat"})


@pytest.mark.parametrize("seconds", [3000.0, 86_400.0])
def test_a_message_is_found_before_thousands_of_others(slack: FakeSlack, seconds: float) -> None:
    channel = channel_of(slack)
    reference = channel.post(POSTING)
    say(slack, 4_500, NOW, seconds)
    assert channel.find(POSTING, NOW) == reference
    assert channel.find(POSTING._replace(key="key-2"), NOW) is None


def test_what_was_said_long_after_an_attempt_is_not_looked_through(slack: FakeSlack) -> None:
    channel = channel_of(slack)
    reference = channel.post(POSTING)
    say(slack, 4_500, NOW + 7200.0, 86_400.0)
    assert channel.find(POSTING, NOW) == reference
    assert slack.workspace.calls.count("conversations.history") == 1


def test_the_time_is_that_of_slack(slack: FakeSlack) -> None:
    assert channel_of(slack).now() == NOW
    assert slack.workspace.messages[CHANNEL] == []


def test_the_time_is_asked_once_a_minute(slack: FakeSlack) -> None:
    at = 100.0

    def told_at(up: float) -> float:
        nonlocal at
        at = up
        return channel.now()

    channel = SlackChannel(web_client(BOT_TOKEN, slack.api_url, 5.0), lambda: at)
    assert [told_at(up) for up in (100.0, 130.5, 159.5)] == [NOW, NOW + 30.5, NOW + 59.5]
    assert slack.workspace.calls.count("auth.test") == 1
    # A minute later, and on a host that was started again.
    assert [told_at(up) for up in (160.0, 20.0)] == [NOW, NOW]
    assert slack.workspace.calls.count("auth.test") == 3


def test_answers_that_bear_no_time_are_refused_with_the_remedy(slack: FakeSlack) -> None:
    client = web_client(BOT_TOKEN, slack.api_url, 5.0)
    answer = client.auth_test()
    answer.headers.pop("Date")
    client.auth_test = lambda: answer  # type: ignore[method-assign,assignment]
    with pytest.raises(RefusedError, match=r"header Date.*check alerts\.slack\.api_url"):
        SlackChannel(client).now()
