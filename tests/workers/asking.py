"""Questions about comparisons of made-up checkpoints."""

import time

from alerts.question import PromptAsked
from monitor.database.schema import AlertRow, Diff, Line, Question
from monitor.jobs.questions import ask
from tests.workers.service import Sessions


def ask_about(sessions: Sessions, diff_id: int, prompt: str) -> int:
    """The id of a question about an alert that this comparison has raised."""
    with sessions.begin() as session:
        diff = session.get_one(Diff, diff_id)
        line = session.get_one(Line, diff.line_id)
        alert = AlertRow(
            fingerprint=f"{diff_id:064}",
            line_id=line.id,
            base_digest=diff.base_digest,
            candidate_digest=diff.candidate_digest,
            diff_id=diff.id,
            opened_at=0.0,
            finding="flagged",
            severity="critical",
            state="open",
            revision=1,
            changed_by="latentwatch",
            changed_at=0.0,
            reason="",
            found="",
            until_next=False,
        )
        session.add(alert)
        session.flush()
        what = PromptAsked(prompt=prompt, feature="candidate-10")
        question = ask(session, alert, diff, what, "ann", time.time())
        assert isinstance(question, Question)
        return question.id
