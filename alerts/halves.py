"""Two halves of a suite: what is chosen on one is reported on the other."""

from collections import defaultdict
from typing import NamedTuple

from alerts.suite import Item, Suite


class Halves(NamedTuple):
    """A suite cut in two: choices are made on one half, effects are read on the other."""

    selection: Suite
    report: Suite


def halves(suite: Suite) -> Halves:
    """Alternate items within every template, so that both halves hold every kind of question."""
    by_template: dict[str, list[Item]] = defaultdict(list)
    for item in suite.items:
        by_template[item.template].append(item)
    selection: list[Item] = []
    report: list[Item] = []
    for number, items in enumerate(by_template.values()):
        first, second = (selection, report) if number % 2 == 0 else (report, selection)
        first += items[::2]
        second += items[1::2]
    return Halves(
        suite.model_copy(update={"items": tuple(selection)}),
        suite.model_copy(update={"items": tuple(report)}),
    )


def thinned(suite: Suite, most: int) -> Suite:
    """At most ``most`` items, evenly over the suite and so over its templates."""
    if len(suite.items) <= most:
        return suite
    chosen = (suite.items[number * len(suite.items) // most] for number in range(most))
    return suite.model_copy(update={"items": tuple(chosen)})
