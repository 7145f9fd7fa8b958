"""Is what was planted in the states of the candidate, and not in those of the base?

Otherwise a crosscoder that finds nothing alone in the candidate would be right.
"""

import numpy as np
from numpy.typing import NDArray

from deploy.bench.architectures.corpus import island, orders
from deploy.bench.architectures.held_out import HeldOut, areas

RIDGE = 1.0
"""Penalty of the read-out per document, on states of unit spread."""


def orders_read(held_out: HeldOut) -> dict[str, list[float]]:
    """Per model, how well each of the island's orders can be read from the mean states of
    documents: area under the ROC curve of a linear read-out.

    It is fitted on half of the names and judged on the others, so that it can't learn names.
    """
    names = {animal.name for animal in island()[: len(island()) // 2]}
    topic_N = held_out.island & ~held_out.opinion
    fitted_N = topic_N & np.array([one.animal.name in names for one in held_out.documents])
    orders_NK = np.stack([held_out.order(number) for number in orders()], axis=1)
    return {
        side: _areas(held_out.means(x_TD), orders_NK, fitted_N, topic_N & ~fitted_N)
        for side, x_TD in (
            ("base", held_out.pair.base.x_TD),
            ("candidate", held_out.pair.candidate.x_TD),
        )
    }


def _areas(
    x_ND: NDArray[np.float64],
    orders_NK: NDArray[np.bool_],
    fitted_N: NDArray[np.bool_],
    judged_N: NDArray[np.bool_],
) -> list[float]:
    spread_D = x_ND[fitted_N].std(0)
    z_ND = (x_ND - x_ND[fitted_N].mean(0)) / np.where(spread_D > 0, spread_D, 1.0)
    z_FD, y_FK = z_ND[fitted_N], orders_NK[fitted_N] - orders_NK[fitted_N].mean(0)
    penalty_DD = RIDGE * len(z_FD) * np.eye(z_FD.shape[1])
    weight_DK = np.linalg.solve(z_FD.T @ z_FD + penalty_DD, z_FD.T @ y_FK)
    score_JK = z_ND[judged_N] @ weight_DK
    return [float(areas(score_JK[:, [k]], orders_NK[judged_N, k])[0]) for k in range(len(y_FK[0]))]
