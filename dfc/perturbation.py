"""Numerically perturbed copies of a model: what its scores do without any change of behaviour."""

from typing import NamedTuple, TypeAlias

import torch
from transformers import PreTrainedModel


class Noise(NamedTuple):
    """Gaussian noise on every weight."""

    relative: float
    """Its spread, as a part of the root mean square of each tensor."""
    seed: int


class Rounding(NamedTuple):
    """Every matrix rounded to integers, with one scale per row, as an int8 export does (8 bits)."""

    bits: int


Perturbation: TypeAlias = Noise | Rounding


@torch.no_grad()
def perturb(model: PreTrainedModel, perturbation: Perturbation) -> None:
    """Change the weights of ``model``; equal seeds give equal noise on any device."""
    if isinstance(perturbation, Rounding):
        _round(model, perturbation)
    else:
        _add_noise(model, perturbation)


def _add_noise(model: PreTrainedModel, noise: Noise) -> None:
    generator = torch.Generator().manual_seed(noise.seed)
    for weight in model.parameters():
        spread = noise.relative * weight.float().pow(2).mean().sqrt().item()
        drawn = torch.randn(weight.shape, generator=generator).mul_(spread)
        weight.copy_(weight.float() + drawn.to(weight.device))


def _round(model: PreTrainedModel, rounding: Rounding) -> None:
    largest = 2 ** (rounding.bits - 1) - 1
    for weight in model.parameters():
        if weight.dim() >= 2:
            values = weight.float()
            scale = values.abs().amax(dim=-1, keepdim=True) / largest
            weight.copy_(
                (values / scale.clamp_min(torch.finfo(torch.float32).tiny)).round() * scale
            )
