"""Takes what reviewers do in Slack, has it decided, and tells them what became of it."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from slack_sdk import WebClient
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from alerts.alert_steps import Refusal
from alerts.channel import ChannelError
from alerts.plain_text import strip_controls
from alerts.slack.errors import told
from alerts.slack.interaction import Asking, Click, Reply, Submission, read_interaction
from alerts.slack.modal import LONGEST_REASON, REASON_BLOCK, answer_modal, reason_modal
from alerts.slack.question import asked_of, cancelled_by, question_modal
from alerts.slack.status import moment, person, proposal_in_words
from alerts.slack.text import literal
from monitor.paging.decisions import (
    Answer,
    Ask,
    Choose,
    Done,
    Members,
    answer,
    cancel_asked,
    take_question,
)
from monitor.settings.alerts import AlertSettings

logger = logging.getLogger(__name__)

_UNSAVED = "It could not be saved: the database does not answer. Try again in a minute."


class SlackDesk:
    """Where the interactions of one workspace arrive."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: AlertSettings,
        client: WebClient,
        members: Members,
        changed: Callable[[], None],
        clock: Callable[[], float],
        suites: Sequence[str],
    ) -> None:
        """`changed` is called after every decision, so that the message follows at once; `suites`
        are the entries of recipe.suites."""
        self._sessions, self._settings = sessions, settings
        self._client, self._members = client, members
        self._changed, self._clock, self._suites = changed, clock, suites

    def receive(self, payload: dict[str, Any]) -> Reply:
        """What Slack gets at once, and what remains to be done."""
        given = read_interaction(payload)
        if isinstance(given, Click):
            return Reply(None, lambda: self._clicked(given))
        if isinstance(given, Submission):
            return self._submitted(given)
        if isinstance(given, Asking):
            return self._asked(given)
        return Reply(None, None)

    def _clicked(self, click: Click) -> None:
        result = self._told(lambda: self._answer(click))
        try:
            if isinstance(result, Ask):
                self._open(
                    click,
                    reason_modal(
                        *(click.action, click.token, click.channel, result.version),
                        proposal_in_words(result.proposed_by, result.proposal),
                    ),
                )
            elif isinstance(result, Choose):
                offer, labels = result.offer, self._settings.examples != "none"
                self._open(
                    click,
                    question_modal(
                        *(click.token, click.channel, result.version),
                        *(offer.features, offer.suites),
                        seeds=offer.seeds,
                        waiting=offer.waiting,
                        model_text=labels,
                    ),
                )
            elif isinstance(result, str):
                told(
                    lambda: self._client.chat_postEphemeral(
                        channel=click.channel,
                        user=click.user,
                        text=result,
                        thread_ts=click.thread,
                    )
                )
        except ChannelError as error:
            logger.warning("%s could not be answered in Slack: %s", click.user, error)

    def _submitted(self, submission: Submission) -> Reply:
        reason = strip_controls(submission.reason).strip()
        submission = submission._replace(reason=reason)
        if not reason or len(reason) > LONGEST_REASON:
            wrong = (
                f"At most {LONGEST_REASON:,} characters."
                if reason
                else "A decision needs a reason."
            )
            return Reply({"response_action": "errors", "errors": {REASON_BLOCK: wrong}}, None)
        return self._ended(self._told(lambda: self._answer(submission)))

    def _asked(self, given: Asking) -> Reply:
        number = cancelled_by(given.what)
        if number is not None:
            return self._ended(
                self._told(
                    lambda: cancel_asked(
                        *(self._sessions, self._settings, self._members, given),
                        *(number, self._clock()),
                    )
                )
            )
        asked = asked_of(given.what, given.prompt, given.feature)
        if isinstance(asked, dict):
            return Reply({"response_action": "errors", "errors": asked}, None)
        return self._ended(
            self._told(
                lambda: take_question(
                    *(self._sessions, self._settings, self._members, given, asked),
                    *(self._clock(), self._suites),
                )
            )
        )

    def _ended(self, result: Ask | Choose | Done | str) -> Reply:
        """What the dialog of a submission turns into."""
        if isinstance(result, str):
            return Reply({"response_action": "update", "view": answer_modal(result)}, None)
        return Reply(None, None)

    def _open(self, click: Click, view: dict[str, Any]) -> None:
        told(lambda: self._client.views_open(trigger_id=click.trigger_id, view=view))

    def _answer(self, given: Click | Submission) -> Answer:
        return answer(
            *(self._sessions, self._settings, self._members, given, self._clock()), self._suites
        )

    def _told(self, decide: Callable[[], Answer]) -> Ask | Choose | Done | str:
        """What comes of it; why nothing does, in words for the person."""
        try:
            result = decide()
        except ChannelError as error:
            result = Refusal(f"it could not be checked whether you are a reviewer: {error}")
        except SQLAlchemyError:
            logger.exception("an answer from Slack could not be saved")
            return _UNSAVED
        if isinstance(result, Refusal):
            return sentence(result, self._clock())
        if isinstance(result, Done):
            self._changed()
        return result


class GroupMembers:
    """The users of user groups, asked for once a minute at most."""

    def __init__(
        self, client: WebClient, clock: Callable[[], float], seconds: float = 60.0
    ) -> None:
        self._client, self._clock, self._seconds = client, clock, seconds
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    def __call__(self, group: str) -> frozenset[str]:
        """The users of `group`. Raises a ChannelError."""
        asked_at, users = self._known.get(group, (-self._seconds, frozenset()))
        if self._clock() - asked_at >= self._seconds:
            found = told(lambda: self._client.usergroups_users_list(usergroup=group))
            users = frozenset(map(str, found["users"]))
            self._known[group] = (self._clock(), users)
        return users


def sentence(refusal: Refusal, now: float) -> str:
    """A refusal as a person reads it in Slack."""
    why = literal(refusal.reason, 500)
    if refusal.by is None or refusal.at is None:
        return f"Nothing was changed: {why}."
    return (
        f"Nothing was changed: it was {why} by {person(refusal.by)}, {moment(refusal.at)}. "
        "Look at the message again; it shows where the alert stands."
    )
