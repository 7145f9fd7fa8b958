"""What reviewers answer to an alert, and what comes of it.

Whatever they decide goes through `monitor.lineage.trust.move`, as on the command line. Who may
answer is checked here, at the last moment, and nowhere else.
"""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from alerts.alert import UNRESOLVED, AlertState, Finding
from alerts.alert_events import Acknowledge, Decided, Propose, Snooze
from alerts.alert_steps import Refusal, step
from alerts.channel import ChannelError
from alerts.question import Asked
from alerts.slack.actions import (
    ACKNOWLEDGE,
    ASK,
    QUARANTINE,
    SNOOZE_SECONDS,
    SNOOZES,
    TRUST,
    UNTIL_NEXT,
)
from alerts.slack.interaction import Asking, Click, Submission
from alerts.slack.status import SLACK
from alerts.wording import short_digest
from monitor.alerting.alerts import alert_of, alerts_of, apply
from monitor.database.schema import AlertRow, Diff, Line, Question, Trust, Version
from monitor.errors import IllegalMoveError
from monitor.jobs.asking import Offer, offer_of, put
from monitor.jobs.questions import cancel_question
from monitor.lineage.trust import move
from monitor.paging.alert_token import Token, read_token
from monitor.settings.alerts import AlertSettings

Members = Callable[[str], frozenset[str]]
"""The users of a user group."""


class Ask(NamedTuple):
    """A reason is needed first; `version` says of what."""

    version: str
    proposed_by: str | None = None
    """Who wants to trust it already."""
    proposal: str | None = None
    """Why they want to."""


class Choose(NamedTuple):
    """What is to be asked about `version` has to be chosen first."""

    version: str
    offer: Offer


class Done(NamedTuple):
    """It has happened."""


Answer = Ask | Choose | Done | Refusal

_STRANGER = Refusal("you are not a reviewer of these alerts; alerts.reviewers lists them")
_UNKNOWN = Refusal("this alert is not known here; it is a sample, or of another installation")


def answer(
    sessions: sessionmaker[Session],
    settings: AlertSettings,
    members: Members,
    given: Click | Submission,
    now: float,
    suites: Sequence[str],
) -> Answer:
    """Do what a reviewer wants, or say what is missing or why it may not be. `suites` are the
    entries of recipe.suites, each of which can be asked for."""
    if not may_answer(settings, members, given.user):
        return _STRANGER
    token = read_token(given.token)
    with sessions.begin() as session:
        row = _alert(session, token)
        if row is None or token is None:
            return _UNKNOWN
        if isinstance(given, Submission):
            return _decide(session, settings, row, token, given, now) or Done()
        actor = SLACK + given.user
        if given.action == ASK:
            offer = offer_of(session, row, suites)
            return offer if isinstance(offer, Refusal) else Choose(_name(session, row), offer)
        if given.action in (TRUST, QUARANTINE):
            late = step(alert_of(row), Acknowledge(actor, token.revision), now)
            if isinstance(late, Refusal):
                return late
            return Ask(_name(session, row), row.proposed_by, row.proposal)
        if given.action == ACKNOWLEDGE:
            return apply(session, row, Acknowledge(actor, token.revision), now) or Done()
        option = given.option or UNTIL_NEXT
        until = now + SNOOZE_SECONDS[option]
        snooze = Snooze(actor, token.revision, until, option == UNTIL_NEXT, SNOOZES[option])
        return apply(session, row, snooze, now) or Done()


def take_question(
    sessions: sessionmaker[Session],
    settings: AlertSettings,
    members: Members,
    given: Asking,
    asked: Asked,
    now: float,
    suites: Sequence[str],
) -> Done | Refusal:
    """Queue what a reviewer asks for, or say why it may not be."""
    if not may_answer(settings, members, given.user):
        return _STRANGER
    with sessions.begin() as session:
        row = _alert(session, read_token(given.token))
        if row is None:
            return _UNKNOWN
        done = put(session, row, asked, SLACK + given.user, now, suites)
    return done if isinstance(done, Refusal) else Done()


def cancel_asked(
    sessions: sessionmaker[Session],
    settings: AlertSettings,
    members: Members,
    given: Asking,
    number: int,
    now: float,
) -> Done | Refusal:
    """Cancel question `number` of the alert for a reviewer, or say why it may not be."""
    if not may_answer(settings, members, given.user):
        return _STRANGER
    with sessions.begin() as session:
        row = _alert(session, read_token(given.token))
        question = session.get(Question, number)
        if row is None or question is None or question.alert_id != row.id:
            return _UNKNOWN
        actor = SLACK + given.user
        return cancel_question(session, question, actor, "asked for in Slack", now) or Done()


def may_answer(settings: AlertSettings, members: Members, user: str) -> bool:
    """Whether `user` is one of the reviewers, by name or as a member of a group. Raises
    ChannelError where a group can't be read that alone could say so."""
    if user in settings.reviewers:
        return True
    unread: ChannelError | None = None
    for group in settings.reviewers:
        try:
            if group.startswith("S") and user in members(group):
                return True
        except ChannelError as error:
            unread = error
    if unread is not None:
        raise unread
    return False


def _alert(session: Session, token: Token | None) -> AlertRow | None:
    if token is None:
        return None
    return session.scalar(select(AlertRow).filter_by(fingerprint=token.fingerprint))


def _decide(
    session: Session,
    settings: AlertSettings,
    row: AlertRow,
    token: Token,
    given: Submission,
    now: float,
) -> Refusal | None:
    actor, reason = SLACK + given.user, given.reason.strip()
    if not reason:
        return Refusal("a decision needs a reason")
    to = AlertState.TRUSTED if given.action == TRUST else AlertState.QUARANTINED
    alert = alert_of(row)
    late = step(alert, Decided(actor, to, reason, token.revision), now)
    if isinstance(late, Refusal):
        return late
    version = session.scalars(
        select(Version).filter_by(line_id=row.line_id, content_digest=row.candidate_digest)
    ).one()
    needs_two = settings.two_reviewers and _was_flagged(session, version)
    if to == AlertState.TRUSTED and needs_two and alert.proposed_by in (None, actor):
        return _propose(session, version, row, Propose(actor, token.revision, reason), now)
    if version.state != Trust(to):
        try:
            move(session, version, Trust(to), actor=actor, reason=reason, now=now)
        except IllegalMoveError as error:
            return Refusal(str(error))
    return apply(session, row, Decided(actor, to, reason), now)


def _was_flagged(session: Session, version: Version) -> bool:
    """Whether anything ever flagged the version, with whichever base it was compared."""
    if version.state == Trust.FLAGGED:
        return True
    if any(row.finding == Finding.FLAGGED for row in alerts_of(session, version)):
        return True
    verdicts = session.scalars(
        select(Diff.verdict)
        .filter_by(line_id=version.line_id, candidate_digest=version.content_digest)
        .where(Diff.verdict.is_not(None))
    )
    return any(json.loads(text or "{}").get("verdict") == Trust.FLAGGED for text in verdicts)


def _propose(
    session: Session, version: Version, row: AlertRow, proposed: Propose, now: float
) -> Refusal | None:
    """Propose to trust the version, in all of its alerts: whoever agrees may do so in any."""
    refused = apply(session, row, proposed, now)
    if refused is None:
        for other in alerts_of(session, version):
            waits = AlertState(other.state) in UNRESOLVED
            if other.id != row.id and waits and other.proposed_by != proposed.by:
                apply(session, other, proposed._replace(seen=other.revision), now)
    return refused


def _name(session: Session, row: AlertRow) -> str:
    line = session.get_one(Line, row.line_id)
    name = session.scalar(
        select(Version.name).filter_by(line_id=row.line_id, content_digest=row.candidate_digest)
    )
    return f"{line.name}: {name} ({short_digest(row.candidate_digest)})"
