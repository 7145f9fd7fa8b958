"""Replays of the vLLM engine: states of every row, which another model's engine can take over."""

from dataclasses import dataclass

from torch import Tensor

from dfc.engines.engine import Replay


@dataclass(frozen=True)
class RowStates(Replay):
    """States of the rows, one by one, on the CPU."""

    origin: str
    """Which engine captured them. Scoring its own replay runs the rows again: vLLM can't start in
    the middle of a model, and its own states would change nothing."""
    states: tuple[Tensor, ...]
    """[prompt and completion without its last token, D] of every row."""
