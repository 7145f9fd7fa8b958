"""The mutable state of one training run: model, optimiser, running thresholds, dead latents,
history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfc.crosscoder import replicas
from dfc.crosscoder.checkpoint import load_checkpoint, save_checkpoint
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.difference_loss import Moving
from dfc.crosscoder.loss import Loss, Variance, total_loss
from dfc.crosscoder.model import Dfc, Kept
from dfc.crosscoder.sparse_products import Active
from dfc.engines.precision import native_autocast

THRESHOLD_DECAY = 0.95
"""Share of the running threshold that one step keeps.

The paper's code keeps 0.999, for runs 300 times longer.
"""

ADAM_BETAS = (0.9, 0.99)
GRADIENT_NORM = 1.0


class Draw:
    """Draws positions with replacement, in proportion to their weights."""

    def __init__(self, weight_T: Tensor) -> None:
        self._reach_T = weight_T.double().cumsum(0)

    def __call__(self, count: int, generator: torch.Generator) -> Tensor:
        where = torch.rand(count, generator=generator, dtype=torch.float64) * self._reach_T[-1]
        index = torch.searchsorted(self._reach_T, where, right=True)
        return index.clamp_max(len(self._reach_T) - 1)


class TrainingRun:
    """Steps a model and can be saved after any of them."""

    def __init__(self, model: Dfc, config: DfcConfig, seed: int) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.optimiser = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, betas=ADAM_BETAS, fused=True
        )
        self.silent_F = torch.zeros(config.latents, device=model.threshold.device)
        """Tokens since each latent last fired, in the order of the concatenated codes."""
        self.finite = torch.ones((), dtype=torch.bool, device=model.threshold.device)
        """Whether the loss was, in every step."""

    def batch_index(self, draw: Draw) -> Tensor:
        """Positions of this process's part of the step's batch, which depends on the seed and the
        step alone."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        return replicas.own_part(draw(self.config.batch, generator))

    def update(
        self,
        base_BD: Tensor,
        candidate_BD: Tensor,
        variance: Variance,
        moving: Moving | None = None,
    ) -> Loss:
        """One optimiser step on normalised activations. On a GPU nothing waits for its end."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * learning_rate_factor(self.config, self.step)
        with native_autocast(base_BD.device.type):
            kept, threshold = self.model.choose(
                base_BD, candidate_BD, annealed_k(self.config, self.step)
            )
            dead_F = self.silent_F > self.config.dead_after
            loss = total_loss(
                self.model, base_BD, candidate_BD, kept, dead_F, variance, threshold, moving
            )
        self.finite &= torch.isfinite(loss.total.detach())
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        replicas.average_gradients(self.model.parameters())
        if self.step == 0:
            self._check_gradients()
        self._clip()
        self.optimiser.step()
        self._observe(kept, threshold)
        self.step += 1
        return loss

    @torch.no_grad()
    def _observe(self, kept: Kept, threshold: Tensor) -> None:
        running = self.model.threshold
        started = running > 0
        mixed = THRESHOLD_DECAY * running + (1 - THRESHOLD_DECAY) * threshold
        running.copy_(torch.where(started, mixed, threshold))
        fired_F = replicas.highest(torch.cat([_fired(block) for block in kept]).float())
        self.silent_F = torch.where(fired_F > 0, 0.0, self.silent_F + self.config.batch)

    def _clip(self) -> None:
        """Scale gradients that are too large together; on a CPU, which can be asked, no others."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not norm.is_cpu or norm > GRADIENT_NORM:
            torch.nn.utils.clip_grads_with_norm_(parameters, GRADIENT_NORM, norm)

    def _check_gradients(self) -> None:
        """Every block must learn: a loss term that is cut off from its block fails here, not in
        a verdict."""
        for name, parameter in self.model.named_parameters():
            if not parameter.numel():
                continue
            if parameter.grad is None or not parameter.grad.abs().sum() > 0:
                raise RuntimeError(f"parameter {name} received no gradient in the first step")

    def record(self, loss: Loss) -> None:
        """Append the loss terms of the step just taken."""
        self._check_finite()
        mean = replicas.summed(torch.stack(list(loss)).detach()) / replicas.count()
        terms = dict(zip(loss._fields, mean.tolist(), strict=True))
        self.history.append({"step": float(self.step), **terms})

    def _check_finite(self) -> None:
        """Of all steps so far, now and then: to look at each would have a GPU waited for."""
        if not self.finite:
            raise FloatingPointError(
                f"training diverged by step {self.step}, seed {self.seed}: the loss was not "
                "finite; lower dfc.learning_rate or look for non-finite activations"
            )

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on. Raises FloatingPointError when training
        has diverged."""
        self._check_finite()
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors["silent"] = self.silent_F
        for i, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{k}": v for k, v in state.items()}
        meta = {"step": self.step, "history": self.history, "identity": self._identity()}
        save_checkpoint(path, tensors, meta)

    def resume(self, path: Path) -> None:
        """Take up the state at ``path`` if there is one and it belongs to the same run."""
        found = load_checkpoint(path)
        if found is None or found.meta["identity"] != self._identity():
            return
        model = {
            k.removeprefix("model."): v for k, v in found.tensors.items() if k.startswith("model.")
        }
        self.model.load_state_dict(model)
        self.silent_F = found.tensors["silent"].to(self.silent_F.device)
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in found.tensors.items():
            if key.startswith("optimiser."):
                _, i, name = key.split(".")
                state.setdefault(int(i), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.step, self.history = int(found.meta["step"]), list(found.meta["history"])

    def _identity(self) -> dict[str, Any]:
        return {"config": self.config.model_dump(mode="json"), "seed": self.seed}


def _fired(code: Tensor | Active) -> Tensor:
    return code.fired() if isinstance(code, Active) else code.amax(0) > 0


def learning_rate_factor(config: DfcConfig, step: int) -> float:
    """Linear rise, plateau, linear fall to zero."""
    rise = (step + 1) / max(1.0, config.warmup * config.steps)
    fall = (config.steps - step) / max(1.0, config.decay * config.steps)
    return min(1.0, rise, fall)


def annealed_k(config: DfcConfig, step: int) -> float:
    """K falls linearly from ``k_initial_factor * k`` to ``k`` over the first ``k_anneal`` of
    training."""
    done = min(1.0, step / max(1.0, config.k_anneal * config.steps))
    return min(config.k * (config.k_initial_factor * (1 - done) + done), config.shared)
