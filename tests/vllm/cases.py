"""Texts, features and edits on which the two engines are compared."""

from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel

from dfc.engines.engine import Edit, Engine, FeatureBank, ScoreRow
from tests.dfc import naive

EDITS: list[list[Edit]] = [
    [],
    [Edit(0, gain=-1.0)],
    [Edit(1, gain=1.0)],
    [Edit(2, offset=1.0)],
    [Edit(3, offset=-1.0)],
    [Edit(4, gain=-0.5, offset=0.5)],
    [Edit(5, gain=-1.0), Edit(6, offset=1.0)],
    [Edit(k, gain=-1.0, offset=0.25) for k in range(8)],
]
"""Eight kinds: none, ablated, doubled, added, subtracted, both, of two features, of all."""
LENGTHS = (17, 33, 90, 5, 100, 40, 7, 12)


def texts(vocabulary: int, lengths: tuple[int, ...] = LENGTHS) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(1)
    return [
        tuple(torch.randint(3, vocabulary, (n,), generator=generator).tolist()) for n in lengths
    ]


def rows(vocabulary: int) -> list[ScoreRow]:
    completions = texts(vocabulary, (4, 1, 7, 30, 2, 9, 3, 5))
    return [ScoreRow(p, c) for p, c in zip(texts(vocabulary), completions, strict=True)]


def bank(engine: Engine, layer: int) -> FeatureBank:
    """Eight features that fire on some positions and not on others, each as strong as the states
    are long."""
    x_TD = engine.harvest(texts(engine.tokenizer.size), layer).x_TD.float()
    generator = torch.Generator().manual_seed(5)
    encoder_KD = torch.nn.functional.normalize(
        torch.randn(8, engine.info.d_model, generator=generator), dim=1
    )
    p_TK = x_TD @ encoder_KD.T
    threshold_K = p_TK.quantile(0.7, dim=0).clamp_min(0)
    unit_K = torch.full((8,), 0.5 * x_TD.norm(dim=1).median().item())
    decoder_KD = torch.randn(8, engine.info.d_model, generator=generator)
    return FeatureBank(
        layer,
        encoder_KD,
        torch.zeros(8),
        threshold_K,
        torch.nn.functional.normalize(decoder_KD, dim=1) * 2,
        unit_K,
    )


def states(model: PreTrainedModel, tokens: tuple[int, ...], layer: int) -> Tensor:
    """States [T, D] after a block of the plain model, read by a hook."""
    kept: list[Tensor] = []
    handle = naive.blocks(model)[layer].register_forward_hook(lambda m, a, out: kept.append(out))
    model(torch.tensor([tokens]), use_cache=False)
    handle.remove()
    return kept[0][0]


def in_float64(model: PreTrainedModel) -> PreTrainedModel:
    """The same model in float64. Its norms would go through float32 by themselves; the tables of
    the rotary embedding stay those of float32, as in either engine."""
    for module in model.double().modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.forward = partial(_norm, module)  # type: ignore[method-assign]
    return model


def _norm(module: torch.nn.Module, x_TD: Tensor) -> Tensor:
    variance_T = x_TD.pow(2).mean(-1, keepdim=True)
    return module.weight * x_TD * torch.rsqrt(variance_T + module.variance_epsilon)


def expect_equal_in_bfloat16(found_TD: Tensor, expected_TD: Tensor) -> None:
    """Within one unit in the last place, where float32 lies on the edge between two numbers, and
    for numbers near zero within what float32 loses of the largest."""
    largest = expected_TD.float().abs().max().item()
    torch.testing.assert_close(found_TD, expected_TD, rtol=1 / 128, atol=1e-5 * largest)
