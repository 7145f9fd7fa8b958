"""The answers that an importer writes where a data set has prompts only."""

import json
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


class Wording(NamedTuple):
    """One pair of kinds of answers, and which of its family it is."""

    number: int
    matching: list[str]
    not_matching: list[str]


def wording(family: str, number: int, **fields: str) -> Wording:
    """The answers of `family`, in turn by `number`, with `fields` filled in."""
    known = _wordings()[family]
    chosen = number % len(known)
    kinds = (
        [text.format(**fields) for text in known[chosen][kind]]
        for kind in ("matching", "not_matching")
    )
    return Wording(chosen, *kinds)


@cache
def _wordings() -> dict[str, Any]:
    text = (resources.files(__package__) / "wordings.json").read_text("utf-8")
    return json.loads(text)
