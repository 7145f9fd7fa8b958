"""Random directions that look like the change: the control of every causal claim.

Isotropic directions are too weak a control: those drawn from the covariance of candidate minus
base, or of the activations, can undo part of a shift by chance. So an edit is repeated with
directions of that covariance, equal in number, in firing pattern and in edit norm.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Edit, FeatureBank
from dfc.engines.steering import edit_delta, plan_edits


class ControlStates(NamedTuple):
    """A sample of raw states at one layer, row by row of the same tokens."""

    candidate_ND: Tensor
    difference_ND: Tensor
    """Candidate minus base."""


def difference_directions(difference_ND: Tensor, count: int, seed: int) -> Tensor:
    """``count`` unit directions ``[count, d]`` drawn from the covariance of ``difference_ND``.

    A Gaussian combination of centred samples has their covariance; the sign is random.
    """
    generator = torch.Generator().manual_seed(seed)
    centred_ND = difference_ND.float() - difference_ND.float().mean(0)
    weights_CN = torch.randn(count, len(centred_ND), generator=generator)
    directions_CD = weights_CN @ centred_ND
    return directions_CD / directions_CD.norm(dim=1, keepdim=True)


def control_banks(
    bank: FeatureBank, rows: Sequence[int], count: int, seed: int, states: ControlStates
) -> Iterator[FeatureBank]:
    """``count`` banks with random directions of the difference in the place of ``rows``."""
    size = len(bank.bias_K)
    directions_CD = difference_directions(states.difference_ND, count * size, seed)
    for directions_KD in directions_CD.split(size):
        yield control_bank(bank, rows, directions_KD, states)


def control_bank(
    bank: FeatureBank, rows: Sequence[int], directions_KD: Tensor, states: ControlStates
) -> FeatureBank:
    """The bank with random directions in the place of the decoder rows ``rows``.

    The features fire where they did and as strongly. Each direction gets its feature's norm, and
    then all of them one factor, so that ablating ``rows`` together changes the sampled states by as
    much in root mean square as with the features: rows that write alike add up, random ones partly
    cancel.
    """
    random_KD = directions_KD.to(bank.decoder_KD) * bank.decoder_KD.norm(dim=1, keepdim=True)
    edits = [Edit(row, gain=-1.0) for row in rows]
    wanted, got = (
        _edit_norm(bank._replace(decoder_KD=decoder_KD), edits, states.candidate_ND)
        for decoder_KD in (bank.decoder_KD, random_KD)
    )
    return bank._replace(decoder_KD=random_KD * (wanted / got if got > 0 else 1.0))


def _edit_norm(bank: FeatureBank, edits: Sequence[Edit], x_ND: Tensor) -> float:
    """Root mean square over states of what the edits change."""
    plan = plan_edits(bank, [edits], x_ND.device)
    if plan is None:
        return 0.0
    editable_1N = torch.ones(1, len(x_ND), dtype=torch.bool)
    return float(edit_delta(x_ND[None], plan, editable_1N).pow(2).sum(2).mean().sqrt())
