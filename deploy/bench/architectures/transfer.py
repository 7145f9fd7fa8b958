"""Stitching: does a feature do in the other model what it does in its own?

A feature is added everywhere, at half its natural maximum; in the base its direction is mapped
there (paper, section 3.2.2). What it does is read without a judge: by how much the texts on which
it fires become likelier than others, in nats per character, which two tokenizers have in common.
Transfer is the effect in the base as a part of that in the candidate.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deploy.bench.architectures.held_out import HeldOut, item_of
from dfc.corpus import encode_corpus
from dfc.engines.engine import Edit, Engine, FeatureBank, ScoreRow
from dfc.screening.base_view import BaseView

STRENGTH = 0.5
TEXTS = 8
"""On which a feature fires most, and as many on which it is silent or nearly so."""
OPENING = 2
LEAST_EFFECT = 0.01
"""Nats per character below which a feature does nothing in its own model that could transfer."""
MOST = 1.5
"""Where a transfer is cut: a ratio of small effects has no mean."""


class Transfer(NamedTuple):
    """Of one feature; None where it does too little in its own model."""

    own: float
    other: float
    transfer: float | None


def transfers(
    held_out: HeldOut,
    mean_NK: NDArray[np.float64],
    bank: FeatureBank,
    rows: Sequence[int],
    models: tuple[Engine, Engine],
    view: BaseView,
) -> list[Transfer]:
    """Transfer of the bank's `rows`; `mean_NK` are the mean activations on the documents."""
    base, candidate = models
    in_base = view.bank(bank)
    if in_base is None:
        return []
    found = []
    for row in rows:
        order_N = mean_NK[:, row].argsort()
        chosen = [*order_N[-TEXTS:], *order_N[:TEXTS]]
        own = _effect(candidate, bank, row, held_out, chosen)
        other = _effect(base, in_base, row, held_out, chosen)
        ratio = other / own if own >= LEAST_EFFECT else None
        found.append(
            Transfer(own, other, None if ratio is None else float(np.clip(ratio, -1, MOST)))
        )
    return found


def direction_bank(decoder_KD: Tensor, unit_K: Tensor, layer: int) -> FeatureBank:
    """Directions that are only added: they fire nowhere by themselves."""
    silent_K = torch.full((len(decoder_KD),), torch.inf)
    zeros_KD = torch.zeros_like(decoder_KD)
    return FeatureBank(layer, zeros_KD, torch.zeros(len(decoder_KD)), silent_K, decoder_KD, unit_K)


def _effect(
    engine: Engine, bank: FeatureBank, row: int, held_out: HeldOut, chosen: Sequence[int]
) -> float:
    """Nats per character by which the first half of `chosen` gains on the second half."""
    items = [item_of(held_out.documents[n]) for n in chosen]
    tokens = encode_corpus(engine, items, 96)
    rows = [ScoreRow(text[:OPENING], text[OPENING:]) for text in tokens]
    edits = [[Edit(row, offset=STRENGTH)]] * len(rows)
    change_N = np.array(engine.score(rows, bank=bank, edits=edits)) - np.array(engine.score(rows))
    length_N = np.array([len(one.completion) for one in rows])
    characters_N = np.array([len(engine.decode(one.completion)) for one in rows])
    per_character_N = change_N * length_N / characters_N
    half = len(rows) // 2
    return float(per_character_N[:half].mean() - per_character_N[half:].mean())
