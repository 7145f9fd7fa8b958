"""Two halves of a suite: what is chosen on one is reported on the other."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from alerts.probes.suite import Item, Suite

T = TypeVar("T")


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
    return suite.model_copy(update={"items": tuple(evenly(suite.items, most))})


def evenly(rows: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the rows, evenly over them."""
    count = min(most, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]
