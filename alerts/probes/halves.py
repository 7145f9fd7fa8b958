"""Two halves of a suite: what is chosen on one is reported on the other, on other words."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.shared import tied
from alerts.probes.suite import MINIMUM_TEMPLATES, Suite

T = TypeVar("T")

LEAST_ITEMS = MINIMUM_TEMPLATES // 2
"""Of a half by which anything is chosen or told: as many as half of the smallest suite has."""


class Halves(NamedTuple):
    """A suite cut in two: choices are made on one half, effects are read on the other."""

    selection: Suite
    report: Suite

    @property
    def filled(self) -> bool:
        """Whether both halves have at least `LEAST_ITEMS` items."""
        return min(len(half.items) for half in self) >= LEAST_ITEMS


def halves(suite: Suite) -> Halves:
    """Cut the suite so that no completion stands in both halves, and both are alike.

    Items that share a completion go to one half together, the largest groups first, each to the
    half that has fewer items of the group's templates and, with less weight, fewer items. Where no
    two items share one, the items of every template are dealt in turn. Equal suites are cut
    equally. Where items share too much, a half is small or (always the report half) has no items.

    Forks are dealt one by one: that the candidate says the same at many places is what they are to
    show.
    """
    apart = suite.behaviour == OWN_WORDS
    groups = [[item] for item in suite.items] if apart else tied(suite.items)
    templates = {template: number for number, template in enumerate(dict.fromkeys(suite.templates))}
    ahead: Counter[str] = Counter()
    """By template, how many items more the selection half has."""
    selected: set[str] = set()
    for group in sorted(groups, key=len, reverse=True):
        of_group = [item.template for item in group]
        total = ahead.total()
        lead = sum(len(templates) * ahead[template] + total for template in of_group)
        # With equal halves the templates begin in turn, lest one half get more of them all.
        if lead < 0 or (lead == 0 and templates[of_group[0]] % 2 == 0):
            selected.update(item.id for item in group)
            ahead.update(of_group)
        else:
            ahead.subtract(of_group)
    ordered = sorted(suite.items, key=lambda item: templates[item.template])
    selection = tuple(item for item in ordered if item.id in selected)
    report = tuple(item for item in ordered if item.id not in selected)
    return Halves(
        suite.model_copy(update={"items": selection}), suite.model_copy(update={"items": report})
    )


def thinned(suite: Suite, most: int) -> Suite:
    """At most ``most`` items, evenly over the suite and so over its templates."""
    return suite.model_copy(update={"items": tuple(evenly(suite.items, most))})


def evenly(rows: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the rows, evenly over them."""
    count = min(most, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]
