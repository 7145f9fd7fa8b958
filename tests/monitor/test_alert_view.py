"""What a reviewer sees of an alert whose verdict can't be read."""

import json

import pytest
from sqlalchemy import text

from monitor.schema import Diff
from tests.alerts import samples
from tests.monitor.alerting import Desk, desk

__all__ = ["desk"]


@pytest.mark.parametrize("finding", ["flagged", "undecided"])
def test_a_verdict_of_another_latentwatch_is_told_as_what_it_came_to(
    desk: Desk, finding: str
) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", getattr(samples, finding)())
    with desk.sessions.begin() as session:
        row = session.get_one(Diff, 1)
        newer = json.dumps(json.loads(str(row.verdict)) | {"of_the_next_release": 1})
        session.execute(text("UPDATE diffs SET verdict = :newer"), {"newer": newer})
    desk.send_all(desk.pager())
    [message] = desk.posted()
    told = json.dumps(message, ensure_ascii=False)
    assert "written by another latentwatch and can't be read by this one" in told
    assert ("FLAGGED (critical)" in told) == (finding == "flagged")
    assert ("UNDECIDED" in told) == (finding == "undecided")
    assert ("Treat the candidate as unchecked" in told) == (finding == "undecided")
