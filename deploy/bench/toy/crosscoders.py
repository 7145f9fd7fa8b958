"""The crosscoders that are compared; all are trained by the product's own training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from deploy.bench.toy.universe import Sample, Scale
from dfc.crosscoder.batch_topk import batch_topk_threshold
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.model import Chosen, Codes, Dfc, Kept, Reconstruction
from dfc.crosscoder.selection import Reader
from dfc.crosscoder.sparse_products import write
from dfc.crosscoder.train import TrainedDfc, train

Form = Literal["standard", "dsf", "strict", "tied"]

Watch = Callable[[int, Dfc], None]
"""Hears of every step and sees the model after it."""

DESIGNATED = 0.1
"""Share of the latents that DSF designates as shared (paper, section 2.3)."""

DESIGNATED_DENSITY = 2.0
"""How much denser than the rest they are; the best of the paper's sweep."""


class Settings(NamedTuple):
    """What all forms have in common."""

    steps: int
    batch: int
    tokens: int
    """Paired samples to train on."""

    learning_rate: float
    exclusive: float
    """Share of the latents that each model has alone, where the form has such latents."""


class StandardConfig(DfcConfig):
    """Settings of a crosscoder whose latents are all shared: the standard one."""

    base_exclusive: Literal[0] = 0
    candidate_exclusive: Literal[0] = 0


class DesignatedConfig(DfcConfig):
    """Settings of DSF; ``base_exclusive`` counts the designated latents."""

    candidate_exclusive: Literal[0] = 0


class DesignatedShared(Dfc):
    """Designated shared features (Mishra-Sharma et al. 2025, as compared with in the paper).

    A tenth of the latents write the same row into both models and have a BatchTopK of their own.
    They are the first exclusive block, which here reads and writes both models.
    """

    def __init__(self, config: DfcConfig, d_base: int, d_candidate: int) -> None:
        super().__init__(config, d_base, d_candidate)
        self.designated_candidate = nn.Parameter(self.base.encoder.detach() / 2)
        with torch.no_grad():
            self.base.encoder.div_(2)

    def encode(self, base_BD: Tensor, candidate_BD: Tensor) -> Codes:
        block = self.base
        designated_BF = torch.relu(
            base_BD @ block.encoder.T + candidate_BD @ self.designated_candidate.T + block.bias
        )
        return super().encode(base_BD, candidate_BD)._replace(base_BF=designated_BF)

    def batch_thresholds(self, score: Codes, k: float) -> Tensor:
        k_designated = DESIGNATED * DESIGNATED_DENSITY * k
        rest = batch_topk_threshold(score.shared_BF, k - k_designated)
        designated = batch_topk_threshold(score.base_BF, k_designated)
        return torch.stack([rest, designated, rest])

    def choose(self, base_BD: Tensor, candidate_BD: Tensor, k: float) -> Chosen:
        return self.choose_plainly(base_BD, candidate_BD, k)

    def readers(self, base_BD: Tensor, candidate_BD: Tensor) -> tuple[Reader, Reader, Reader]:
        rest, designated, none = super().readers(base_BD, candidate_BD)
        other = (candidate_BD, self.designated_candidate)
        return rest, designated._replace(parts=(*designated.parts, other)), none

    def decode(
        self, code: Codes | Kept, bias: bool = True, learn_exclusive: bool = True
    ) -> Reconstruction:
        out = super().decode(code, bias, learn_exclusive)
        both_BD = write(code.base_BF, self.base.decoder)
        return out._replace(candidate_BD=out.candidate_BD + both_BD)


def train_form(
    form: Form,
    latents: int,
    sample: Sample,
    scale: Scale,
    settings: Settings,
    seed: int,
    watch: Watch,
) -> TrainedDfc:
    """Train one crosscoder of ``latents`` latents on the sample."""
    config, crosscoder = _design(form, latents, scale, settings)
    made: list[Dfc] = []

    def build(config: DfcConfig, d_base: int, d_candidate: int) -> Dfc:
        made.append(crosscoder(config, d_base, d_candidate))
        return made[0]

    return train(
        sample.base_TD,
        sample.candidate_TD,
        config,
        seed=seed,
        progress=lambda step, _: watch(step, made[0]),
        crosscoder=build,
    )


def _design(
    form: Form, latents: int, scale: Scale, settings: Settings
) -> tuple[DfcConfig, type[Dfc]]:
    common: dict[str, Any] = {
        "form": "tied" if form == "tied" else "strict",
        "k": scale.active,
        "steps": settings.steps,
        "batch": settings.batch,
        "learning_rate": settings.learning_rate,
        "checkpoint_every": settings.steps,
    }
    if form == "standard":
        return StandardConfig.model_validate({**common, "shared": latents}), Dfc
    if form == "dsf":
        designated = round(latents * DESIGNATED)
        blocks = {"shared": latents - designated, "base_exclusive": designated}
        return DesignatedConfig.model_validate({**common, **blocks}), DesignatedShared
    exclusive = round(latents * settings.exclusive)
    blocks = {
        "shared": latents - 2 * exclusive,
        "base_exclusive": exclusive,
        "candidate_exclusive": exclusive,
    }
    if form == "tied":
        common["k_exclusive"] = scale.active * scale.exclusive
    return DfcConfig.model_validate({**common, **blocks}), Dfc
