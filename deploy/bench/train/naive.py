"""A plain masked dense crosscoder: the implementation that training speed is measured against.

Written from the paper (Jiralerspong & Bricken 2026, arXiv 2602.11729, section 2.2 and B.1.5) with
the losses and the schedule of `dfc`, so that both take the same steps. As in the released code the
partition is a mask on dense matrices of all latents, each model has its own product, and BatchTopK
is one `topk` over all codes of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.loss import Variance
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.training_run import ADAM_BETAS, GRADIENT_NORM, annealed_k, learning_rate_factor
from dfc.engines.precision import native_autocast


class Naive(nn.Module):
    """Latents of all blocks in one dictionary per model; a mask keeps each from the other's."""

    base_mask_F: Tensor
    candidate_mask_F: Tensor

    def __init__(self, like: Dfc) -> None:
        """Starts with the weights of ``like``, which is of the strict form."""
        super().__init__()
        config = like.config
        if config.form != "strict" or like.bias_candidate is None:
            raise ValueError("the naive implementation is of the strict form alone")
        sizes = (config.shared, config.base_exclusive, config.candidate_exclusive)
        base, candidate = like.base, like.candidate

        def rows(shared: Tensor | None, base: Tensor | None, candidate: Tensor | None) -> Tensor:
            parts = (shared, base, candidate)
            width = next(part.shape[1] for part in parts if part is not None)
            filled = [
                torch.zeros(n, width) if part is None else part.detach().clone()
                for part, n in zip(parts, sizes, strict=True)
            ]
            return torch.cat(filled)

        self.encoder_base = nn.Parameter(rows(like.encoder_base, base.encoder, None))
        self.encoder_candidate = nn.Parameter(rows(like.encoder_candidate, None, candidate.encoder))
        self.decoder_base = nn.Parameter(rows(like.decoder_base, base.decoder, None))
        self.decoder_candidate = nn.Parameter(rows(like.decoder_candidate, None, candidate.decoder))
        self.bias = nn.Parameter(torch.zeros(config.latents))
        self.bias_base = nn.Parameter(like.bias_base.detach().clone())
        self.bias_candidate = nn.Parameter(like.bias_candidate.detach().clone())
        block = torch.arange(3).repeat_interleave(torch.tensor(sizes))
        self.register_buffer("base_mask_F", (block != 2).float())
        self.register_buffer("candidate_mask_F", (block != 1).float())

    def encode(self, base_BD: Tensor, candidate_BD: Tensor) -> Tensor:
        base_BF = base_BD @ (self.encoder_base * self.base_mask_F[:, None]).T
        candidate_BF = candidate_BD @ (self.encoder_candidate * self.candidate_mask_F[:, None]).T
        return torch.relu(base_BF + candidate_BF + self.bias)

    def decode(self, code_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Of both models, without the biases."""
        return (
            (code_BF * self.base_mask_F) @ self.decoder_base,
            (code_BF * self.candidate_mask_F) @ self.decoder_candidate,
        )

    @torch.no_grad()
    def write_to(self, model: Dfc) -> None:
        """Copy these weights into one of ours of the same settings."""
        config = model.config
        ends = (config.shared, config.shared + config.base_exclusive, config.latents)
        shared, base, candidate = (slice(a, b) for a, b in zip((0, *ends), ends, strict=False))
        assert model.decoder_candidate is not None and model.bias_candidate is not None
        for ours, here in (
            (model.encoder_base, self.encoder_base[shared]),
            (model.encoder_candidate, self.encoder_candidate[shared]),
            (model.decoder_base, self.decoder_base[shared]),
            (model.decoder_candidate, self.decoder_candidate[shared]),
            (model.shared_bias, self.bias[shared]),
            (model.bias_base, self.bias_base),
            (model.bias_candidate, self.bias_candidate),
            (model.base.encoder, self.encoder_base[base]),
            (model.base.decoder, self.decoder_base[base]),
            (model.base.bias, self.bias[base]),
            (model.candidate.encoder, self.encoder_candidate[candidate]),
            (model.candidate.decoder, self.decoder_candidate[candidate]),
            (model.candidate.bias, self.bias[candidate]),
        ):
            ours.copy_(here)

    def norms(self) -> Tensor:
        """Mean norm of the decoder rows over the models that a latent writes to."""
        both_F = self.decoder_base.norm(dim=1) * self.base_mask_F
        both_F = both_F + self.decoder_candidate.norm(dim=1) * self.candidate_mask_F
        return both_F / (self.base_mask_F + self.candidate_mask_F)


class NaiveRun:
    """Steps the naive crosscoder through the schedule of ``dfc.crosscoder.training_run``."""

    def __init__(self, model: Naive, config: DfcConfig) -> None:
        self.model, self.config, self.step = model, config, 0
        self.optimiser = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, betas=ADAM_BETAS
        )
        self.silent_F = torch.zeros(config.latents)

    def update(self, base_BD: Tensor, candidate_BD: Tensor, variance: Variance) -> float:
        """One optimiser step; the loss."""
        config, model = self.config, self.model
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(config, self.step)
        with native_autocast(base_BD.device.type):
            code_BF = model.encode(base_BD, candidate_BD)
            with torch.no_grad():
                score_BF = code_BF.float() * model.norms()
                wanted = round(annealed_k(config, self.step) * len(base_BD))
                strongest = score_BF.reshape(-1).topk(wanted)
                kept_BF = torch.zeros_like(code_BF).reshape(-1)
                kept_BF[strongest.indices] = 1
                kept_BF = kept_BF.reshape(code_BF.shape)
            kept_BF = code_BF * kept_BF
            out_base_BD, out_candidate_BD = model.decode(kept_BF)
            left_base_BD = base_BD - out_base_BD.float() - model.bias_base
            left_candidate_BD = candidate_BD - out_candidate_BD.float() - model.bias_candidate
            loss = _share(left_base_BD, variance.base)
            loss = loss + _share(left_candidate_BD, variance.candidate)
            dead_F = self.silent_F > config.dead_after
            if dead_F.any():
                dead_code_BF = self._strongest_dead(code_BF, dead_F, base_BD, candidate_BD)
                dead_base_BD, dead_candidate_BD = model.decode(dead_code_BF)
                loss = loss + config.aux_weight * (
                    _share(left_base_BD.detach() - dead_base_BD.float(), variance.base)
                    + _share(
                        left_candidate_BD.detach() - dead_candidate_BD.float(), variance.candidate
                    )
                )
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        self.optimiser.step()
        fired_F = (kept_BF.detach() > 0).any(0)
        self.silent_F = torch.where(fired_F, 0.0, self.silent_F + config.batch)
        self.step += 1
        return loss.item()

    @staticmethod
    def _strongest_dead(
        code_BF: Tensor, dead_F: Tensor, base_BD: Tensor, candidate_BD: Tensor
    ) -> Tensor:
        limit = min(int(dead_F.sum()), max(1, (base_BD.shape[1] + candidate_BD.shape[1]) // 4))
        dead_BF = code_BF * dead_F
        strongest = dead_BF.topk(limit, dim=1)
        return torch.zeros_like(dead_BF).scatter(1, strongest.indices, strongest.values)


def _share(left_BD: Tensor, variance: float) -> Tensor:
    return left_BD.pow(2).sum(1).mean() / variance
