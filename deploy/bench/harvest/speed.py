"""Tokens per second of a harvest and of what it is held against, in turns on the same documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from dfc.engines.batching import pad_right, token_budget_batches
from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.model_loading import load_model
from dfc.engines.precision import native_dtype
from dfc.engines.transformers_engine import TransformersEngine

PLAIN_BATCH = 16
"""Documents that a plain forward pass takes at once, in their order."""

Documents = Sequence[tuple[int, ...]]


class Rivals(NamedTuple):
    """Ways to the same states; each reads all documents once."""

    harvest: Callable[[], object]
    """The product's: batches by length, states of real positions gathered in one table."""
    truncated: Callable[[], object]
    """The blocks up to the layer alone, on the product's batches; what they say is thrown away."""
    decoder: Callable[[], object]
    """All blocks with the states of all layers, without the head."""
    full: Callable[[], object]
    """A plain forward pass: the whole model with the states of all layers."""


class Speed(NamedTuple):
    """Seconds of a round, round by round."""

    tokens: int
    seconds: dict[str, list[float]]

    def tokens_per_second(self, way: str) -> float:
        return self.tokens / median(self.seconds[way])

    def times_as_fast_as(self, way: str) -> list[float]:
        """The seconds of `way` over those of the harvest, round by round."""
        return [
            other / ours
            for other, ours in zip(self.seconds[way], self.seconds["harvest"], strict=True)
        ]


def rivals(path: Path, documents: Documents, layer: int) -> Rivals:
    """All ways on the checkpoint at `path`, in the number format that is this machine's own."""
    engine = TransformersEngine(path)
    stack = DecoderStack(load_model(path, native_dtype("cpu"), "cpu").model)
    lengths = [len(document) for document in documents]
    batches = [
        pad_right([documents[n] for n in batch])
        for batch in token_budget_batches(lengths, engine.tokens_at_once)
    ]
    plain = [
        pad_right(documents[start : start + PLAIN_BATCH])
        for start in range(0, len(documents), PLAIN_BATCH)
    ]

    @torch.no_grad()
    def truncated() -> None:
        for tokens_BT in batches:
            stack.lower(tokens_BT, layer)

    @torch.no_grad()
    def decoder() -> None:
        for tokens_BT in plain:
            stack.decoder(tokens_BT, use_cache=False, output_hidden_states=True)

    @torch.no_grad()
    def full() -> None:
        for tokens_BT in plain:
            stack.model(tokens_BT, use_cache=False, output_hidden_states=True)

    return Rivals(lambda: engine.harvest(documents, layer), truncated, decoder, full)


def speed(
    ways: Rivals,
    tokens: int,
    rounds: int,
    warm_up: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> Speed:
    """Time all ways in every round; the first `warm_up` rounds are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways._fields}
    for number in range(warm_up + rounds):
        for name, way in zip(ways._fields, ways, strict=True):
            begun = time.perf_counter()
            way()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - begun)
        progress()
    return Speed(tokens, seconds)
