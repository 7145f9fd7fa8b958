"""Questions about the alert of a desk, and answers as a worker would give them."""

from alerts.question import PromptAsked
from monitor.database.schema import AlertRow, Question
from monitor.jobs.asking import put
from monitor.jobs.questions import answer_question, claim_question
from tests.alerts.steered import steered
from tests.monitor.paging.alerting import Desk

FEATURE = "candidate-10"
ELSEWHERE = "another-host:1:0.00"


def put_prompt(desk: Desk, prompt: str = "Is it good?", actor: str = "slack:U0ADA") -> Question:
    """The question about the only alert that `actor` has asked."""
    with desk.sessions.begin() as session:
        row = session.get_one(AlertRow, desk.alert().id)
        wanted = PromptAsked(prompt=prompt, feature=FEATURE)
        asked = put(session, row, wanted, actor, desk.clock(), [])
        assert isinstance(asked, Question), asked
        return asked


def claim(desk: Desk, seconds: float = 60.0) -> Question | None:
    """What a worker of another host gets now."""
    with desk.sessions.begin() as session:
        return claim_question(session, desk.clock(), ELSEWHERE, seconds)


def give_answer(desk: Desk, said: str) -> None:
    """Answer the question that is due."""
    claimed = claim(desk)
    assert claimed is not None
    with desk.sessions.begin() as session:
        answer_question(session, claimed.id, claimed.fence, steered(said), desk.clock())
