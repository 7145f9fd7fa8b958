"""Random directions that look like the change: the control of every causal claim.

Isotropic directions are too weak a control: combinations of what the candidate has more than the
base can undo part of a shift by chance. So an edit is repeated with such directions, which fire
where the features do whose place they take and are as long as what these write.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dfc.engines.engine import FeatureBank


def difference_directions(difference_ND: Tensor, count: int, seed: int) -> Tensor:
    """``count`` unit directions ``[count, d]``: Gaussian combinations of ``difference_ND``, raw
    states of the candidate minus those of the base at the same tokens.

    Their second moment is that of the samples. The mean is not taken off: what an update adds
    everywhere is part of what its features write. The sign is random.
    """
    generator = torch.Generator().manual_seed(seed)
    weights_CN = torch.randn(count, len(difference_ND), generator=generator)
    directions_CD = weights_CN @ difference_ND.float()
    return directions_CD / directions_CD.norm(dim=1, keepdim=True)


def control_banks(
    bank: FeatureBank, row: int, count: int, seed: int, difference_ND: Tensor
) -> Iterator[FeatureBank]:
    """``count`` banks, each with a random direction of the difference in the place of ``row``."""
    for direction_D in difference_directions(difference_ND, count, seed):
        yield with_directions(bank, [row], direction_D[None])


def with_directions(bank: FeatureBank, rows: Sequence[int], directions_RD: Tensor) -> FeatureBank:
    """The bank with the unit directions in the place of the decoder rows ``rows``, one for each,
    with the norms of these: the features fire where they did and as strongly."""
    norm_R1 = bank.decoder_KD[rows].norm(dim=1, keepdim=True)
    index_R = torch.tensor(rows, device=norm_R1.device)
    written_RD = directions_RD.to(norm_R1) * norm_R1
    return bank._replace(decoder_KD=bank.decoder_KD.index_copy(0, index_R, written_RD))
