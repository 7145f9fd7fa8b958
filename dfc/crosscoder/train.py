"""Train one DFC on paired activations, resumable at any checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder import replicas
from dfc.crosscoder.checkpoint import load_checkpoint, save_checkpoint
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.difference_loss import Moving
from dfc.crosscoder.loss import Variance
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.normalisation import Normalisation, fit_normalisation, outliers
from dfc.crosscoder.training_run import Draw, TrainingRun


class TrainedDfc(NamedTuple):
    """A trained crosscoder with what is needed to use it on raw activations."""

    model: Dfc
    normalisation: Normalisation
    seed: int
    history: list[dict[str, float]]
    """One entry per checkpoint interval: the step and the unexplained shares of variance."""
    moving_RD: Tensor | None = None
    """The directions that the first latents answered for."""


def train(
    base_TD: Tensor,
    candidate_TD: Tensor,
    config: DfcConfig,
    *,
    seed: int,
    device: str = "cpu",
    moving_RD: Tensor | None = None,
    weight_T: Tensor | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    crosscoder: Callable[[DfcConfig, int, int], Dfc] = Dfc,
) -> TrainedDfc:
    """Train on token-aligned raw activations ``[T, d]`` of both models.

    The run takes place on ``device``, to which one batch is taken at a time, the next one while a
    GPU is at work on the last; its result lies on the CPU. ``moving_RD`` are the directions of the
    difference that the tied form's first latents answer for, as long as what they move
    (``moving_directions``); without any, the whole difference. ``weight_T`` is how often a position
    is drawn, relative to the others; without it, all alike. ``crosscoder`` makes the model from the
    settings and both widths; benchmarks compare others.

    A run that is killed and called again with the same arguments ends with the weights of one that
    was not: the optimiser is part of the checkpoint, and a batch depends on the seed and the step
    alone. A KeyboardInterrupt or SystemExit of ``progress`` saves the run at its step first; other
    errors do not. Raises ValueError when there are fewer usable tokens than one batch, and
    FloatingPointError when training diverges.
    """
    normalisation = fit_normalisation(
        base_TD, candidate_TD, same_architecture=config.form == "tied"
    )
    kept_T = (~(outliers(base_TD) | outliers(candidate_TD))).nonzero()[:, 0]
    if len(kept_T) < config.batch:
        raise ValueError(
            f"{len(kept_T)} usable token positions are fewer than one batch of {config.batch}; "
            "give a larger corpus or a smaller dfc.batch"
        )
    base_ND = normalisation.base(base_TD[kept_T])
    candidate_ND = normalisation.candidate(candidate_TD[kept_T])
    weight_N = torch.ones(len(kept_T)) if weight_T is None else weight_T[kept_T].float()
    tied = config.form == "tied"
    variance = _variance(base_ND, candidate_ND, weight_N, tied)
    moving = None
    if tied and moving_RD is not None:
        moving = _moving(moving_RD, candidate_ND - base_ND, weight_N, device)
    draw = Draw(weight_N)
    torch.manual_seed(seed)
    model = crosscoder(config, base_TD.shape[1], candidate_TD.shape[1]).to(device)
    run = TrainingRun(model, config, seed)
    if checkpoint is not None:
        run.resume(checkpoint)
    while run.step < config.steps:
        index = run.batch_index(draw)
        base_BD, candidate_BD = (
            _sent(x_ND.index_select(0, index), device) for x_ND in (base_ND, candidate_ND)
        )
        loss = run.update(base_BD, candidate_BD, variance, moving)
        if run.step % config.checkpoint_every == 0 or run.step == config.steps:
            run.record(loss)
            if checkpoint is not None and replicas.is_first():
                run.save(checkpoint)
        if progress is not None:
            try:
                progress(run.step, config.steps)
            except (KeyboardInterrupt, SystemExit):  # told to stop: goes on at this very step
                if checkpoint is not None:
                    run.save(checkpoint)
                raise
    directions_RD = moving.direction_RD.cpu() if moving else None
    return TrainedDfc(model.cpu().eval(), normalisation, seed, run.history, directions_RD)


def save_trained(path: Path, trained: TrainedDfc) -> None:
    """Write a trained crosscoder as safetensors and JSON; the directory appears whole or not at
    all."""
    norm = trained.normalisation
    tensors = {f"model.{k}": v for k, v in trained.model.state_dict().items()}
    tensors |= {"base_mean": norm.base_mean_D, "candidate_mean": norm.candidate_mean_D}
    if trained.moving_RD is not None:
        tensors["moving"] = trained.moving_RD
    meta = {
        "config": trained.model.config.model_dump(mode="json"),
        "scales": [norm.base_scale, norm.candidate_scale],
        "seed": trained.seed,
        "history": trained.history,
    }
    save_checkpoint(path, tensors, meta)


def load_trained(path: Path) -> TrainedDfc:
    """Read what ``save_trained`` wrote.

    Raises FileNotFoundError when there is nothing whole at ``path``.
    """
    found = load_checkpoint(path)
    if found is None:
        raise FileNotFoundError(f"no trained crosscoder at {path}; run the training stage again")
    tensors, meta = found
    base_mean_D, candidate_mean_D = tensors["base_mean"], tensors["candidate_mean"]
    model = Dfc(DfcConfig(**meta["config"]), len(base_mean_D), len(candidate_mean_D))
    state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.load_state_dict(state)
    norm = Normalisation(base_mean_D, candidate_mean_D, *meta["scales"])
    return TrainedDfc(model.eval(), norm, meta["seed"], meta["history"], tensors.get("moving"))


def _sent(x: Tensor, device: str) -> Tensor:
    """``x`` on ``device``. A GPU reads it out of pinned memory by itself, when it comes to it."""
    if torch.device(device).type != "cuda":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


def _variance(base_ND: Tensor, candidate_ND: Tensor, weight_N: Tensor, tied: bool) -> Variance:
    """As the positions are drawn: per-model variance, and the mean square of the difference."""
    part_N = weight_N / weight_N.sum()
    difference = _mean_square(candidate_ND - base_ND, weight_N) if tied else 1.0
    if difference == 0:
        raise ValueError(
            "the two models have equal activations on every token: nothing to diff at this layer; "
            "what changed lies above it, so choose a later one as recipe.layer, or 'auto', or no "
            "weight has changed at all, but files or the number format alone"
        )
    return Variance(
        base=_mean_square(base_ND - part_N @ base_ND, weight_N),
        candidate=_mean_square(candidate_ND - part_N @ candidate_ND, weight_N),
        difference=difference,
    )


def _moving(
    moving_RD: Tensor, difference_ND: Tensor, weight_N: Tensor, device: str
) -> Moving | None:
    """None where the difference has nothing in these directions, or there are none."""
    variance = _mean_square(difference_ND @ moving_RD.T, weight_N)
    return Moving(moving_RD.to(device), variance) if variance > 0 else None


def _mean_square(x_ND: Tensor, weight_N: Tensor) -> float:
    return (x_ND.pow(2).sum(1) @ weight_N / weight_N.sum()).item()
