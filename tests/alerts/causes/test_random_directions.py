"""Controls are drawn from the difference and edit as strongly as the features do."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from alerts.causes.random_directions import control_bank, control_banks, difference_directions
from dfc.engines.engine import FeatureBank
from tests.alerts.causes.agreeing import (
    ADDED_D,
    CANDIDATE_ND,
    DIFFERENCE_ND,
    STATES,
    TRUE,
    bank,
    basis,
)
from tests.alerts.linear_engine import WIDTH


def test_control_directions_have_the_covariance_of_the_difference() -> None:
    narrow_ND = DIFFERENCE_ND * torch.tensor([25.0] + [0.1] * (WIDTH - 1))
    directions_CD = difference_directions(narrow_ND + 100.0, 200, seed=1)
    assert torch.allclose(directions_CD.norm(dim=1), torch.ones(200), atol=1e-5)
    assert directions_CD[:, 0].abs().median() > 0.9
    assert 60 < int((directions_CD[:, 0] > 0).sum()) < 140


@pytest.mark.parametrize("rows", [[0], [0, 1, 2, 3, 4]])
def test_a_control_edits_as_strongly_as_the_features_it_stands_for(rows: list[int]) -> None:
    # Features that write alike add up, and so must their controls.
    alike = bank(*(ADDED_D + 0.1 * basis(n) for n in range(5, 11)))
    directions_RD = difference_directions(DIFFERENCE_ND, len(rows), seed=2)
    control = control_bank(alike, rows, directions_RD, STATES)

    def edit_norm(edited: FeatureBank) -> Tensor:
        f_N = torch.relu(CANDIDATE_ND[:, 23])
        return (f_N[:, None] * edited.decoder_KD[rows].sum(0)).pow(2).sum(1).mean().sqrt()

    assert torch.allclose(edit_norm(control), edit_norm(alike), rtol=1e-4)
    assert torch.equal(control.encoder_KD, alike.encoder_KD)
    cosine_R = torch.cosine_similarity(control.decoder_KD[rows], directions_RD, dim=1)
    assert torch.allclose(cosine_R, torch.ones(len(rows)), atol=1e-5)
    assert torch.equal(control.decoder_KD[len(rows) :], alike.decoder_KD[len(rows) :])


def test_controls_of_different_draws_differ_and_equal_seeds_repeat_them() -> None:
    one, other, again = (list(control_banks(TRUE, [1], 2, seed, STATES)) for seed in (0, 1, 0))
    decoders = [bank.decoder_KD for bank in (*one, *other)]
    assert all(not torch.equal(a, b) for a, b in combinations(decoders, 2))
    assert all(torch.equal(a.decoder_KD, b.decoder_KD) for a, b in zip(one, again, strict=True))
