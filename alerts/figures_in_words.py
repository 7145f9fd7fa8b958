"""What pictures of the figures show, for who hears them read out."""

from collections.abc import Sequence

from alerts.behaviour_in_words import shift_sentence
from alerts.plain_text import clip, one_line
from alerts.verdict import Verdict
from alerts.verdict_in_words import by_weight, headline
from alerts.wording import NOT_MEASURED, signed

_LONGEST = 900
_BEHAVIOURS = 3


def shifts_in_words(verdict: Verdict) -> str:
    """What was found, and the behaviours that moved most."""
    moved = [shift_sentence(b) for b in by_weight(verdict.behaviours)[:_BEHAVIOURS]]
    return clip(one_line(" ".join([f"{headline(verdict)}.", *moved])), _LONGEST)


def random_directions(changes: Sequence[float]) -> str:
    """The least and the most by which random directions changed a score, in nats per token."""
    if not changes:
        return f"random directions {NOT_MEASURED}"
    return f"random directions {signed(min(changes))} to {signed(max(changes))}"
