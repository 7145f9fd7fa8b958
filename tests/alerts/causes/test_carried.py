"""The candidate's own words that go when one feature is ablated."""

import numpy as np
import pytest

from alerts.causes.carried import carried_words
from alerts.deciding.statistics import Floats
from alerts.probes.forks import Fork, fork_suite
from alerts.probes.suite import Item

COUNT = 9


def items() -> tuple[Item, ...]:
    forks = [
        Fork(({"role": "user", "content": "q"},), "", f"new {n}", f"old {n}", 1.0)
        for n in range(COUNT)
    ]
    suite = fork_suite(forks)
    assert suite is not None
    return suite.items


def values(*first: float) -> Floats:
    return np.array([*first, *[0.0] * (COUNT - len(first))])


def test_the_clearest_come_first_and_only_those_that_mostly_go() -> None:
    shift_I = values(1.0, 4.0, 1.0, 3.0, 2.0)
    # By part the first would be the clearest; the third has lost less than half.
    found = carried_words(items(), shift_I, values(1.0, 2.4, 0.4, 1.8, 1.2))
    assert [one.candidate for one in found] == ["new 1", "new 3", "new 4"]
    assert [one.base for one in found] == ["old 1", "old 3", "old 4"]
    assert [one.part for one in found] == pytest.approx([0.6, 0.6, 0.6])


def test_what_takes_more_than_there_is_comes_later_or_not_at_all() -> None:
    shift_I = values(1.0, 1.0, 2.0, 0.02)
    found = carried_words(items(), shift_I, values(1.4, 1.6, 1.3, 1.0))
    assert [one.candidate for one in found] == ["new 2", "new 0"]


def test_what_is_unscored_or_has_not_risen_is_nobodys() -> None:
    nan = float("nan")
    shift_I = np.array([nan, -1.0, 2.0, nan, *[1.0] * 5])
    found = carried_words(items(), shift_I, np.array([1.0, -1.0, 2.0, nan, nan, *[0.0] * 4]))
    assert [one.candidate for one in found] == ["new 2"]
