"""A fake PagerDuty and a receiver of webhooks, for a desk."""

from collections.abc import Iterator

import pytest

from tests.fakes.pagerduty import FakePagerDuty, PagerDuty, fake_pagerduty
from tests.monitor.paging.alerting import Desk, desk
from tests.monitor.paging.destinations import Receiver, receiver

__all__ = ["desk"]


@pytest.fixture
def pagerduty(desk: Desk) -> Iterator[FakePagerDuty]:
    with fake_pagerduty(PagerDuty(desk.clock)) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running
