"""Reviewers ask for more in Slack, over both transports, and are answered in the alert's thread."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.question import SuiteMeasured
from alerts.slack.question import asked_of
from alerts.verdict import Verdict
from deploy.fake_slack.workspace import Trigger
from monitor.database.schema import Question
from monitor.jobs.questions import MOST_WAITING, answer_question, cancel_question, fail_question
from monitor.paging.alert_token import token_of
from monitor.paging.pager import slack_client
from monitor.paging.slack_desk import SlackDesk
from tests.alerts import samples
from tests.alerts.steered import seeds_tried
from tests.alerts.suites import suite_json
from tests.monitor.jobs.questions import claim, give_answer, put_prompt
from tests.monitor.paging.alerting import ALERTS, Desk, alert_settings
from tests.monitor.paging.reviewers import use
from tests.waiting import until


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
