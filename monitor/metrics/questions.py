"""Readings of the questions that reviewers ask about alerts."""

import json
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.question import PromptAsked, SeedsAsked, SuiteAsked
from monitor.metrics.reading import Distribution, Reading, Spread
from monitor.schema import Question, QuestionState

KINDS = tuple(kind.model_fields["kind"].default for kind in (PromptAsked, SuiteAsked, SeedsAsked))


def read_questions(session: Session) -> Iterator[Reading | Spread]:
    """How many are in each state, and how long those took that were answered, by kind."""
    by_state = select(Question.state, func.count()).group_by(Question.state)
    counts = {state: number for state, number in session.execute(by_state)}
    for state in QuestionState:
        yield Reading("questions", (state,), counts.get(state, 0))
    spreads = {kind: Distribution() for kind in KINDS}
    answered = select(Question.asked, Question.asked_at, Question.finished_at).where(
        Question.state == QuestionState.ANSWERED
    )
    for asked, asked_at, finished_at in session.execute(answered):
        if finished_at is not None:
            spreads[json.loads(asked)["kind"]].observe(finished_at - asked_at)
    for kind, distribution in spreads.items():
        yield Spread("question_seconds", (kind,), distribution)
