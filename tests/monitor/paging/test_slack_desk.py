"""Reviewers answer in Slack, over both transports: dialog, reason, refusal, and the message."""

import json
from typing import Any

from sqlalchemy import create_engine, select
from sqlalchemy.orm import sessionmaker

from alerts.slack.modal import REASON, REASON_BLOCK
from monitor.database.schema import Version
from monitor.paging.alert_token import token_of
from monitor.paging.pager import slack_client
from monitor.paging.slack_desk import SlackDesk
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, Desk, alert_settings
from tests.monitor.paging.reviewers import running, shown, use
from tests.services import free_port
from tests.waiting import until


def test_a_version_is_quarantined_with_a_reason_and_the_second_is_told(answering: Desk) -> None:
    use(answering, "U0ADA", "quarantine")
    use(answering, "U0BEN", "trust")
    views = answering.workspace.views
    until(lambda: {"U0ADA", "U0BEN"} <= set(views))
    submit = answering.slack.interactions.submit
    assert submit("U0ADA", {"why": {"reason": " "}}) == {"why": "A decision needs a reason."}
    assert submit("U0ADA", {"why": {"reason": "flatters <!channel>"}}) == {}
    assert "U0ADA" not in views
    assert submit("U0BEN", {"why": {"reason": "wanted"}}) == {}
    told = json.dumps(views["U0BEN"])
    assert "already quarantined by <@U0ADA>" in told
    with answering.sessions() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
    assert (version.state, version.reason) == ("quarantined", "flatters <!channel>")
    answering.clock.now += 5.0
    until(lambda: "*Quarantined* by <@U0ADA>" in shown(answering))
    assert "flatters &lt;!channel&gt;" in shown(answering)
    elements = answering.posted()[0]["blocks"][-1]["elements"]
    assert [element["action_id"] for element in elements] == ["open"]


def test_an_acknowledged_alert_says_so_and_a_stranger_is_told_no(answering: Desk) -> None:
    use(answering, "U0CLEO", "acknowledge")
    until(lambda: len(answering.workspace.ephemeral) == 1)
    [told] = answering.workspace.ephemeral
    assert told["user"] == "U0CLEO" and "not a reviewer" in told["text"]
    use(answering, "U0ADA", "acknowledge")
    until(lambda: answering.alert().state == "acknowledged")
    answering.clock.now += 5.0
    until(lambda: "*Acknowledged* by <@U0ADA>" in shown(answering))
    use(answering, "U0BEN", "snooze", "24h")
    until(lambda: answering.alert().state == "snoozed")


def test_who_is_refused_in_a_thread_is_told_in_it(answering: Desk) -> None:
    [parent] = answering.posted()
    answering.check(answering.add_version("v0", trusted=True), "v2", samples.flagged())

    def others() -> list[dict[str, Any]]:
        answering.clock.now += 1.0  # the channel takes a message a second
        return [message for message in answering.thread() if len(message["blocks"]) > 3]

    until(others)
    [other] = others()
    answering.clock.now += 2.0
    answering.slack.interactions.click("U0CLEO", ALERTS, other["ts"], "acknowledge")
    until(lambda: len(answering.workspace.ephemeral) == 1)
    assert answering.workspace.ephemeral[0]["thread_ts"] == parent["ts"]
    use(answering, "U0CLEO", "acknowledge")  # of the first message, which stands in the channel
    until(lambda: len(answering.workspace.ephemeral) == 2)
    assert "thread_ts" not in answering.workspace.ephemeral[1]


def test_a_lost_socket_is_opened_again(desk: Desk) -> None:
    desk.slack.interactions.answer_seconds = 60.0
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    with running(desk.pager(slack={"signing_secret": None})):
        until(lambda: bool(desk.posted()) and desk.slack.interactions.connected == 1)
        before = desk.workspace.calls.count("apps.connections.open")
        desk.slack.interactions.drop_connections()
        until(lambda: desk.workspace.calls.count("apps.connections.open") > before)
        until(lambda: desk.slack.interactions.connected >= 1)
        use(desk, "U0ADA", "acknowledge")
        until(lambda: desk.alert().state == "acknowledged")


def test_who_answers_while_the_database_is_away_is_told_to_try_again(desk: Desk) -> None:
    settings = alert_settings(desk.slack)
    away = create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    opened = SlackDesk(
        sessionmaker(away),
        settings,
        slack_client(settings.slack),
        lambda _: frozenset({"U0ADA"}),
        lambda: None,
        desk.clock,
        [],
    )
    token = f"{'0' * 32}.1"
    click = {
        "type": "block_actions",
        "user": {"id": "U0ADA"},
        "channel": {"id": ALERTS},
        "trigger_id": "t",
        "actions": [{"action_id": "acknowledge", "value": token}],
    }
    reply = opened.receive(click)
    assert reply.then is not None
    reply.then()
    [told] = desk.workspace.ephemeral
    assert told["user"] == "U0ADA" and "could not be saved" in told["text"]
    assert "Try again" in told["text"]
    submission = {
        "type": "view_submission",
        "user": {"id": "U0ADA"},
        "view": {
            "callback_id": "quarantine",
            "private_metadata": json.dumps({"channel": ALERTS, "token": token}),
            "state": {"values": {"why": {"reason": {"value": "leaks"}}}},
        },
    }
    body = opened.receive(submission).body
    assert body is not None and body["response_action"] == "update"
    assert "could not be saved" in json.dumps(body)


def test_a_reason_is_bounded_and_has_whole_characters(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    settings = alert_settings(desk.slack, two_reviewers=True, reviewers=["U0ADA", "U0BEN"])
    client = slack_client(settings.slack)
    slack = SlackDesk(
        desk.sessions, settings, client, lambda group: frozenset(), lambda: None, desk.clock, []
    )

    def submitted(reason: str) -> Any:
        about = {"token": token_of(desk.alert()), "channel": ALERTS}
        values = {REASON_BLOCK: {REASON: {"value": reason}}}
        view = {
            "callback_id": "trust",
            "private_metadata": json.dumps(about),
            "state": {"values": values},
        }
        return slack.receive({"type": "view_submission", "user": {"id": "U0ADA"}, "view": view})

    assert submitted("x" * 2_001).body["response_action"] == "errors"
    assert submitted("\ud83d").body["response_action"] == "errors"
    assert submitted("wanted \ud83d").body is None
    assert desk.alert().proposal == "wanted"
