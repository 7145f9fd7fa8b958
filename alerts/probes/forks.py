"""Where a candidate's own answers leave the path of the base: a contrast that nobody had to write.

A probe suite shows a behaviour that somebody thought of. A fork is a place in the candidate's
answer to an ordinary prompt from which on the base would say something else; what each of them
says there is a probe item like any other, so forks are steered like a suite. They are chosen
where the models differ, so that they differ there proves nothing: forks show what has changed
and which features carry it, and flag nothing by themselves.
"""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.probes.suite import MINIMUM_TEMPLATES, Item, Message, Suite, Variant

BEHAVIOUR = "own_words"
"""Stands for a behaviour's name wherever what forks show is reported."""


LEAST_EFFECT = 0.5
"""Only what a suite has to name; forks flag nothing."""


class Fork(NamedTuple):
    """One prompt, how the candidate's answer to it begins, and how each model goes on."""

    messages: tuple[dict[str, str], ...]
    opening: str
    candidate: str
    base: str
    divergence: float
    """How much likelier the candidate's words are in the candidate than in the base, nats per
    token of the candidate."""


def fork_suite(forks: Sequence[Fork]) -> Suite | None:
    """The forks as a probe suite: more of the behaviour is more of what the candidate says.

    Each fork is its own template. None when the models go on differently at too few places.
    """
    parted = [fork for fork in forks if fork.candidate.strip() and fork.base.strip()]
    items = tuple(
        Item(
            id=f"fork-{number}",
            template=f"fork-{number}",
            variants=(
                Variant(
                    messages=tuple(Message.model_validate(m) for m in fork.messages),
                    opening=fork.opening,
                    matching=(fork.candidate,),
                    not_matching=(fork.base,),
                ),
            ),
        )
        for number, fork in enumerate(parted)
        if fork.candidate != fork.base
    )
    if len(items) < MINIMUM_TEMPLATES:
        return None
    return Suite(
        schema="latentwatch.suite/1",
        behaviour=BEHAVIOUR,
        role="behaviour",
        description="What the candidate goes on to say where its answers leave the base's path.",
        minimum_effect=LEAST_EFFECT,
        items=items,
    )
