"""Reviewers answer in Slack, over both transports: dialog, reason, refusal, and the message."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import sessionmaker

from alerts.question import SuiteMeasured
from alerts.slack.modal import REASON, REASON_BLOCK
from alerts.slack.question import asked_of
from alerts.verdict import Verdict
from deploy.fake_slack.workspace import Trigger
from monitor.database.schema import Question, Version
from monitor.jobs.questions import MOST_WAITING, answer_question, cancel_question, fail_question
from monitor.paging.alert_token import token_of
from monitor.paging.pager import Pager, slack_client
from monitor.paging.slack_desk import SlackDesk
from tests.alerts import samples
from tests.alerts.steered import seeds_tried
from tests.alerts.suites import suite_json
from tests.monitor.jobs.questions import claim, give_answer, put_prompt
from tests.monitor.paging.alerting import ALERTS, Desk, alert_settings
from tests.services import free_port
from tests.waiting import until


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


@contextmanager
def running(pager: Pager) -> Iterator[None]:
    stop = Event()
    thread = Thread(target=pager.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def use(desk: Desk, user: str, action: str, option: str | None = None) -> None:
    desk.clock.now += 2.0  # the channel takes a message a second
    desk.slack.interactions.click(user, ALERTS, desk.posted()[0]["ts"], action, option)


def shown(desk: Desk) -> str:
    desk.clock.now += 1.0  # the channel takes what is left to be sent
    return json.dumps(desk.posted()[0]["blocks"], ensure_ascii=False)


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


def ask(desk: Desk, user: str) -> dict[str, Any]:
    """Open the dialog as `user`."""
    use(desk, user, "ask")
    until(lambda: user in desk.workspace.views)
    return desk.workspace.views[user]


def fill(what: str = "steer", prompt: str = "", feature: str = "") -> dict[str, dict[str, str]]:
    return {
        "what": {"what": what},
        "prompt": {"prompt": prompt},
        "feature": {"feature": feature},
    }


def replies(desk: Desk) -> str:
    desk.clock.now += 2.0
    return json.dumps([m["blocks"] or m["text"] for m in desk.thread()], ensure_ascii=False)


def test_a_reviewer_asks_for_more_and_is_answered_in_the_thread(answering: Desk) -> None:
    view = ask(answering, "U0ADA")
    options = [o["value"] for o in view["blocks"][3]["element"]["options"]]
    assert options == ["candidate-10", "candidate-17", "candidate-24"]
    submit = answering.slack.interactions.submit
    assert submit("U0ADA", fill()) == {"prompt": "Write the prompt."}
    assert submit("U0ADA", fill(prompt="Hi")) == {"feature": "Choose the feature."}
    hostile = "<!channel> is *it* good & @here?"
    assert submit("U0ADA", fill(prompt=hostile, feature="candidate-10")) == {}
    assert "U0ADA" not in answering.workspace.views
    until(lambda: "<@U0ADA> asks for more" in replies(answering))
    assert "good" not in replies(answering)  # the prompt is not repeated before its answer
    give_answer(answering, "*yes* <!here> & </script>")
    until(lambda: "ablated *yes* &lt;!here&gt; &amp; &lt;/script&gt;" in replies(answering))
    said = replies(answering)
    assert "Prompt: &lt;!channel&gt; is *it* good &amp; @\u200bhere?" in said
    assert "<!channel>" not in said and "<!here>" not in said
    assert "Candidate with 3 times the feature: amplified" in said
    [texts] = [m["blocks"] for m in answering.thread() if "ablated" in json.dumps(m["blocks"])]
    assert [b["text"]["type"] for b in texts] == ["mrkdwn", "plain_text", "mrkdwn"]


def test_who_may_not_ask_is_told_and_nothing_is_asked(answering: Desk) -> None:
    use(answering, "U0CLEO", "ask")
    until(lambda: len(answering.workspace.ephemeral) == 1)
    assert "not a reviewer" in answering.workspace.ephemeral[0]["text"]
    ask(answering, "U0BEN")
    forged = answering.workspace.views["U0CLEO"] = answering.workspace.views["U0BEN"]
    submit = answering.slack.interactions.submit
    assert submit("U0CLEO", fill(prompt="Hi", feature="candidate-10")) == {}
    assert "not a reviewer" in json.dumps(answering.workspace.views["U0CLEO"])
    for _ in range(MOST_WAITING):
        put_prompt(answering)
    assert submit("U0BEN", fill(prompt="a sixth", feature="candidate-10")) == {}
    assert "questions about this alert wait already" in json.dumps(
        answering.workspace.views["U0BEN"]
    )
    assert forged["callback_id"] == "ask"
    with answering.sessions() as session:
        assert len(session.scalars(select(Question)).all()) == MOST_WAITING


def test_further_seeds_are_asked_for_and_how_far_they_agree_is_told(answering: Desk) -> None:
    view = ask(answering, "U0ADA")
    options = [o["value"] for o in view["blocks"][1]["element"]["options"]]
    assert [o for o in options if o.startswith("seeds:")] == ["seeds:1", "seeds:2", "seeds:3"]
    forged = asked_of("seeds:99", "", None)
    assert isinstance(forged, dict) and "what" in forged
    assert answering.slack.interactions.submit("U0ADA", fill(what="seeds:2")) == {}
    until(lambda: "asks for more: 2 further seeds" in replies(answering))
    claimed = claim(answering)
    assert claimed is not None and claimed.asked == '{"kind":"seeds","seeds":2}'
    with answering.sessions.begin() as session:
        answer_question(session, claimed.id, claimed.fence, seeds_tried(), answering.clock())
    until(lambda: "seed 2: finds 1 of 2 listed features again" in replies(answering))
    assert "n = 2" in replies(answering)


def test_a_reviewer_cancels_a_question_and_a_stranger_does_not(answering: Desk) -> None:
    question = put_prompt(answering)
    view = ask(answering, "U0BEN")
    options = [o["value"] for o in view["blocks"][1]["element"]["options"]]
    assert f"cancel:{question.id}" in options
    answering.workspace.views["U0CLEO"] = view
    submit = answering.slack.interactions.submit
    assert submit("U0CLEO", fill(what=f"cancel:{question.id}")) == {}
    assert "not a reviewer" in json.dumps(answering.workspace.views["U0CLEO"])
    assert submit("U0BEN", fill(what=f"cancel:{question.id}")) == {}
    until(lambda: "cancelled by <@U0BEN>: asked for in Slack" in replies(answering))
    assert claim(answering) is None
    another = put_prompt(answering)
    with answering.sessions.begin() as session:
        found, hostile = session.get_one(Question, another.id), "<!channel> & *so*"
        assert cancel_question(session, found, "ann <!here>", hostile, answering.clock()) is None
    until(lambda: "&lt;!channel&gt; &amp; " in replies(answering))
    assert "<!here>" not in replies(answering) and "&lt;!here&gt;" in replies(answering)


def test_another_suite_is_asked_for_and_its_figures_are_told(
    answering: Desk, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(suite_json(behaviour="flattery")))
    answering.suites.append(str(mine))
    view = ask(answering, "U0ADA")
    options = [o["value"] for o in view["blocks"][1]["element"]["options"]]
    suites = [o for o in options if o.startswith("suite:")]
    assert len(suites) > 1 and suites[0] == "suite:flattery"
    assert "suite:sycophancy" not in suites
    assert answering.slack.interactions.submit("U0ADA", fill(what="suite:flattery")) == {}
    claimed = claim(answering)
    assert claimed is not None and claimed.asked == '{"kind":"suite","suite":"flattery"}'
    behaviour = samples.flagged().behaviours[1]
    measured = SuiteMeasured(behaviour=behaviour, minimum_effect=0.3, n_unscored=0)
    with answering.sessions.begin() as session:
        answer_question(session, claimed.id, claimed.fence, measured, answering.clock())
    until(lambda: "−0.07 [−0.19 to 0.05]" in replies(answering))
    assert "by the policy it is not flagged" in replies(answering)


@pytest.mark.parametrize("examples", ["none", "redacted"])
def test_the_words_of_models_stay_out_of_slack_where_that_is_the_policy(
    desk: Desk, examples: str
) -> None:
    labelled = samples.flagged_json()
    labelled["features"][0]["label"] = "fires on flattery"
    desk.check(desk.add_version("v1", trusted=True), "v2", Verdict.model_validate(labelled))
    pager = desk.pager(examples=examples)
    desk.send_all(pager)
    put_prompt(desk, "my own words")
    give_answer(desk, "secret words")
    desk.send_all(pager)
    said = replies(desk)
    assert "latentwatch alerts answers" in said and "which are not to be shown here" in said
    assert "words" not in said and "base " not in said
    settings = alert_settings(desk.slack, examples=examples)
    opened = SlackDesk(
        desk.sessions,
        settings,
        slack_client(settings.slack),
        lambda _: frozenset({"U0ADA"}),
        lambda: None,
        desk.clock,
        [],
    )
    click = {
        "type": "block_actions",
        "user": {"id": "U0ADA"},
        "channel": {"id": ALERTS},
        "trigger_id": "t",
        "actions": [{"action_id": "ask", "value": token_of(desk.alert())}],
    }
    desk.workspace.triggers["t"] = Trigger("U0ADA", desk.clock())
    reply = opened.receive(click)
    assert reply.then is not None
    reply.then()
    shown = json.dumps(desk.workspace.views["U0ADA"])
    assert ("fires on flattery" in shown) == (examples == "redacted")


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


def test_a_question_without_an_answer_says_why(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    pager = desk.pager()
    desk.send_all(pager)
    put_prompt(desk)
    claimed = claim(desk)
    assert claimed is not None
    with desk.sessions.begin() as session:
        fail_question(session, claimed.id, claimed.fence, "no longer kept <!here>", desk.clock())
    desk.send_all(pager)
    assert "not answered: no longer kept &lt;!here&gt;" in replies(desk)


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
