"""Random directions that look like the change: the control of every causal claim.

Isotropic directions are too weak a control: those drawn from the covariance of candidate minus
base, or of the activations, can undo part of a shift by chance. So an edit is repeated with
directions of that covariance, which fire where the features do whose place they take and change
the states by as much.
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
    directions_CD = difference_directions(states.difference_ND, count * len(rows), seed)
    for directions_RD in directions_CD.split(len(rows)):
        yield control_bank(bank, rows, directions_RD, states)


def control_bank(
    bank: FeatureBank, rows: Sequence[int], directions_RD: Tensor, states: ControlStates
) -> FeatureBank:
    """The bank with the directions in the place of the decoder rows ``rows``, one for each.

    The features fire where they did and as strongly. Each direction gets its feature's norm, and
    then all of them one factor, so that ablating ``rows`` together changes the sampled states by as
    much in root mean square as with the features: rows that write alike add up, random ones partly
    cancel.
    """
    chosen_RD = bank.decoder_KD[rows]
    random_RD = directions_RD.to(chosen_RD) * chosen_RD.norm(dim=1, keepdim=True)
    replaced = _with_rows(bank, rows, random_RD)
    if len(rows) == 1:  # of equal norm, it changes the states by as much
        return replaced
    edits = [Edit(row, gain=-1.0) for row in rows]
    wanted, got = (_edit_norm(one, edits, states.candidate_ND) for one in (bank, replaced))
    return _with_rows(replaced, rows, random_RD * (wanted / got if got > 0 else 1.0))


def _with_rows(bank: FeatureBank, rows: Sequence[int], decoder_RD: Tensor) -> FeatureBank:
    index_R = torch.tensor(rows, device=decoder_RD.device)
    return bank._replace(decoder_KD=bank.decoder_KD.index_copy(0, index_R, decoder_RD))


def _edit_norm(bank: FeatureBank, edits: Sequence[Edit], x_ND: Tensor) -> float:
    """Root mean square over states of what the edits change."""
    plan = plan_edits(bank, [edits], x_ND.device)
    if plan is None:
        return 0.0
    editable_1N = torch.ones(1, len(x_ND), dtype=torch.bool)
    return float(edit_delta(x_ND[None], plan, editable_1N).pow(2).sum(2).mean().sqrt())
