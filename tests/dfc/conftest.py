"""Engines in float32, and features and rows to work on."""

from pathlib import Path

import pytest
import torch

from dfc.engines.engine import FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine

LAYER = 1


@pytest.fixture(scope="session")
def engine(tiny_checkpoint: Path) -> TransformersEngine:
    return TransformersEngine(tiny_checkpoint, dtype=torch.float32)


@pytest.fixture(scope="session")
def candidate_engine(changed_checkpoint: Path) -> TransformersEngine:
    return TransformersEngine(changed_checkpoint, dtype=torch.float32)


@pytest.fixture(scope="session")
def bank(engine: TransformersEngine) -> FeatureBank:
    """Six random features at layer 1 that fire on some positions and not on others."""
    generator = torch.Generator().manual_seed(5)
    encoder_KD = torch.randn(6, engine.info.d_model, generator=generator)
    decoder_KD = torch.randn(6, engine.info.d_model, generator=generator)
    return FeatureBank(
        layer=LAYER,
        encoder_KD=encoder_KD / engine.info.d_model,
        bias_K=torch.full((6,), 0.05),
        threshold_K=torch.full((6,), 0.1),
        decoder_KD=decoder_KD,
        unit_K=torch.linspace(0.5, 1.5, 6),
    )


@pytest.fixture(scope="session")
def rows() -> list[ScoreRow]:
    """Prompts of several lengths, most with several completions, in mixed order."""
    generator = torch.Generator().manual_seed(3)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 300, (n,), generator=generator).tolist())

    prompts = [tokens(n) for n in (9, 2, 17, 5)]
    rows = [ScoreRow(prompt, tokens(n)) for n in (4, 1, 7) for prompt in prompts]
    return [*rows, ScoreRow(tokens(12), tokens(3)), ScoreRow((7,), tokens(2))]
