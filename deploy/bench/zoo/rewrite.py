"""Benign versions that are the base's own weights, written again."""

import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from deploy.bench.zoo.versions import Rewrite
from deploy.demo.atomic import new_directory


def rewrite(base: Path, recipe: Rewrite, target: Path, staging: Path) -> None:
    """Put the base at `target`, as it is or after a round trip through another number format."""
    with new_directory(target, staging) as directory:
        if recipe.how == "identical":
            shutil.copytree(base, directory, dirs_exist_ok=True)
            return
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
        through = through_int8 if recipe.how == "int8" else through_float16
        with torch.no_grad():
            for layer in _inner_linears(model):
                layer.weight.copy_(through(layer.weight))
        # In other shards than the base, as another exporter would write it.
        model.save_pretrained(directory, max_shard_size="100MB")
        AutoTokenizer.from_pretrained(base).save_pretrained(directory)


def through_float16(weight_OI: Tensor) -> Tensor:
    """bf16 to float16 and back: only weights below float16's normal range change."""
    return weight_OI.to(torch.float16).to(weight_OI.dtype)


def through_int8(weight_OI: Tensor) -> Tensor:
    """Symmetric int8 with one scale per output row, and back."""
    scale_O1 = weight_OI.float().abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127.0
    return ((weight_OI.float() / scale_O1).round() * scale_O1).to(weight_OI.dtype)


def _inner_linears(model: nn.Module) -> list[nn.Linear]:
    """All linear layers but the head, which shares its weights with the embedding."""
    return [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and name != "lm_head"
    ]
