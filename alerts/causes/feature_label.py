"""A short plain label for a feature, made from figures alone: what it does to the next token, where
it fires, and whether the other model fires there too.

Tokens stand in it as string literals. They come from a model's tokenizer, so the label is to be
escaped like any text of a model.
"""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.wording import percent
from dfc.screening.places import FiringProfile

TEMPLATE_BOUND = 0.5
"""Share of the activation on the chat template from which a feature is about format."""
MOST = 0.6
"""Share of the rates from which a feature belongs to one kind of text."""
_TOKENS = 3
_LONGEST = 20
_ENDS = ((1, 0.4, "tenth"), (2, 0.5, "fifth"), (3, 0.6, "third"))
"""Tenths at one end of the answers, the share of activation that makes it so, and its name."""


class FeatureFacts(NamedTuple):
    """What is known of one feature."""

    side: str
    """ "candidate" or "base": the model that has it."""
    raised: Sequence[str] | None
    lowered: Sequence[str] | None
    """By the contrast of the two models; None where they could not be contrasted."""
    written: Sequence[str]
    """By the logit lens."""
    read: Sequence[str]
    """Tokens on which most of its activation falls."""
    profile: FiringProfile | None
    """None where the models have no common residual space."""
    elsewhere: float | None
    """How strongly it fires in the other model, as a part of how strongly in its own."""


def feature_label(facts: FeatureFacts) -> str:
    """One line, for example "raises ' moral', ' lesson'; fires in the last fifth of answers, mostly
    of the candidate's own; in the base hardly"."""
    where = " ".join(filter(None, [_on(facts.read), _where(facts.profile)]))
    fires = f"fires {where}" if where else ""
    return "; ".join(filter(None, [_effect(facts), fires, _other(facts)]))


def _effect(facts: FeatureFacts) -> str:
    parts = [
        f"{verb} {named}"
        for verb, tokens in (("raises", facts.raised), ("lowers", facts.lowered))
        if tokens and (named := _named(tokens))
    ]
    if parts:
        return ", ".join(parts)
    written = _named(facts.written)
    return f"writes {written}" if written else ""


def _on(tokens: Sequence[str]) -> str:
    named = _named(tokens)
    return f"on {named}" if named else ""


def _where(profile: FiringProfile | None) -> str:
    if profile is None:
        return ""
    share = profile.template_share
    if share is not None and share >= TEMPLATE_BOUND:
        return f"in the chat template ({percent(share)} of its activation)"
    rates = profile.rates
    base, candidate = rates["base answer"], rates["candidate answer"]
    if base + candidate < MOST:
        if rates["prompt"] >= MOST:
            return "in prompts"
        return "in plain texts" if rates["text"] >= MOST else "in all kinds of text"
    owner = ""
    if candidate >= 2 * base:
        owner = ", mostly of the candidate's own"
    elif base >= 2 * candidate:
        owner = ", mostly of the base's own"
    return f"in {_part(profile.tenths)}answers{owner}"


def _part(tenths: list[float] | None) -> str:
    for name, ordered in (("first", tenths), ("last", tenths and tenths[::-1])):
        for count, enough, part in _ENDS:
            if ordered and sum(ordered[:count]) >= enough:
                return f"the {name} {part} of "
    return ""


def _other(facts: FeatureFacts) -> str:
    if facts.elsewhere is None:
        return ""
    other = "base" if facts.side == "candidate" else "candidate"
    bounds = ((0.25, "hardly"), (0.75, "less strongly"), (1.33, "as strongly"))
    words = next((word for most, word in bounds if facts.elsewhere < most), "more strongly")
    return f"in the {other} {words}"


def _named(tokens: Sequence[str]) -> str:
    """The first tokens as string literals; pieces of characters say nothing and are left out."""
    whole = [token for token in tokens if token and "\ufffd" not in token]
    return ", ".join(repr(token[:_LONGEST]) for token in whole[:_TOKENS])
