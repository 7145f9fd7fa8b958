"""Answers to an alert: who may give them, who was first, and that they change what is trusted."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text

from alerts.alert import AlertState, Finding
from alerts.alert_steps import Refusal
from alerts.channel import RefusedError
from alerts.slack.interaction import Asking, Click, Submission
from monitor.database.schema import AlertRow, Audit, Question, QuestionState, Trust, Version
from monitor.lineage.trust import move, verify_audit
from monitor.paging.alert_token import token_of
from monitor.paging.decisions import Answer, Ask, Done, answer, cancel_asked, may_answer
from monitor.settings.alerts import AlertSettings
from tests.alerts import samples
from tests.monitor.jobs.questions import put_prompt
from tests.monitor.paging.alerting import START, Desk, alert_settings

ADA, BEN, CLEO = "U0ADA", "U0BEN", "U0CLEO"
Given = Callable[..., Answer]


def members(group: str) -> frozenset[str]:
    return frozenset({ADA, BEN}) if group == "S0SAFETY" else frozenset()


@pytest.fixture
def flagged(desk: Desk) -> Desk:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    return desk


def click(
    desk: Desk, user: str, action: str, option: str | None = None, **changes: object
) -> Answer:
    given = Click(user, "C0ALERTS", action, token_of(desk.alert()), "trigger", option)
    settings = alert_settings(desk.slack)
    return answer(desk.sessions, settings, members, given._replace(**changes), desk.clock(), [])


def submit(
    desk: Desk, user: str, action: str, reason: str, token: str | None = None, **settings: object
) -> Answer:
    given = Submission(user, "C0ALERTS", action, token or token_of(desk.alert()), reason)
    used = alert_settings(desk.slack, **settings)
    return answer(desk.sessions, used, members, given, desk.clock(), [])


def state_of(desk: Desk, name: str) -> tuple[str, str | None]:
    with desk.sessions() as session:
        version = session.scalars(select(Version).filter_by(name=name)).one()
        assert verify_audit(session) == []
        return version.state, version.reason


@pytest.mark.parametrize("action, state", [("trust", "trusted"), ("quarantine", "quarantined")])
def test_a_decision_moves_the_version_and_ends_the_alert(
    flagged: Desk, action: str, state: str
) -> None:
    assert click(flagged, ADA, action) == Ask(version="assistant: v2 (" + digest(flagged) + ")")
    assert submit(flagged, ADA, action, "read all answers") == Done()
    assert state_of(flagged, "v2") == (state, "read all answers")
    alert = flagged.alert()
    assert (alert.state, alert.changed_by) == (state, "slack:U0ADA")
    with flagged.sessions() as session:
        moves = session.scalars(select(Audit).order_by(Audit.id.desc()).limit(2)).all()
    assert [move.actor for move in moves] == ["slack:U0ADA"] * 2


def digest(desk: Desk) -> str:
    return desk.alert().candidate_digest[:7]


def test_who_is_no_reviewer_changes_nothing(flagged: Desk) -> None:
    for refused in (
        click(flagged, CLEO, "acknowledge"),
        click(flagged, CLEO, "snooze", "4h"),
        submit(flagged, CLEO, "trust", "please"),
    ):
        assert isinstance(refused, Refusal) and "not a reviewer" in refused.reason
    assert flagged.alert().revision == 1
    assert state_of(flagged, "v2")[0] == Trust.FLAGGED


def test_a_group_that_can_not_be_read_locks_out_nobody_of_another() -> None:
    settings = AlertSettings.model_validate(
        {"reviewers": ["S0OLD", "S0SAFETY"], "routes": [{"channel": "C0ALERTS"}]}
    )

    def some(group: str) -> frozenset[str]:
        if group == "S0OLD":
            raise RefusedError("no_such_subteam")
        return members(group)

    assert may_answer(settings, some, ADA)
    with pytest.raises(RefusedError, match="no_such_subteam"):
        may_answer(settings, some, CLEO)


def test_the_second_of_two_is_told_who_was_first(flagged: Desk) -> None:
    seen = token_of(flagged.alert())
    assert submit(flagged, ADA, "quarantine", "flatters", seen) == Done()
    flagged.clock.now += 120.0
    second = submit(flagged, BEN, "trust", "wanted", seen)
    assert second == Refusal("already quarantined", "slack:U0ADA", START)
    assert click(flagged, BEN, "acknowledge", token=seen) == second
    assert state_of(flagged, "v2") == ("quarantined", "flatters")


def test_an_answer_to_what_has_changed_since_is_refused(flagged: Desk) -> None:
    seen = token_of(flagged.alert())
    assert click(flagged, ADA, "acknowledge") == Done()
    assert submit(flagged, BEN, "trust", "wanted", seen) == Refusal(
        "already acknowledged", "slack:U0ADA", START
    )
    assert submit(flagged, BEN, "trust", "wanted") == Done()


def test_a_decision_needs_a_reason(flagged: Desk) -> None:
    refused = submit(flagged, ADA, "trust", "  \n")
    assert isinstance(refused, Refusal) and "reason" in refused.reason
    assert state_of(flagged, "v2")[0] == Trust.FLAGGED


def test_a_flagged_version_is_trusted_by_two_where_that_is_asked_for(flagged: Desk) -> None:
    two = {"two_reviewers": True}
    assert submit(flagged, ADA, "trust", "wanted", **two) == Done()
    assert state_of(flagged, "v2")[0] == Trust.FLAGGED
    again = submit(flagged, ADA, "trust", "really", **two)
    assert isinstance(again, Refusal) and "somebody else" in again.reason
    assert submit(flagged, BEN, "trust", "agreed", **two) == Done()
    assert state_of(flagged, "v2") == ("trusted", "agreed")
    with flagged.sessions() as session:
        rows = session.scalars(select(Audit).where(Audit.subject.is_not(None)).order_by(Audit.id))
        told = [(row.from_state, row.to_state, row.actor) for row in rows]
    assert told == [
        ("none", "open", "latentwatch"),
        ("open", "open", "slack:U0ADA"),
        ("open", "trusted", "slack:U0BEN"),
    ]


def test_no_sibling_lets_one_reviewer_trust_what_is_flagged(desk: Desk) -> None:
    two = {"two_reviewers": True}
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    desk.check(anchor, "v2", samples.flagged())
    desk.check(first, "v2", None)
    with desk.sessions() as session:
        undecided = session.scalars(select(AlertRow).filter_by(finding="undecided")).one()
    sibling = token_of(undecided)
    assert submit(desk, ADA, "trust", "harmless", sibling, **two) == Done()
    assert state_of(desk, "v2")[0] != Trust.TRUSTED
    with desk.sessions() as session:
        rows = session.scalars(select(AlertRow).order_by(AlertRow.id)).all()
    assert {row.proposed_by for row in rows} == {"slack:U0ADA"}
    assert submit(desk, BEN, "trust", "agreed", token_of(rows[0]), **two) == Done()
    assert state_of(desk, "v2") == ("trusted", "agreed")


def test_a_proposal_lapses_with_the_evidence_it_was_made_on(desk: Desk) -> None:
    two, base = {"two_reviewers": True}, desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    pager = desk.pager()
    desk.send_all(pager)
    assert submit(desk, ADA, "trust", "wanted", **two) == Done()
    desk.check(base, "v2", samples.flagged(), recipe="r2")  # says the same, on other evidence
    assert desk.alert().proposed_by is None
    assert submit(desk, BEN, "trust", "agreed", **two) == Done()
    assert state_of(desk, "v2")[0] == Trust.FLAGGED
    desk.check(desk.add_version("v0", trusted=True), "v2", None)
    with desk.sessions() as session:
        assert {row.proposed_by for row in session.scalars(select(AlertRow))} == {None}
    desk.send_all(pager)
    said = [message["text"] for message in desk.thread()]
    assert sum("The proposal to trust it has lapsed" in text for text in said) == 2
    assert any("wants to trust it" in text and text.endswith(": wanted") for text in said)


def test_one_reviewer_quarantines_in_any_case(flagged: Desk) -> None:
    assert submit(flagged, ADA, "quarantine", "flatters", two_reviewers=True) == Done()
    assert state_of(flagged, "v2")[0] == Trust.QUARANTINED


def test_a_snooze_always_has_an_end(flagged: Desk) -> None:
    assert click(flagged, ADA, "snooze", "4h") == Done()
    alert = flagged.alert()
    assert (alert.state, alert.snoozed_until) == (AlertState.SNOOZED, START + 4 * 3600)
    pager = flagged.pager()
    pager.step()
    flagged.clock.now += 4 * 3600 - 1
    pager.step()
    assert flagged.alert().state == AlertState.SNOOZED
    flagged.clock.now += 11.0
    pager.step()
    assert flagged.alert().state == AlertState.OPEN


def test_a_snooze_until_the_next_version_ends_with_it(flagged: Desk) -> None:
    assert click(flagged, ADA, "snooze", "next") == Done()
    assert flagged.alert().snoozed_until == START + 7 * 24 * 3600
    pager = flagged.pager()
    pager.step()
    assert flagged.alert().state == AlertState.SNOOZED
    flagged.add_version("v3")
    with flagged.sessions.begin() as session:
        session.execute(text(f"UPDATE versions SET registered_at = {START + 5} WHERE name = 'v3'"))
    flagged.clock.now += 20.0
    pager.step()
    with flagged.sessions() as session:
        assert verify_audit(session) == []
    assert flagged.alert().state == AlertState.OPEN


def test_what_gets_worse_ends_acknowledging_and_snoozing(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    assert click(desk, ADA, "acknowledge") == Done()
    desk.check(base, "v2", None)  # the same again
    assert desk.alert().state == AlertState.ACKNOWLEDGED
    desk.check(base, "v2", samples.flagged(), recipe="r2")
    alert = desk.alert()
    assert (alert.state, alert.finding, alert.severity) == ("open", Finding.FLAGGED, "critical")


def test_a_decision_on_the_command_line_ends_the_alert_too(flagged: Desk) -> None:
    with flagged.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, version, Trust.QUARANTINED, actor="ann", reason="leaks", now=START + 9)
    alert = flagged.alert()
    assert (alert.state, alert.changed_by, alert.reason) == ("quarantined", "ann", "leaks")


def test_an_unknown_or_mangled_button_is_refused(flagged: Desk) -> None:
    for token in ("", "x.1", "0" * 32 + ".1", token_of(flagged.alert()) + "0" * 9):
        refused = click(flagged, ADA, "acknowledge", token=token)
        assert isinstance(refused, Refusal) and "not known" in refused.reason


def test_an_alert_whose_row_was_changed_is_found(flagged: Desk) -> None:
    with flagged.sessions.begin() as session:
        session.execute(text("UPDATE alerts SET state = 'trusted'"))
    with flagged.sessions() as session:
        assert any("is trusted but the log says open" in found for found in verify_audit(session))


def test_a_question_is_cancelled_from_its_own_alert_alone(flagged: Desk) -> None:
    question, token = put_prompt(flagged), token_of(flagged.alert())
    flagged.check(flagged.add_version("w1", trusted=True), "v3", samples.flagged())
    with flagged.sessions() as session:
        other = session.scalars(select(AlertRow).filter(AlertRow.id != question.alert_id)).one()

    def cancel(token: str) -> Done | Refusal:
        given = Asking(ADA, "C0ALERTS", token, f"cancel:{question.id}", "", None)
        settings = alert_settings(flagged.slack)
        return cancel_asked(
            flagged.sessions, settings, members, given, question.id, flagged.clock()
        )

    assert isinstance(cancel(token_of(other)), Refusal)
    with flagged.sessions() as session:
        assert session.get_one(Question, question.id).state == QuestionState.QUEUED
    assert cancel(token) == Done()
