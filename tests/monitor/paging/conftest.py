"""What is around a desk: a fake PagerDuty, a receiver of webhooks, reviewers in Slack."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alerts import samples
from tests.fakes.pagerduty import FakePagerDuty, PagerDuty, fake_pagerduty
from tests.monitor.paging.alerting import Desk, desk
from tests.monitor.paging.destinations import Receiver, receiver
from tests.monitor.paging.reviewers import running
from tests.services import free_port
from tests.waiting import until

__all__ = ["desk"]


@pytest.fixture
def pagerduty(desk: Desk) -> Iterator[FakePagerDuty]:
    with fake_pagerduty(PagerDuty(desk.clock)) as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture(params=["socket", "http"])
def answering(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Desk]:
    """A pager that runs, and an alert that it has posted."""
    desk.slack.interactions.answer_seconds = 60.0
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    if request.param == "socket":
        slack: dict[str, Any] = {"signing_secret": None}
    else:
        listen = f"127.0.0.1:{free_port()}"
        slack = {"app_token": None, "listen": listen}
        desk.slack.interactions.request_url = f"http://{listen}/slack/interactions"
    with running(desk.pager(slack=slack)):
        until(lambda: bool(desk.posted()))
        until(lambda: request.param == "http" or desk.slack.interactions.connected == 1)
        desk.clock.now += 5.0
        yield desk
