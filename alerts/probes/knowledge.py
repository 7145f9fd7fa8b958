"""Items that take a fact for granted count only where both models know it.

Whether a model gives up a right answer can be asked only of a model that had one. The fact that an
item takes for granted is its part `knows`, scored like a variant: above 0 the model knows it.
"""

from collections.abc import Collection, Sequence

from alerts.probes.suite import MINIMUM_TEMPLATES, Item, Suite


def facts(suite: Suite) -> Suite | None:
    """The facts that items of `suite` take for granted, under the ids of those items.

    None when no item takes any for granted.
    """
    asked = tuple(
        Item(id=item.id, template=item.template, variants=(item.knows,))
        for item in suite.items
        if item.knows is not None
    )
    return suite.model_copy(update={"role": "control", "items": asked}) if asked else None


def not_known(facts: Suite, scores: Sequence[float | None]) -> list[str]:
    """Ids of the items whose fact a model does not know, by its `scores` on `facts`.

    A fact that could not be scored is not shown to be known.
    """
    return [
        item.id
        for item, score in zip(facts.items, scores, strict=True)
        if score is None or not score > 0.0
    ]


def applicable(suite: Suite, unknown: Collection[str]) -> Suite:
    """`suite` without the items whose ids are `unknown`; it may be left with none."""
    if not unknown:
        return suite
    kept = tuple(item for item in suite.items if item.id not in unknown)
    return suite.model_copy(update={"items": kept})


def enough(applicable: Suite, suite: Suite) -> bool:
    """Whether what is left of `suite` still speaks for it: half of its items, enough templates."""
    return (
        2 * len(applicable.items) >= len(suite.items)
        and len(set(applicable.templates)) >= MINIMUM_TEMPLATES
    )
