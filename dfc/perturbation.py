"""Numerically perturbed copies of a model: what its scores do without any change of behaviour."""

from typing import NamedTuple

import torch
from transformers import PreTrainedModel


class Perturbation(NamedTuple):
    """Gaussian noise on every weight."""

    relative: float
    """Its spread, as a part of the root mean square of each tensor."""
    seed: int


@torch.no_grad()
def perturb(model: PreTrainedModel, perturbation: Perturbation) -> None:
    """Add the noise to the weights of ``model``; equal seeds give equal noise on any device."""
    generator = torch.Generator().manual_seed(perturbation.seed)
    for weight in model.parameters():
        spread = perturbation.relative * weight.float().pow(2).mean().sqrt().item()
        noise = torch.randn(weight.shape, generator=generator).mul_(spread)
        weight.copy_(weight.float() + noise.to(weight.device))
