"""Settings of the crosscoder and its training.

Free of torch, so that the control plane can validate them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Form = Literal["tied", "strict"]
""""tied" for two checkpoints of one architecture and tokenizer, "strict" (the paper's) for any
others."""

STRICT: dict[str, Any] = {
    "shared": 1800,
    "base_exclusive": 100,
    "candidate_exclusive": 100,
    "steps": 500,
}
"""Defaults of the strict form where they differ. The paper's shares (5 % of the latents for each
model) in a dictionary that two cores can train."""


class DfcConfig(BaseModel):
    """Everything that determines a trained DFC besides its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form = "tied"

    shared: int = Field(1024, ge=1)
    """Latents that both models read and write."""

    base_exclusive: int = Field(256, ge=1)
    """Latents of the base only: what the candidate may have lost."""

    candidate_exclusive: int = Field(1024, ge=1)
    """Latents of the candidate only: what it may have gained."""

    k: float = Field(32, gt=0)
    """Active latents per token, averaged over a batch (tied: of the shared block alone)."""

    k_exclusive: float = Field(128, gt=0)
    """Tied form only: active latents per token in each exclusive block. The prefixes hold what
    moves the words in few latents; the whole block has to explain the rest of the difference, and
    what it gets wrong there undoes part of what ablating it removes."""

    prefixes: tuple[int, ...] = (5, 16, 64)
    """Tied form only: the difference must also be explained by the first 5, 16, ...

    exclusive latents alone, so that the change gathers in few latents (Matryoshka SAEs, Bussmann et
    al. 2025). A prefix of one gathers it in a latent that fires everywhere: the mean difference.
    """

    moving_directions: int = Field(48, ge=0)
    """Tied form only: directions of the difference, those that move the candidate's words most,
    that the prefixes answer for; 0 for the whole difference."""

    difference_weight: float = Field(1.0, ge=0)
    """Tied form only: weight of the loss on candidate minus base, which the exclusive blocks
    alone must explain (Delta-Crosscoder, arXiv 2603.04426)."""

    silence_weight: float = Field(0.25, ge=0)
    """Tied form only: weight of the loss that keeps the prefixes silent on the other model's
    activations."""

    decoder_norm: float = Field(0.4, gt=0)
    """Norm of the decoder rows at the start (paper table 2)."""

    k_initial_factor: float = Field(4.0, ge=1)
    """K starts this many times larger and falls linearly, which leaves fewer dead latents."""

    k_anneal: float = Field(0.2, ge=0, le=1)
    """Part of training over which k falls."""

    aux_weight: float = Field(1 / 32, ge=0)
    """Weight of AuxK, the reconstruction of what is left by latents that went silent."""
    dead_after: int = Field(100_000, ge=1)
    """Tokens without firing after which a latent counts as dead."""

    steps: int = Field(600, ge=1)
    batch: int = Field(2048, ge=2)
    """Tokens per step."""

    learning_rate: float = Field(2e-3, gt=0)
    warmup: float = Field(0.1, ge=0, le=1)
    """Part of training over which the learning rate rises."""

    decay: float = Field(0.3, ge=0, le=1)
    """Part of training, at its end, over which the learning rate falls to zero."""

    checkpoint_every: int = Field(50, ge=1)
    """Steps between saved training states."""

    @property
    def latents(self) -> int:
        """Latents of all three blocks."""
        return self.shared + self.base_exclusive + self.candidate_exclusive

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k > self.shared:
            raise ValueError(
                f"k = {self.k} exceeds the {self.shared} shared latents; lower k or raise shared"
            )
        smallest = min(self.base_exclusive, self.candidate_exclusive)
        if self.form == "tied" and self.k_exclusive > smallest:
            raise ValueError(
                f"k_exclusive = {self.k_exclusive} exceeds an exclusive block of {smallest} "
                "latents; lower k_exclusive or enlarge the block"
            )
        if any(p < 1 for p in self.prefixes) or list(self.prefixes) != sorted(set(self.prefixes)):
            raise ValueError(f"prefixes must be increasing positive numbers, got {self.prefixes}")
        return self


def config_of(form: Form, overrides: Mapping[str, Any]) -> DfcConfig:
    """The defaults of ``form`` under ``overrides``, which may name the other form. Raises
    ValidationError."""
    defaults = STRICT if form == "strict" else {}
    return DfcConfig.model_validate({**defaults, "form": form, **overrides})


class ScreenConfig(BaseModel):
    """Bounds of the short list of exclusive latents."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    minimum_density: float = Field(1e-5, ge=0, le=1)
    """A latent that fires on a smaller share of tokens is dead."""
    mirror_cosine: float = Field(0.9, ge=0, le=1)
    """Two latents of opposite blocks closer than this write the same direction ..."""
    mirror_correlation: float = Field(0.5, ge=0, le=1)
    """... and when they also fire together, they cancel: one shared concept held twice."""
    exclusivity: float = Field(0.5, ge=0, le=1)
    """A feature that the other model carries by more than the rest of this is not new: nu < 0.5 in
    latent scaling (Minder et al. 2025)."""
    carried_error: float = Field(0.2, ge=0)
    """Strict form only: most that the other model's residual may carry of a new feature, as a part
    of what its own model does (``cross_scaling``) ..."""
    carried_readout: float = Field(0.4, ge=0)
    """... and how well the other model's activations may tell it, as a part of how well its own do.
    Both values are set on toys with known concepts (``latentwatch bench toy``)."""
    stitched_cosine: float = Field(0.7, ge=0, le=1)
    """Strict form only: in the place of ``mirror_cosine``, after the map between the two models."""
    seed_agreement: float = Field(0.7, ge=0, le=1)
    """A feature is found again by a seed when its best partner there is at least this
    similar."""
