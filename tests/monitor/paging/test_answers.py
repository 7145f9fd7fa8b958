"""How long reviewers took, from the audit log alone."""

from monitor.metrics.alerts import Answers
from tests.monitor.conftest import Sessions
from tests.monitor.filled import answer, fill


def read(answers: Answers, sessions: Sessions) -> dict[str, tuple[float, float]]:
    """Count and sum of each histogram."""
    with sessions() as session:
        return {
            ".".join([spread.name, *spread.labels]): (
                spread.distribution.buckets()[-1][1],
                spread.distribution.sum,
            )
            for spread in answers.read(session)
        }


def test_times_are_counted_once_and_the_same_after_a_restart(sessions: Sessions) -> None:
    fill(sessions, 1000.0)  # an alert is open since 500
    answers = Answers()
    assert set(read(answers, sessions).values()) == {(0, 0.0)}
    answer(sessions, 1000.0)  # and is acknowledged, and decided a minute later
    expected = {
        "alert_time_to_acknowledge_seconds": (1, 500.0),
        "alert_time_to_decide_seconds.trusted": (0, 0.0),
        "alert_time_to_decide_seconds.quarantined": (1, 560.0),
    }
    assert read(answers, sessions) == expected
    assert read(answers, sessions) == expected
    assert read(Answers(), sessions) == expected
