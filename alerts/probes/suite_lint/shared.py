"""Whether features can be chosen on some completions and reported on others."""

from collections import defaultdict
from collections.abc import Iterator

from alerts.probes.halves import LEAST_ITEMS, halves
from alerts.probes.shared import tying
from alerts.probes.suite import Suite
from alerts.probes.suite_lint.finding import Finding

SMALLER_HALF = 0.4
"""Part of the items that the smaller half of a suite should have at least."""


def shared_completions(suite: Suite) -> Iterator[Finding]:
    """Completions that so many items share that the suite can't be cut in two like halves."""
    n_items = len(suite.items)
    smaller = min(len(half.items) for half in halves(suite))
    sharing = defaultdict(list)
    written: dict[str, str] = {}
    for item in suite.items:
        for words, text in tying(item).items():
            sharing[words].append(item.id)
            written.setdefault(words, text)
    if suite.role == "control" or not sharing or smaller >= SMALLER_HALF * n_items:
        return
    words, ids = max(sharing.items(), key=lambda shared: len(shared[1]))
    if len(ids) > 1:
        yield Finding(
            code="shared-completions",
            field="items.*.variants.*.matching",
            items=tuple(ids),
            said=f"{len(ids)} of {n_items} items have the completion {written[words]!r}; cut so "
            f"that no completion stands in both halves, the smaller half has {smaller} items",
            remedy="write completions of its own for each item, or two pools of them and items of "
            "either pool in every template: features are chosen on one half and reported on the "
            f"other, and where one has fewer than {LEAST_ITEMS} items no feature is tried at all",
        )
