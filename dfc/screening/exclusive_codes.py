"""One pass of a trained crosscoder over the corpus, with the sums that screening needs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.model import Codes
from dfc.crosscoder.train import TrainedDfc

CHUNK = 8192
"""Tokens per chunk; bounds the memory for shared codes."""


class SideSums(NamedTuple):
    """Sums over tokens per exclusive latent, in normalised units; w is its decoder row, f its
    activation."""

    gain_K: Tensor
    """Sum of 2 f <D, w> - f^2 |w|^2, D = own minus other model: what f w takes from D."""
    moving_K: Tensor
    """The same within the moving directions, if the crosscoder was trained for such."""
    own_error_K: Tensor
    """Sum of f <w, own residual with the latent's contribution put back>."""

    other_error_K: Tensor
    """Sum of f <w, other model's residual>."""
    own_output_K: Tensor
    """Sum of f <w, own reconstruction>."""
    other_output_K: Tensor
    """Sum of f <w, other model's reconstruction>."""


class ExclusiveCodes(NamedTuple):
    """Activations ``[T, K]`` of both exclusive blocks under the running thresholds, and their
    sums.

    ``base``, ``candidate`` and ``difference_energy`` are None when the two models have no
    common space.
    """

    base_TK: Tensor
    candidate_TK: Tensor
    base: SideSums | None
    candidate: SideSums | None
    difference_energy: float | None
    """Sum of |candidate - base|^2 over tokens."""
    moving_energy: float | None = None
    """The same within the moving directions."""


@torch.no_grad()
def exclusive_codes(trained: TrainedDfc, base_TD: Tensor, candidate_TD: Tensor) -> ExclusiveCodes:
    """Encode raw, token-aligned activations ``[T, d]`` of both models chunk by chunk."""
    model, norm = trained.model, trained.normalisation
    codes: list[Codes] = []
    sums: list[tuple[SideSums, SideSums, Tensor, Tensor]] = []
    for raw_base_ND, raw_candidate_ND in zip(
        base_TD.split(CHUNK), candidate_TD.split(CHUNK), strict=True
    ):
        base_ND, candidate_ND = norm.base(raw_base_ND), norm.candidate(raw_candidate_ND)
        code = model.select(model.encode(base_ND, candidate_ND))
        codes.append(code)
        if model.config.form == "tied":
            out = model.decode(code)
            base = (base_ND, out.base_BD, code.base_BF, model.base.decoder)
            candidate = (candidate_ND, out.candidate_BD, code.candidate_BF, model.candidate.decoder)
            change_ND = candidate_ND - base_ND
            moved_NR = _within(change_ND, trained.moving_RD)
            sums.append(
                (
                    _sums(*base, *candidate[:2], trained.moving_RD),
                    _sums(*candidate, *base[:2], trained.moving_RD),
                    change_ND.pow(2).sum(),
                    moved_NR.pow(2).sum(),
                )
            )
    base_TK = torch.cat([code.base_BF for code in codes])
    candidate_TK = torch.cat([code.candidate_BF for code in codes])
    if not sums:
        return ExclusiveCodes(base_TK, candidate_TK, None, None, None)
    return ExclusiveCodes(
        base_TK,
        candidate_TK,
        SideSums(*(torch.stack(parts).sum(0) for parts in zip(*(s[0] for s in sums), strict=True))),
        SideSums(*(torch.stack(parts).sum(0) for parts in zip(*(s[1] for s in sums), strict=True))),
        float(torch.stack([s[2] for s in sums]).sum()),
        float(torch.stack([s[3] for s in sums]).sum()),
    )


def _sums(
    own_ND: Tensor,
    own_out_ND: Tensor,
    code_NK: Tensor,
    decoder_KD: Tensor,
    other_ND: Tensor,
    other_out_ND: Tensor,
    moving_RD: Tensor | None,
) -> SideSums:
    def gain(target_ND: Tensor, written_KD: Tensor) -> Tensor:
        square_NK = code_NK.pow(2) * written_KD.pow(2).sum(1)
        return (2 * code_NK * (target_ND @ written_KD.T) - square_NK).sum(0)

    def carried(target_ND: Tensor) -> Tensor:
        return (code_NK * (target_ND @ decoder_KD.T)).sum(0)

    square_K = (code_NK.pow(2) * decoder_KD.pow(2).sum(1)).sum(0)
    change_ND = own_ND - other_ND
    return SideSums(
        gain_K=gain(change_ND, decoder_KD),
        moving_K=gain(_within(change_ND, moving_RD), _within(decoder_KD, moving_RD)),
        own_error_K=carried(own_ND - own_out_ND) + square_K,
        other_error_K=carried(other_ND - other_out_ND),
        own_output_K=carried(own_out_ND),
        other_output_K=carried(other_out_ND),
    )


def _within(x_ND: Tensor, moving_RD: Tensor | None) -> Tensor:
    """Coordinates in the moving directions; without any, in all."""
    return x_ND if moving_RD is None else x_ND @ moving_RD.T
