"""How many questions there are and how long their answers took, from their rows alone."""

from monitor.metrics.questions import read_questions
from monitor.metrics.reading import Reading
from tests.alerts import samples
from tests.monitor.alerting import Desk, desk
from tests.monitor.questions import give_answer, put_prompt

__all__ = ["desk"]


def test_questions_are_counted_by_state_and_answers_by_their_seconds(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    put_prompt(desk)
    desk.clock.now += 90.0
    give_answer(desk, "yes")
    put_prompt(desk)
    with desk.sessions() as session:
        found = list(read_questions(session))
    counts = {one.labels[0]: one.value for one in found if isinstance(one, Reading)}
    assert counts == {"queued": 1, "running": 0, "answered": 1, "failed": 0, "cancelled": 0}
    spreads = {s.labels[0]: s.distribution for s in found if not isinstance(s, Reading)}
    counted = {kind: (one.sum, one.buckets()[-1][1]) for kind, one in spreads.items()}
    # The one that waits has taken no time yet, rather than none.
    assert counted == {"prompt": (90.0, 1), "suite": (0.0, 0), "seeds": (0.0, 0)}
