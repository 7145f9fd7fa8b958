"""The slow and obvious way to run a model with edits, against which the engine is compared."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from dfc.engines.engine import Edit, FeatureBank, ScoreRow


def load(path: Path) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False)


def blocks(model: PreTrainedModel) -> torch.nn.ModuleList:
    decoder = model.get_decoder()
    return decoder.h if hasattr(decoder, "h") else decoder.layers


def edited(x_TD: Tensor, bank: FeatureBank, edits: Sequence[Edit]) -> Tensor:
    """The edit formula, one position and one edit at a time, position 0 left alone."""
    out_TD = x_TD.clone()
    for t in range(1, len(x_TD)):
        for feature, gain, offset in edits:
            p = max(0.0, float(x_TD[t] @ bank.encoder_KD[feature] + bank.bias_K[feature]))
            f = p if p > bank.threshold_K[feature] else 0.0
            amount = gain * f + offset * float(bank.unit_K[feature])
            out_TD[t] += amount * bank.decoder_KD[feature]
    return out_TD


def logits(
    model: PreTrainedModel,
    tokens: Sequence[int],
    bank: FeatureBank | None = None,
    edits: Sequence[Edit] = (),
) -> Tensor:
    """Logits [T, V] of one unpadded row, without a cache, edited by a hook on the whole model."""

    def hook(block: torch.nn.Module, args: tuple[Tensor, ...], x_BTD: Tensor) -> Tensor:
        assert bank is not None
        return edited(x_BTD[0], bank, edits)[None]

    handles = [blocks(model)[bank.layer].register_forward_hook(hook)] if bank and edits else []
    try:
        return model(torch.tensor([list(tokens)]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()


def score(
    model: PreTrainedModel,
    row: ScoreRow,
    bank: FeatureBank | None = None,
    edits: Sequence[Edit] = (),
) -> float:
    """Mean log-probability per completion token of one row."""
    log_probability_TV = logits(model, row.prompt + row.completion, bank, edits).log_softmax(-1)
    start = len(row.prompt) - 1
    picked = [log_probability_TV[start + i, t].item() for i, t in enumerate(row.completion)]
    return sum(picked) / len(picked)


def greedy(
    model: PreTrainedModel,
    prompt: Sequence[int],
    max_new_tokens: int,
    stop: Sequence[int],
    bank: FeatureBank | None = None,
    edits: Sequence[Edit] = (),
) -> tuple[int, ...]:
    """Greedy decoding that runs the whole row again for every token."""
    tokens = list(prompt)
    for _ in range(max_new_tokens):
        token = int(logits(model, tokens, bank, edits)[-1].argmax())
        if token in stop:
            break
        tokens.append(token)
    return tuple(tokens[len(prompt) :])
