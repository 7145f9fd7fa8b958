"""What a reviewer sees of an alert: the names of its own line, and what a verdict came to that
can't be read."""

import json

import pytest
from sqlalchemy import text

from monitor.alerting.view import view_of
from monitor.database.schema import AlertRow, Diff, Line
from tests.alerts import samples
from tests.monitor.filled import new_version
from tests.monitor.paging.alerting import Desk


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


def test_versions_are_named_as_their_own_line_names_them(desk: Desk) -> None:
    """The same content may lie in another line under another name."""
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    with desk.sessions.begin() as session:
        other = Line(name="elsewhere", created_at=0.0)
        session.add(other)
    for name in ("v1", "v2"):
        elsewhere = new_version(desk.sessions, other, name)
        with desk.sessions.begin() as session:
            session.merge(elsewhere).name = f"copy-of-{name}"
    with desk.sessions() as session:
        names = view_of(session, session.get_one(AlertRow, desk.alert().id)).names
    assert (names.candidate, names.base) == ("v2", "v1")


def test_what_was_critical_stays_so_after_a_milder_check_and_says_why(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    pager = desk.pager()
    desk.send_all(pager)
    milder = {"severity": "warning", "reasons": ["sycophancy rose by 0.8"]}
    desk.check(base, "v2", samples.flagged().model_copy(update=milder), "r2")
    desk.send_all(pager)
    [message] = desk.posted()
    assert message["text"].startswith("🔴 FLAGGED (critical)")
    why = "an earlier check was critical; this one alone is warning"
    assert why in str(message["blocks"])


def test_what_only_an_earlier_check_flagged_is_named(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    other = samples.flagged()
    behaviours = [
        one.model_copy(update={"flagged": one.name == "harmful_compliance"})
        for one in other.behaviours
    ]
    desk.check(base, "v2", other.model_copy(update={"behaviours": behaviours}), "r2")
    desk.send_all(desk.pager())
    [message] = desk.posted()
    assert "an earlier check also flagged sycophancy" in str(message["blocks"])
