"""A sparse dictionary over the states of one or several models: an SAE or a usual crosscoder.

A crosscoder is an SAE on the models' states side by side, with one exception: a latent's size is
the sum of its decoder norms over the models and not the norm of them all (Lindsey et al. 2024).
Steps, batch, schedule, optimiser and running threshold are those of our own crosscoder.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from dfc.crosscoder.batch_topk import batch_topk_threshold, keep_above
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.training_run import (
    ADAM_BETAS,
    GRADIENT_NORM,
    THRESHOLD_DECAY,
    annealed_k,
    learning_rate_factor,
)
from dfc.engines.precision import native_autocast

Sparsity = Literal["batch_topk", "l1"]

PENALTY_START, PENALTY_GAIN = 1e-3, 0.01
"""L1: the weight rises or falls by this power of active / wanted per step, so that it comes near as
many active latents as BatchTopK has without a search. A larger power overshoots: the penalty then
silences latents for good."""


class Dictionary(nn.Module):
    """``latents`` that read and write ``models`` states of ``width`` side by side."""

    threshold: Tensor

    def __init__(self, latents: int, width: int, models: int, decoder_norm: float) -> None:
        super().__init__()
        self.width = width
        unit_FD = torch.randn(latents, width)
        unit_FD = unit_FD / unit_FD.norm(dim=1, keepdim=True)
        # Equal in all models at the start, as in the released crosscoders of model pairs.
        self.encoder = nn.Parameter(torch.cat([unit_FD / models] * models, dim=1))
        self.decoder = nn.Parameter(torch.cat([unit_FD * decoder_norm] * models, dim=1))
        self.bias = nn.Parameter(torch.zeros(latents))
        self.output_bias = nn.Parameter(torch.zeros(models * width))
        self.register_buffer("threshold", torch.zeros(()))

    def encode(self, x_BD: Tensor) -> Tensor:
        return torch.relu(x_BD @ self.encoder.T + self.bias)

    def norms(self) -> Tensor:
        """Per latent and model the norm of what it writes there [F, models]."""
        return self.decoder.unflatten(1, (-1, self.width)).norm(dim=2)

    def codes(self, x_BD: Tensor) -> Tensor:
        """Activations [B, F] under the running threshold."""
        code_BF = self.encode(x_BD)
        return keep_above(code_BF, code_BF * self.norms().sum(1), self.threshold)

    def decode(self, code_BF: Tensor) -> Tensor:
        return code_BF @ self.decoder + self.output_bias


def train_dictionary(
    x_TD: Tensor,
    models: int,
    config: DfcConfig,
    sparsity: Sparsity,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Dictionary:
    """Train on normalised states ``[T, models * width]``: all latents of ``config``, its steps and
    its k. Raises FloatingPointError when the loss is not finite."""
    torch.manual_seed(seed)
    width = x_TD.shape[1] // models
    dictionary = Dictionary(config.latents, width, models, config.decoder_norm)
    optimiser = torch.optim.Adam(
        dictionary.parameters(), lr=config.learning_rate, betas=ADAM_BETAS, fused=True
    )
    variance_M = (x_TD - x_TD.mean(0)).pow(2).unflatten(1, (models, width)).sum(2).mean(0)
    silent_F = torch.zeros(config.latents)
    penalty = PENALTY_START
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(config, step)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        x_BD = x_TD[torch.randint(len(x_TD), (config.batch,), generator=generator)]
        with native_autocast(x_BD.device.type):
            code_BF = dictionary.encode(x_BD)
            score_BF = code_BF * dictionary.norms().sum(1)
            kept_BF = code_BF
            if sparsity == "batch_topk":
                size_BF = score_BF.detach().float()
                threshold = batch_topk_threshold(size_BF, annealed_k(config, step))
                kept_BF = keep_above(code_BF, size_BF, threshold)
                _follow(dictionary.threshold, threshold)
            out_BD = dictionary.decode(kept_BF)
        left_BD = x_BD - out_BD.float()
        error_M = left_BD.pow(2).unflatten(1, (models, width)).sum(2).mean(0)
        loss = (error_M / variance_M).sum()
        fired_BF = kept_BF > 0
        if sparsity == "l1":
            loss = loss + penalty * score_BF.float().sum(1).mean()
            active = max(fired_BF.sum(1).float().mean().item(), 1.0)
            penalty *= (active / config.k) ** PENALTY_GAIN
        else:
            dead_F = silent_F > config.dead_after
            revived_BD = _strongest(code_BF * dead_F, x_BD.shape[1] // 2) @ dictionary.decoder
            missed = (left_BD.detach() - revived_BD.float()).pow(2).sum(1).mean()
            loss = loss + dead_F.any() * config.aux_weight * missed / variance_M.mean()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"training diverged at step {step}, seed {seed}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(dictionary.parameters(), GRADIENT_NORM)
        optimiser.step()
        silent_F = torch.where(fired_BF.any(0), 0.0, silent_F + config.batch)
        if progress is not None:
            progress(step + 1, config.steps)
    return dictionary.eval()


def _follow(running: Tensor, threshold: Tensor) -> None:
    mixed = THRESHOLD_DECAY * running + (1 - THRESHOLD_DECAY) * threshold
    running.copy_(torch.where(running > 0, mixed, threshold))


def _strongest(code_BF: Tensor, most: int) -> Tensor:
    """The strongest ``most`` latents of every token, the others silent (AuxK, paper B.1.5)."""
    if code_BF.shape[1] <= most:
        return code_BF
    found = code_BF.topk(most, dim=1, sorted=False)
    return torch.zeros_like(code_BF).scatter(1, found.indices, found.values)
