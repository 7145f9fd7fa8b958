"""A question and its answer as the messages that stand in the alert's thread."""

from sqlalchemy.orm import Session

from alerts.question import ANSWERED, ASKED
from alerts.routing import Examples
from alerts.slack.answer import answered_message, asked_message, cancelled_message
from alerts.slack.message import SlackMessage
from monitor.alerting.messages import Kind
from monitor.database.schema import AlertMessage, AlertRow, Question, QuestionState


def question_message(session: Session, message: AlertMessage, examples: Examples) -> SlackMessage:
    """What `message`, a QUESTION or an ANSWER, says; `examples` is how much of models' words."""
    question = session.get_one(Question, int(message.text))
    asked = ASKED.validate_json(question.asked)
    if message.kind == Kind.QUESTION:
        return asked_message(asked, question.asked_by)
    if question.state == QuestionState.CANCELLED:
        by, reason = str(question.cancelled_by), str(question.cancel_reason)
        return cancelled_message(asked, question.asked_by, by, reason)
    ended = (
        question.error or "no reason is known"
        if question.answer is None
        else ANSWERED.validate_json(question.answer)
    )
    row = session.get_one(AlertRow, question.alert_id)
    return answered_message(asked, question.asked_by, ended, row.fingerprint, examples)
