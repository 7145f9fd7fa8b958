"""Questions about an alert, and their answers, for the terminal and for programs."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from sqlalchemy.orm import Session

from alerts.plain_text import strip_controls
from alerts.question import (
    ANSWERED,
    ASKED,
    PromptAsked,
    SeedsTried,
    SteeredAnswers,
    subject_in_words,
)
from alerts.seeds_in_words import seeds_lines
from alerts.wording import interval, number, p_value, signed
from monitor.database.schema import AlertRow
from monitor.jobs.questions import questions_of
from monitor.terminal.tables import add_row, moment, new_table, plain


class QuestionListed(NamedTuple):
    """One question; times in seconds since the epoch."""

    id: int
    asked: dict[str, Any]
    asked_by: str
    asked_at: float
    state: str
    answer: dict[str, Any] | None
    error: str | None
    """Why it was not answered, or why its last try ended."""
    finished_at: float | None


def question_rows(session: Session, row: AlertRow) -> list[QuestionListed]:
    """All questions about the alert, the first one first."""
    return [
        QuestionListed(
            question.id,
            json.loads(question.asked),
            question.asked_by,
            question.asked_at,
            question.state,
            None if question.answer is None else json.loads(question.answer),
            question.error,
            question.finished_at,
        )
        for question in questions_of(session, row)
    ]


def questions_view(rows: Sequence[QuestionListed]) -> RenderableType:
    """Each with its answer."""
    if not rows:
        return plain("nothing was asked about this alert")
    return Group(*map(_question, rows))


def _question(row: QuestionListed) -> Table:
    asked = ASKED.validate_python(row.asked)
    title = f"question {row.id}: {subject_in_words(asked)}"
    table = new_table("", "", title=title)
    table.show_header = False
    add_row(table, "asked", f"by {row.asked_by}, {moment(row.asked_at)}")
    ended = "" if row.finished_at is None else f", {moment(row.finished_at)}"
    add_row(table, "state", f"{row.state}{ended}")
    if row.error is not None:
        add_row(table, "why", row.error)
    if isinstance(asked, PromptAsked):
        add_row(table, "prompt", Text(strip_controls(asked.prompt)))
    for name, said in _answer(row):
        add_row(table, name, Text(strip_controls(said)))
    return table


def _answer(row: QuestionListed) -> list[tuple[str, str]]:
    if row.answer is None:
        return []
    answered = ANSWERED.validate_python(row.answer)
    if isinstance(answered, SteeredAnswers):
        said = [(name, text) for name, text in answered.by_name.items() if text is not None]
        return [*said, *(("caveat", caveat) for caveat in answered.caveats)]
    if isinstance(answered, SeedsTried):
        return [("", line) for line in seeds_lines(answered)]
    b = answered.behaviour
    return [
        ("shift", f"{signed(b.shift)} ({interval(b.ci_low, b.ci_high)}) nats per token"),
        ("base, candidate", f"{number(b.base_score)}, {number(b.candidate_score)}"),
        ("items", f"{b.n_items}, {answered.n_unscored} of them without a score"),
        ("p, noise floor", f"{p_value(b.p_corrected)}, {number(b.noise_floor)}"),
        ("taken alone", "flagged" if b.flagged else "not flagged"),
    ]
