"""Texts on which a feature is silent: those most like its examples, and random ones.

A description of a feature is tested on both. Random texts alone make almost any description look
right.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Activations
from dfc.screening.describe import tokens_between

WINDOW = 33
"""Lines of a text, as many as an example has."""


class SilentTexts(NamedTuple):
    """Windows of documents as token ids, no two alike."""

    near: list[tuple[int, ...]]
    """Those that share most of their distinct tokens with an example, the nearest first."""
    random: list[tuple[int, ...]]


def silent_texts(
    f_T: Tensor,
    activations: Activations,
    documents: Sequence[Sequence[int]],
    examples: Sequence[Sequence[int]],
    n: int,
    seed: int = 0,
) -> SilentTexts:
    """Up to ``n`` of each kind, where activations ``f_T`` [T] are zero throughout. The lines of
    ``activations`` may be a part of the places of the ``documents`` (token ids, numbered as there).

    Nearness is the Jaccard index of the sets of token ids, to the most similar one of ``examples``.
    """
    windows = list(dict.fromkeys(_silent_windows(f_T, activations, documents)))
    wanted = [set(example) for example in examples]
    by_nearness = sorted(
        windows, key=lambda window: max((_jaccard(set(window), e) for e in wanted), default=0.0)
    )[::-1]
    near, rest = by_nearness[:n], by_nearness[n:]
    return SilentTexts(near, random.Random(seed).sample(rest, min(n, len(rest))))


def _silent_windows(
    f_T: Tensor, activations: Activations, documents: Sequence[Sequence[int]]
) -> list[tuple[int, ...]]:
    """Whole windows one after the other in the documents, without any activation."""
    found = []
    numbers, counts = torch.unique_consecutive(activations.document_T, return_counts=True)
    line = 0
    for document, f_N in zip(numbers.tolist(), f_T.split(counts.tolist()), strict=True):
        for f_W in f_N.split(WINDOW):
            if len(f_W) == WINDOW and not f_W.any():
                last = line + WINDOW - 1
                found.append(tokens_between(activations, documents[document], line, last))
            line += len(f_W)
    return found


def _jaccard(a: set[int], b: set[int]) -> float:
    return len(a & b) / max(len(a | b), 1)
