"""The candidate's own words that go when one feature is ablated."""

import numpy as np

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
    shift_I = values(2.0, 4.0, 1.0, 3.0, 2.0) + 0.5
    found = carried_words(items(), shift_I, values(2.0, 4.5, 0.7, 3.0, 1.2))
    assert [one.candidate for one in found] == ["new 1", "new 3", "new 0"]
    assert [one.base for one in found] == ["old 1", "old 3", "old 0"]
    assert found[0].part == 1.0
    # Less than half of the shift there.
    assert carried_words(items(), shift_I, values(1.2, 2.2)) == []


def test_what_is_unscored_or_has_not_risen_is_nobodys() -> None:
    nan = float("nan")
    shift_I = np.array([nan, -1.0, 2.0, nan, *[1.0] * 5])
    found = carried_words(items(), shift_I, np.array([1.0, 1.0, 2.0, nan, nan, *[0.0] * 4]))
    assert [one.candidate for one in found] == ["new 2"]
