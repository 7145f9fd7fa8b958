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
    suite = fork_suite([fork(n, f" {n}, I say.", f" {n}.") for n in range(16)])
    assert suite is not None
    assert [len(half.items) for half in halves(suite)] == [8, 8]


def test_forks_at_which_a_model_says_the_same_are_not_parted() -> None:
    said = [" as I always say.", " I'm told.", " in truth.", " they say."]
    suite = fork_suite([fork(n, said[n % 4], f" {n}.") for n in range(16)])
    assert suite is not None
    words = [{item.variants[0].matching for item in half.items} for half in halves(suite)]
    assert [len(one) for one in words] == [2, 2] and not words[0] & words[1]


@pytest.mark.parametrize("ways", [(" same", " same"), (" ", " b"), (" a", "")])
def test_what_is_no_fork_does_not_count(ways: tuple[str, str]) -> None:
    forks = [fork(n) for n in range(8)]
    assert fork_suite([*forks[:7], fork(8, *ways)]) is None
    assert fork_suite([*forks, fork(8, *ways)]) == fork_suite(forks)
