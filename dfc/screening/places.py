"""Where in the documents a feature fires: in texts, prompts, answers or the chat template."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Activations

Place = Literal["template", "text", "prompt", "base answer", "candidate answer"]
PLACES: tuple[Place, ...] = ("template", "text", "prompt", "base answer", "candidate answer")
_TEMPLATE, _TEXT, _PROMPT, _BASE, _CANDIDATE = range(5)
TENTHS = 10


class Reading(NamedTuple):
    """A document as both models read it."""

    tokens: tuple[int, ...]
    prompt: int = 0
    """Tokens of the prompt, before the answer."""
    answered_by: Literal["base", "candidate"] | None = None
    """None for a document of the corpus."""
    finished: bool = False
    """The answer ended by itself, and all of it was read."""


class Places(NamedTuple):
    """The place of every harvested line."""

    place_T: Tensor
    """Index into ``PLACES``."""
    tenth_T: Tensor
    """Which tenth of a finished answer, 0 to 9; -1 elsewhere."""
    template_known: bool
    """There were two prompts or more, so that what they share could be told."""

    def in_template(self) -> Tensor:
        """Whether each line [T] is a token of the chat template."""
        return self.place_T == _TEMPLATE


class FiringProfile(NamedTuple):
    """Where one feature fires."""

    template_share: float | None
    """Part of its activation that falls on tokens of the chat template."""
    rates: dict[Place, float]
    """Mean activation per token of each other place, as a part of their sum; so that it does not
    matter how much was read of each."""
    tenths: list[float] | None
    """Parts of its activation in finished answers by their tenths; None where it is silent."""


def find_places(readings: Sequence[Reading], activations: Activations) -> Places:
    """Tell the places apart.

    The template of a prompt is what all prompts have in common at their start and end. In the
    corpus it is such a start, and tokens that stand at both ends of every prompt and never inside
    a prompt or an answer: its markers.
    """
    answered = [reading for reading in readings if reading.answered_by]
    prompts = list(dict.fromkeys(reading.tokens[: reading.prompt] for reading in answered))
    start = _common(prompts) if len(prompts) > 1 else ()
    end = _common([p[len(start) :][::-1] for p in prompts])[::-1] if len(prompts) > 1 else ()
    written = {t for r in answered for t in r.tokens[len(start) : r.prompt - len(end)]}
    written |= {t for r in answered for t in r.tokens[r.prompt :]}
    markers = (set(start) & set(end)) - written
    places, tenths = [], []
    for reading in readings:
        place, tenth = _places_of(reading, start, len(end), markers)
        places.append(torch.tensor(place))
        tenths.append(torch.tensor(tenth))
    starts = torch.tensor([0, *(len(reading.tokens) for reading in readings)]).cumsum(0)
    line_T = starts[activations.document_T] + activations.position_T
    return Places(torch.cat(places)[line_T], torch.cat(tenths)[line_T], len(prompts) > 1)


def firing_profile(f_T: Tensor, places: Places) -> FiringProfile:
    """The profile of a feature with activations ``f_T`` [T]."""
    sums = torch.zeros(len(PLACES)).index_add(0, places.place_T, f_T.float())
    counts = torch.bincount(places.place_T, minlength=len(PLACES)).float()
    total = sums.sum().item()
    rate = (sums / counts.clamp_min(1))[1:]
    inside = places.tenth_T >= 0
    tenths = torch.zeros(TENTHS).index_add(0, places.tenth_T[inside], f_T[inside].float())
    return FiringProfile(
        template_share=sums[_TEMPLATE].item() / total if total and places.template_known else None,
        rates=dict(zip(PLACES[1:], (rate / rate.sum().clamp_min(1e-12)).tolist(), strict=True)),
        tenths=(tenths / tenths.sum()).tolist() if tenths.sum() > 0 else None,
    )


def _places_of(
    reading: Reading, start: tuple[int, ...], end: int, markers: set[int]
) -> tuple[list[int], list[int]]:
    length = len(reading.tokens)
    if reading.answered_by is None:
        place = [_TEMPLATE if token in markers else _TEXT for token in reading.tokens]
        if start and reading.tokens[: len(start)] == start:
            place[: len(start)] = [_TEMPLATE] * len(start)
        return place, [-1] * length
    own = _BASE if reading.answered_by == "base" else _CANDIDATE
    answer = length - reading.prompt
    middle = reading.prompt - len(start) - end
    place = [_TEMPLATE] * len(start) + [_PROMPT] * middle + [_TEMPLATE] * end + [own] * answer
    tenth = [TENTHS * i // answer if reading.finished else -1 for i in range(answer)]
    return place[:length], ([-1] * reading.prompt + tenth)[:length]


def _common(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """What all rows begin with."""
    first, last = min(rows), max(rows)  # in lexical order; what these two share, all share
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[: min(len(first), len(last)) if same is None else same]
