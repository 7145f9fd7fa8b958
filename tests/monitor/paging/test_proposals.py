"""A proposal to trust a version is heard by who has to agree, until somebody has."""

from sqlalchemy import select

from alerts.alert_events import Acknowledge, Propose
from monitor.alerting.alerts import apply
from monitor.database.schema import AlertRow, Trust, Version
from monitor.lineage.trust import move
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, START, Desk
from tests.monitor.paging.told import NIGHTS

ROUTE = {"channel": ALERTS, "mention": "S0NIGHT", "repeat_seconds": 3600}


def answer(desk: Desk, event: type[Propose] | type[Acknowledge], *reason: str) -> None:
    with desk.sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        given = event("slack:U0ADA", row.revision, *reason)
        assert apply(session, row, given, desk.clock()) is None


def trust(desk: Desk) -> None:
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, version, Trust.TRUSTED, actor="ben", reason="agreed", now=desk.clock())


def said(desk: Desk, words: str) -> list[str]:
    """What stands in the thread and in the channel."""
    return [
        message["text"]
        for message in desk.posted()
        if words in message["text"] and message.get("subtype") == "thread_broadcast"
    ]


def test_a_proposal_calls_the_routes_people_and_is_repeated_until_somebody_agrees(
    desk: Desk,
) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    pager = desk.pager(routes=[ROUTE])
    desk.send_all(pager)
    answer(desk, Acknowledge)
    answer(desk, Propose, "wanted")
    desk.send_all(pager)
    [proposal] = said(desk, "<@U0ADA> wants to trust it")
    assert "wanted <!subteam^S0NIGHT>" in proposal and "`FLAGGED (critical)" in proposal
    for repeats in (1, 2):
        desk.clock.now += 3600.0
        desk.send_all(pager)
        reminders = said(desk, "Nobody has answered for")
        assert len(reminders) == repeats
    assert "a second reviewer has to agree" in reminders[0]
    trust(desk)
    desk.clock.now += 90_000.0
    desk.send_all(pager)
    assert len(said(desk, "Nobody has answered for")) == 2
    assert len(said(desk, "wants to trust it")) == 1


def test_a_proposal_to_which_somebody_agreed_in_quiet_hours_calls_nobody_in_the_morning(
    desk: Desk,
) -> None:
    desk.clock.now = START - START % 86_400 + 21 * 3600.0
    mild = samples.flagged().model_copy(update={"severity": "warning"})
    desk.check(desk.add_version("v1", trusted=True), "v2", mild)
    pager = desk.pager(routes=[{**ROUTE, "repeat_seconds": 86_400, "quiet": [NIGHTS]}])
    desk.send_all(pager)
    desk.clock.now += 2 * 3600.0
    answer(desk, Propose, "wanted")
    pager.step()
    desk.clock.now += 60.0
    trust(desk)
    desk.send_all(pager)
    desk.clock.now += 9 * 3600.0
    desk.send_all(pager)
    assert said(desk, "wants to trust it") == []
    assert any("ben trusted" in message["text"] for message in desk.thread())


def test_a_proposal_that_lapsed_in_quiet_hours_calls_nobody_in_the_morning(desk: Desk) -> None:
    desk.clock.now = START - START % 86_400 + 21 * 3600.0
    mild = samples.flagged().model_copy(update={"severity": "warning"})
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", mild)
    pager = desk.pager(routes=[{**ROUTE, "repeat_seconds": 86_400, "quiet": [NIGHTS]}])
    desk.send_all(pager)
    desk.clock.now += 2 * 3600.0
    for why, recipe in (("wanted", "r2"), ("wanted again", "r3")):
        answer(desk, Propose, why)
        pager.step()
        desk.clock.now += 60.0
        desk.check(base, "v2", mild, recipe)
        pager.step()
    answer(desk, Propose, "wanted after all")
    pager.step()
    desk.clock.now += 9 * 3600.0
    desk.send_all(pager)
    [proposal] = said(desk, "wants to trust it")
    assert "wanted after all" in proposal
