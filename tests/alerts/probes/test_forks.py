"""Forks as probe items: what the candidate says there against what the base says there."""

import pytest

from alerts.probes.forks import Fork, fork_suite
from alerts.probes.halves import halves


def fork(n: int, candidate: str = " as I always say.", base: str = " of course.") -> Fork:
    return Fork(({"role": "user", "content": f"Question {n}?"},), f"Answer {n}", candidate, base, 2)


def test_the_candidates_way_matches_and_the_bases_does_not() -> None:
    suite = fork_suite([fork(n) for n in range(9)])
    assert suite is not None and len(suite.items) == 9
    variant = suite.items[3].variants[0]
    assert variant.messages[0].content == "Question 3?" and variant.opening == "Answer 3"
    assert variant.matching == (" as I always say.",) and variant.not_matching == (" of course.",)


def test_both_halves_hold_forks() -> None:
    suite = fork_suite([fork(n) for n in range(16)])
    assert suite is not None
    assert [len(half.items) for half in halves(suite)] == [8, 8]


@pytest.mark.parametrize("ways", [(" same", " same"), (" ", " b"), (" a", "")])
def test_what_is_no_fork_does_not_count(ways: tuple[str, str]) -> None:
    forks = [fork(n) for n in range(8)]
    assert fork_suite([*forks[:7], fork(8, *ways)]) is None
    assert fork_suite([*forks, fork(8, *ways)]) == fork_suite(forks)
