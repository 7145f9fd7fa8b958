"""Whatever waits, waits no longer than it was meant to, also when the clock was set back."""

import pytest
from sqlalchemy import select

from monitor.database.schema import Lease
from monitor.moments import SKEW_SECONDS, has_come, has_come_sql
from tests.monitor.conftest import BOTH_DATABASES, Sessions


@BOTH_DATABASES
@pytest.mark.parametrize(
    "moment, come",
    [
        (99.0, True),
        (100.0, True),
        (101.0, False),
        (130.0 + SKEW_SECONDS, False),
        (131.0 + SKEW_SECONDS, True),  # nobody waits for longer than 30 seconds
    ],
)
def test_a_moment_has_come_or_was_written_by_a_clock_that_was_wrong(
    sessions: Sessions, moment: float, come: bool
) -> None:
    assert has_come(moment, 100.0, 30.0) is come
    with sessions.begin() as session:
        session.add(Lease(name="role", owner="me", until=moment))
        session.flush()
        found = session.scalars(select(Lease).where(has_come_sql(Lease.until, 100.0, 30.0))).all()
    assert bool(found) is come
