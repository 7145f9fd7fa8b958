"""What of the planted topic and behaviour is in which block of the crosscoder."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deploy.bench.architectures.held_out import HeldOut, areas
from dfc.crosscoder.model import Codes, Dfc
from dfc.crosscoder.normalisation import Normalisation, outliers
from dfc.crosscoder.train import TrainedDfc
from workers.stages.harvest import PairedStates

RECALLED = 0.9
"""Least area under the ROC curve of a feature that stands for what was planted."""
TRUE_SHARE = 0.5
"""A listed feature is true when this part of its activation falls on what its model alone knows."""

Rows = Sequence[int]


class Best(NamedTuple):
    """The feature that tells two kinds of documents apart best, chosen on half of them."""

    row: int
    area: float
    """On the other half."""
    f1: float
    """On the other half, with the threshold that is best on the first."""


def best_feature(
    score_NK: NDArray[np.float64], positive_N: NDArray[np.bool_], rows: Rows
) -> Best | None:
    """The best of the columns `rows`; None without any."""
    if not len(rows):
        return None
    first, second = np.arange(len(positive_N)) % 2 == 0, np.arange(len(positive_N)) % 2 == 1
    score_NR = score_NK[:, list(rows)]
    best = int(areas(score_NR[first], positive_N[first]).argmax())
    chosen_N = score_NR[:, best]
    area = float(areas(score_NR[second][:, [best]], positive_N[second])[0])
    limits = np.unique(chosen_N[first])
    limit = max(limits, key=lambda at: _f1(chosen_N[first] >= at, positive_N[first]))
    return Best(rows[best], area, _f1(chosen_N[second] >= limit, positive_N[second]))


def _f1(found_N: NDArray[np.bool_], positive_N: NDArray[np.bool_]) -> float:
    hits = float((found_N & positive_N).sum())
    return 2 * hits / float(found_N.sum() + positive_N.sum())


class Explained(NamedTuple):
    """Parts of the variance of a model's states that a crosscoder explains."""

    shared: float
    """By the shared block alone."""
    everything: float


@torch.no_grad()
def variance_explained(
    trained: TrainedDfc, code: Codes, pair: PairedStates, lines_T: Tensor | None = None
) -> dict[str, Explained]:
    """Of either model, on `lines_T` (all unless given), outliers left out as in training: one state
    of five times the usual norm counts as much as 25 others."""
    norm, model = trained.normalisation, trained.model
    kept_T = ~(outliers(pair.base.x_TD) | outliers(pair.candidate.x_TD))
    if lines_T is not None:
        kept_T &= lines_T
    states = _normalised(norm, pair, kept_T)
    silent = [torch.zeros_like(block) for block in code[1:]]
    full = model.decode(Codes(*(block[kept_T] for block in code)))
    alone = model.decode(Codes(code.shared_BF[kept_T], *(block[kept_T] for block in silent)))
    return {
        name: Explained(_explained(x_TD, shared_TD), _explained(x_TD, full_TD))
        for name, x_TD, shared_TD, full_TD in zip(
            ("base", "candidate"), states, alone, full, strict=True
        )
    }


def true_share(held_out: HeldOut, code_TK: Tensor, own: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Part [K] of each latent's activation that falls on the documents `own`; NaN where silent.

    Every kind of document counts with its mean, as if there were as many lines of both.
    """
    means_NK = held_out.means(code_TK)
    outside_K = means_NK[~own].mean(0)
    inside_K = means_NK[own].mean(0) if own.any() else np.zeros_like(outside_K)
    with np.errstate(invalid="ignore"):
        return np.asarray(inside_K / (inside_K + outside_K))


def alive_rows(block_TK: Tensor) -> list[int]:
    return [int(row) for row in (block_TK > 0).any(0).nonzero()[:, 0]]


def decoder_of(model: Dfc, side: str) -> Tensor:
    """Shared decoder rows of the model `side`, in normalised units."""
    if side == "candidate" and model.decoder_candidate is not None:
        return model.decoder_candidate.detach()
    return model.decoder_base.detach()


def _normalised(norm: Normalisation, pair: PairedStates, kept_T: Tensor) -> tuple[Tensor, Tensor]:
    return norm.base(pair.base.x_TD[kept_T]), norm.candidate(pair.candidate.x_TD[kept_T])


def _explained(x_TD: Tensor, out_TD: Tensor) -> float:
    left = (x_TD - out_TD).pow(2).sum()
    return 1 - (left / (x_TD - x_TD.mean(0)).pow(2).sum()).item()
