"""A desk with one flagged version, to be asked about."""

import pytest

from tests.alerts import samples
from tests.monitor.paging.alerting import Desk, desk

__all__ = ["desk"]


@pytest.fixture
def flagged(desk: Desk) -> Desk:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    return desk
