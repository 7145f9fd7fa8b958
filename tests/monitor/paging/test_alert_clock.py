"""What time does to alerts: overdue checks, reminders, the ladder; and what is grouped."""

from typing import Any

import pytest
from sqlalchemy import event, select, text

from alerts.alert import Finding
from alerts.alert_events import Acknowledge, Measured
from alerts.alert_steps import begin
from alerts.escalation import remind
from alerts.routing import Route
from deploy.fake_slack.workspace import Channel
from monitor.alerting.alerts import apply
from monitor.alerting.view import router_of
from monitor.database.schema import AlertRow, Trust, Version
from monitor.lineage.trust import move
from monitor.paging.alert_clock import tick
from monitor.paging.pager import Pager
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, START, Desk, SampleResults, alert_settings

ROUTE = Route.model_validate(
    {
        "channel": ALERTS,
        "repeat_seconds": 3600,
        "ladder": [
            {"after_seconds": 900, "mention": "S0SAFETY"},
            {"after_seconds": 2700, "mention": "S0LEADS"},
        ],
    }
)


def registered(desk: Desk, at: float) -> None:
    with desk.sessions.begin() as session:
        session.execute(text(f"UPDATE versions SET registered_at = {at}"))


def alerts(desk: Desk) -> list[AlertRow]:
    with desk.sessions() as session:
        return list(session.scalars(select(AlertRow).order_by(AlertRow.id)))


@pytest.mark.parametrize("base", [True, False])
def test_a_version_that_waits_too_long_is_an_alert_and_its_verdict_changes_it(
    desk: Desk, base: bool
) -> None:
    trusted = desk.add_version("v1", trusted=True) if base else None
    desk.add_version("v2")
    registered(desk, START)
    pager = desk.pager(unchecked_seconds=600)
    desk.clock.now += 590.0
    desk.send_all(pager)
    assert desk.posted() == []
    desk.clock.now += 10.0
    desk.send_all(pager)
    [message] = desk.posted()
    assert message["text"].startswith("⚪ UNCHECKED: assistant @")
    assert "has had no verdict for over 10 min" in message["text"]
    if trusted is not None:
        desk.check(trusted, "v2", samples.flagged())
        desk.send_all(pager)
        assert message["text"].startswith("🔴 FLAGGED (critical)")
        assert [row.finding for row in alerts(desk)] == [Finding.FLAGGED]


def test_an_overdue_check_without_a_base_gives_way_to_the_one_with_a_base(desk: Desk) -> None:
    desk.add_version("v2")
    registered(desk, START)
    desk.clock.now += 601.0
    pager = desk.pager(unchecked_seconds=600)
    pager.step()
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    assert [(row.finding, row.state) for row in alerts(desk)] == [
        ("unchecked", "superseded"),
        ("flagged", "open"),
    ]


def test_the_ladder_is_climbed_and_the_alert_repeated_while_nobody_acknowledges() -> None:
    alert = begin(Measured(Finding.FLAGGED, "warning", "it flatters"), START)

    def said(waited: float) -> list[str]:
        return [reminder.text for reminder in remind([ROUTE], alert, START + waited)]

    assert said(899) == []
    assert [text.split()[0] for text in said(900)] == ["<!subteam^S0SAFETY>"]
    assert [text.split()[0] for text in said(2700)] == ["<!subteam^S0SAFETY>", "<!subteam^S0LEADS>"]
    assert said(3600)[2].startswith("Still open after 1 h 0 min")
    keys = [remind([ROUTE], alert, START + waited)[-1].key for waited in (3600, 7199, 7200)]
    assert keys[0] == keys[1] != keys[2]


def test_reminders_are_said_once_in_the_thread_and_end_with_an_answer(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    pager = desk.pager(routes=[ROUTE.model_dump()])
    desk.send_all(pager)
    for _ in range(4):
        desk.clock.now += 300.0
        desk.send_all(pager)
    [reminder] = [m for m in desk.thread() if "subteam" in m["text"]]
    assert "\n`FLAGGED (critical): assistant @ v2 (" in reminder["text"]
    assert reminder["subtype"] == "thread_broadcast"
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, version, Trust.QUARANTINED, actor="ann", reason="leaks", now=desk.clock())
    desk.clock.now += 90_000.0
    desk.send_all(pager)
    said = [m["text"] for m in desk.thread()]
    assert sum("subteam" in text for text in said) == 1
    assert any(text.startswith("ann quarantined") and "leaks" in text for text in said)


def test_a_tick_asks_the_same_of_the_database_however_many_alerts_are_open(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    pager, engine = desk.pager(routes=[ROUTE.model_dump()]), desk.sessions.kw["bind"]
    statements: list[str] = []

    def note(*about: object) -> None:
        statements.append(str(about[2]))

    def asked() -> int:
        for _ in range(2):  # the second says no reminder that the first has not said
            desk.clock.now += 1000.0
            desk.send_all(pager)
        with desk.sessions() as session:
            router = router_of(session, [ROUTE])
            event.listen(engine, "before_cursor_execute", note)
            statements.clear()
            tick(session, router, ["C0ALERTS"], 86_400.0, desk.clock())
            event.remove(engine, "before_cursor_execute", note)
        return len(statements)

    desk.check(base, "v2", samples.flagged())
    one = asked()
    for number in range(3, 8):
        desk.check(base, f"v{number}", samples.flagged())
    assert asked() == one > 0
    assert sum("subteam" in m["text"] for m in desk.thread()) > 0


def test_what_rises_to_critical_calls_the_routes_people_and_so_does_its_sibling(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    mild = samples.flagged().model_copy(update={"severity": "warning"})
    desk.check(base, "v2", mild)
    pager = desk.pager(routes=[ROUTE.model_copy(update={"mention": "S0NIGHT"}).model_dump()])
    desk.send_all(pager)
    desk.clock.now += 60.0
    risen = desk.clock.now
    desk.check(base, "v2", samples.flagged(), recipe="r2")
    desk.check(desk.add_version("v0", trusted=True), "v2", None)
    desk.send_all(pager)
    [worse] = [m for m in desk.thread() if m["text"].startswith("*It is worse now: critical")]
    assert worse["text"].splitlines()[0].endswith(" <!subteam^S0NIGHT>")
    assert alerts(desk)[0].opened_at == risen
    assert "Also about this version" in str(desk.posted()[0]["blocks"])
    assert "undecided (warning), open, against" in str(desk.posted()[0]["blocks"])


def test_alerts_about_one_candidate_share_a_thread(desk: Desk) -> None:
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    desk.check(first, "v2", None)
    pager = desk.pager()
    desk.send_all(pager)
    desk.check(anchor, "v2", samples.flagged())
    desk.send_all(pager)
    parent, worse = desk.posted()
    assert parent["text"].startswith("⚪ UNDECIDED")
    assert worse["text"].startswith("🔴 FLAGGED") and worse["thread_ts"] == parent["ts"]
    [picture] = [message["files"][0] for message in desk.thread() if message.get("files")]
    assert "Sycophancy rose by 3.45 nats per token" in picture["alt_txt"]


def test_an_alert_in_the_thread_of_one_that_has_ended_stands_in_the_channel_too(desk: Desk) -> None:
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    pager = desk.pager()
    desk.check(first, "v2", samples.flagged())
    desk.send_all(pager)
    decide(desk, "v1", Trust.QUARANTINED)
    desk.check(anchor, "v2", samples.flagged())  # what it was flagged against counts no more
    assert [row.state for row in alerts(desk)] == ["superseded", "open"]
    desk.send_all(pager)
    ended, waits = desk.posted()
    assert waits["text"].startswith("🔴 FLAGGED") and waits["thread_ts"] == ended["ts"]
    desk.check(desk.add_version("v3", trusted=True), "v2", None)
    desk.send_all(pager)
    assert len(desk.posted()) == 2  # no worse than what waits there


def test_a_check_that_fails_ends_no_page(desk: Desk) -> None:
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    desk.check(first, "v2", samples.flagged())
    decide(desk, "v1", Trust.QUARANTINED)
    desk.check(anchor, "v2", None)
    assert [(row.finding, row.state) for row in alerts(desk)] == [
        ("flagged", "open"),
        ("undecided", "open"),
    ]


def test_what_gets_worse_is_said_though_something_as_bad_stands_in_its_thread(desk: Desk) -> None:
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    pager = desk.pager()
    desk.check(first, "v2", samples.flagged().model_copy(update={"severity": "warning"}))
    desk.send_all(pager)
    desk.check(anchor, "v2", samples.flagged())
    desk.send_all(pager)
    acknowledge_one(desk, anchor)
    desk.check(first, "v2", samples.flagged(), recipe="r2")
    desk.send_all(pager)
    assert [m["text"] for m in desk.posted() if "*It is worse now: critical.*" in m["text"]]


def acknowledge_one(desk: Desk, base: Version) -> None:
    with desk.sessions.begin() as session:
        row = session.scalars(select(AlertRow).filter_by(base_digest=base.content_digest)).one()
        assert apply(session, row, Acknowledge("slack:U0ADA", row.revision), desk.clock()) is None


def test_an_open_alert_is_shown_where_its_route_leads_when_a_reminder_is_due(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    desk.send_all(desk.pager())
    desk.workspace.channels["C0NEW"] = Channel("C0NEW", "new")
    desk.workspace.messages["C0NEW"] = []
    moved = desk.pager(routes=[{"channel": "C0NEW", "repeat_seconds": 3600.0}])
    moved.step()
    assert desk.posted("C0NEW") == []  # nobody is told of all that is open again
    desk.clock.now += 3600.0
    desk.send_all(moved)
    shown, reminder = desk.posted("C0NEW")
    assert shown["text"].startswith("🔴 FLAGGED") and "Still open" in reminder["text"]


def decide(desk: Desk, name: str, to: Trust) -> None:
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name=name)).one()
        move(session, version, to, actor="ann", reason="leaks", now=desk.clock())


def test_what_was_decided_before_it_was_posted_pages_nobody(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, version, Trust.QUARANTINED, actor="ann", reason="leaks", now=START)
    desk.send_all(desk.pager())
    assert desk.posted() == []


def test_a_quarantined_candidate_raises_nothing_more(desk: Desk) -> None:
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    desk.check(first, "v2", samples.flagged())
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, version, Trust.QUARANTINED, actor="ann", reason="leaks", now=START)
    desk.check(anchor, "v2", samples.flagged())
    assert [row.state for row in alerts(desk)] == ["quarantined"]


def test_a_comparison_with_what_is_not_trusted_is_no_alert(desk: Desk) -> None:
    desk.check(desk.add_version("v1"), "v2", samples.flagged())
    assert alerts(desk) == []


def test_a_flag_from_before_there_were_alerts_is_raised_at_the_start(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    with desk.sessions.begin() as session:
        session.execute(text("DELETE FROM alerts"))
    assert alerts(desk) == []
    stop = _StopAtOnce()
    desk.pager(slack={"app_token": None, "signing_secret": None}).run(stop)  # type: ignore[arg-type]
    assert [row.finding for row in alerts(desk)] == [Finding.FLAGGED]


class _StopAtOnce:
    def is_set(self) -> bool:
        return True


def test_without_a_way_to_answer_there_are_no_buttons_but_the_link(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    desk.send_all(desk.pager(slack={"app_token": None, "signing_secret": None}))
    [message] = desk.posted()
    elements: list[Any] = message["blocks"][-1]["elements"]
    assert [element["action_id"] for element in elements] == ["open"]


def test_a_clock_that_is_set_back_keeps_nobody_from_hearing(desk: Desk) -> None:
    """As on a machine that has begun two hours ahead until the time servers answered."""
    offset = [7200.0]
    pager = Pager(
        *(desk.sessions, alert_settings(desk.slack), SampleResults(), desk.reports.append, []),
        clock=lambda: desk.clock() + offset[0],
        elapsed=desk.clock,
    )
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    pager.step()
    assert len(desk.posted()) == 1
    desk.check(base, "v3", samples.flagged())
    assert pager.plan()  # to be sent from now on, by the wrong clock
    offset[0] = 0.0
    desk.send_all(pager)
    assert len(desk.posted()) == 2
