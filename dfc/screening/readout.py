"""How well one model's states tell a latent's activation: a linear read-out, judged on other tokens
than those that it was fitted on."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 1e-3
"""Penalty, as a part of the states' mean variance per dimension."""


@torch.no_grad()
def read_out(code_TK: Tensor, x_TD: Tensor, first_T: Tensor) -> Tensor:
    """Part of each latent's variance ``[K]`` that is read from ``x_TD``: R^2 of a ridge regression
    with an intercept, fitted on the tokens ``first_T`` and judged on the rest, and the other way
    round; the mean of both. It is negative where the fit does harm, and NaN for a latent that does
    not vary in one of the halves.
    """
    if first_T.all() or not first_T.any():
        return torch.full((code_TK.shape[1],), torch.nan)
    parts = []
    for fitted_T, judged_T in ((first_T, ~first_T), (~first_T, first_T)):
        mean_D, mean_K = x_TD[fitted_T].float().mean(0), code_TK[fitted_T].float().mean(0)
        x_ND, code_NK = x_TD[fitted_T].float() - mean_D, code_TK[fitted_T].float() - mean_K
        square_DD = x_ND.T @ x_ND
        penalty_DD = RIDGE * square_DD.diagonal().mean() * torch.eye(len(square_DD))
        weight_DK = torch.linalg.solve(square_DD + penalty_DD, x_ND.T @ code_NK)
        code_JK = code_TK[judged_T].float()
        left_JK = code_JK - mean_K - (x_TD[judged_T].float() - mean_D) @ weight_DK
        parts.append(1 - left_JK.pow(2).sum(0) / (code_JK - code_JK.mean(0)).pow(2).sum(0))
    return torch.stack(parts).mean(0)
