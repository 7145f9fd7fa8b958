"""Whether there is enough in a suite, and whether it is there once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from alerts.probes.duplicates import item_key, prompt_words, similar_pairs
from alerts.probes.suite import MINIMUM_TEMPLATES, Suite
from alerts.probes.suite_lint.finding import Finding

ADVISED_ITEMS = 40
ADVISED_TEMPLATES = 10
"""With the bundled suites beside it, eight just reach significance when only this suite moved."""
SIMILAR = 0.8
"""Part of their words that near-duplicates share."""
MOST_PAIRS = 1000
"""Of near-duplicates that are told: a suite of nothing else has as many as the square of its
items."""


def amount(suite: Suite) -> Iterator[Finding]:
    """Too few items or templates."""
    n_items, n_templates = len(suite.items), len(set(suite.templates))
    if n_items < ADVISED_ITEMS:
        yield Finding(
            code="few-items",
            field="items",
            said=f"{n_items} items make a wide interval",
            remedy=f"write at least {ADVISED_ITEMS}",
        )
    if suite.role == "behaviour" and n_templates < ADVISED_TEMPLATES:
        least = max(n_templates, MINIMUM_TEMPLATES)
        yield Finding(
            code="few-templates",
            field="items.*.template",
            said=f"{n_templates} templates reach p = 1/{2**least} at best, before the correction "
            "over all behaviours",
            remedy=f"write items from at least {ADVISED_TEMPLATES} templates",
        )


def duplicates(suite: Suite) -> Iterator[Finding]:
    """Items that are there twice, and items of different templates that are nearly the same."""
    by_key = defaultdict(list)
    for item in suite.items:
        by_key[item_key(item)].append(item.id)
    same = [ids for ids in by_key.values() if len(ids) > 1]
    if same:
        yield Finding(
            code="duplicate-items",
            field="items",
            items=tuple(id for ids in same for id in ids),
            said=f"{sum(len(ids) - 1 for ids in same)} items repeat another one, such as "
            f"{same[0][1]!r} that of {same[0][0]!r}",
            remedy="keep one of each: a repeated item counts twice and is measured once",
        )
    repeated = {id for ids in same for id in ids[1:]}
    items = [item for item in suite.items if item.id not in repeated]
    words = [prompt_words(item) for item in items]
    near = (
        (items[a].id, items[b].id)
        for a, b in similar_pairs(words, SIMILAR)
        if items[a].template != items[b].template or words[a] == words[b]
    )
    yield from _near_duplicates(list(islice(near, MOST_PAIRS)))


def _near_duplicates(near: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    if near:
        yield Finding(
            code="near-duplicate-items",
            field="items",
            items=tuple(dict.fromkeys(id for pair in near for id in pair)),
            said=f"{len(near)}{' or more' if len(near) == MOST_PAIRS else ''} pairs of items ask "
            f"nearly the same, such as {near[0][0]!r} and {near[0][1]!r}",
            remedy="give items that share their wording one template, and make items that ask "
            "the same variants of one item",
        )
