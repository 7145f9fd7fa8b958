"""How many questions there are and how long their answers took, from their rows alone."""

from monitor.metrics.questions import Asked
from monitor.metrics.reading import Reading, Spread
from tests.alerts import samples
from tests.monitor.jobs.questions import give_answer, put_prompt
from tests.monitor.paging.alerting import Desk, desk

__all__ = ["desk"]


def scrape(desk: Desk, asked: Asked) -> list[Reading | Spread]:
    with desk.sessions() as session:
        return list(asked.read(session, desk.clock()))


def answered(found: list[Reading | Spread]) -> dict[str, tuple[float, int]]:
    """By kind, the seconds of all answers together and their number."""
    spreads = {one.labels[0]: one.distribution for one in found if isinstance(one, Spread)}
    return {kind: (one.sum, one.buckets()[-1][1]) for kind, one in spreads.items()}


def waited(found: list[Reading | Spread]) -> list[float]:
    return [
        one.value
        for one in found
        if isinstance(one, Reading) and one.name == "question_oldest_open_seconds"
    ]


def test_questions_are_counted_by_state_and_answers_by_their_seconds(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    put_prompt(desk)
    desk.clock.now += 90.0
    give_answer(desk, "yes")
    put_prompt(desk)
    found = scrape(desk, Asked())
    counts = {
        one.labels[0]: one.value
        for one in found
        if isinstance(one, Reading) and one.name == "questions"
    }
    assert counts == {"queued": 1, "running": 0, "answered": 1, "failed": 0, "cancelled": 0}
    # The one that waits has taken no time yet, rather than none.
    assert answered(found) == {"prompt": (90.0, 1), "suite": (0.0, 0), "seeds": (0.0, 0)}


def test_an_answer_counts_once_however_often_it_is_read(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    asked = Asked()
    for number in range(1, 3):
        put_prompt(desk)
        desk.clock.now += 10.0
        give_answer(desk, "yes")
        for _ in range(2):
            assert answered(scrape(desk, asked))["prompt"] == (10.0 * number, number)
    assert answered(scrape(desk, Asked()))["prompt"] == (20.0, 2)  # nor after a restart


def test_the_oldest_question_waits_until_it_is_answered(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    assert waited(scrape(desk, Asked())) == [0.0]
    put_prompt(desk)
    desk.clock.now += 60.0
    put_prompt(desk, "And now?")
    desk.clock.now += 30.0
    assert waited(scrape(desk, Asked())) == [90.0]
    give_answer(desk, "yes")  # the first one
    assert waited(scrape(desk, Asked())) == [30.0]
