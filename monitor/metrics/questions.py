"""Readings of the questions that reviewers ask about alerts."""

import json
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.question import PromptAsked, SeedsAsked, SuiteAsked
from monitor.database.schema import UNANSWERED, Question, QuestionState
from monitor.metrics.reading import Distribution, Reading, Spread

KINDS = tuple(kind.model_fields["kind"].default for kind in (PromptAsked, SuiteAsked, SeedsAsked))


class Asked:
    """What was asked, and how long the answers took. Remembers which answers it has counted, so
    that a scrape reads only those that came since the last one."""

    def __init__(self) -> None:
        self._read: set[int] = set()
        self._took = {kind: Distribution() for kind in KINDS}

    def read(self, session: Session, now: float) -> Iterator[Reading | Spread]:
        """How many questions are in each state, since when the oldest waits, and how long those
        took that were answered, by kind."""
        by_state = select(Question.state, func.count()).group_by(Question.state)
        counts = {state: number for state, number in session.execute(by_state)}
        for state in QuestionState:
            yield Reading("questions", (state,), counts.get(state, 0))
        since = session.scalar(
            select(func.min(Question.asked_at)).where(Question.state.in_(UNANSWERED))
        )
        waited = 0.0 if since is None else now - since
        yield Reading("question_oldest_open_seconds", (), waited)
        self._count_answered(session)
        for kind, distribution in self._took.items():
            yield Spread("question_seconds", (kind,), distribution)

    def _count_answered(self, session: Session) -> None:
        answered = select(Question.id).where(Question.state == QuestionState.ANSWERED)
        for question_id in [one for one in session.scalars(answered) if one not in self._read]:
            asked, asked_at, finished_at = session.execute(
                select(Question.asked, Question.asked_at, Question.finished_at).where(
                    Question.id == question_id
                )
            ).one()
            if finished_at is not None:
                self._took[json.loads(asked)["kind"]].observe(finished_at - asked_at)
            self._read.add(question_id)
