"""Controls are drawn from the difference and edit as strongly as the features do."""

from itertools import combinations

import pytest
import torch

from alerts.causes.random_directions import control_banks, difference_directions, with_directions
from tests.alerts.causes.agreeing import (
    DIFFERENCE_ND,
    TRUE,
)
from tests.alerts.linear_engine import WIDTH


def test_control_directions_are_those_of_the_difference_its_mean_included() -> None:
    narrow_ND = DIFFERENCE_ND * torch.tensor([25.0] + [0.1] * (WIDTH - 1))
    directions_CD = difference_directions(narrow_ND, 200, seed=1)
    assert torch.allclose(directions_CD.norm(dim=1), torch.ones(200), atol=1e-5)
    assert directions_CD[:, 0].abs().median() > 0.9
    assert 60 < int((directions_CD[:, 0] > 0).sum()) < 140
    shifted_ND = DIFFERENCE_ND.clone()
    shifted_ND[:, 3] += 10.0
    assert difference_directions(shifted_ND, 200, seed=1)[:, 3].abs().median() > 0.5


@pytest.mark.parametrize("rows", [[0], [0, 1, 2, 3, 4]])
def test_a_control_writes_as_much_as_the_features_it_stands_for(rows: list[int]) -> None:
    directions_RD = difference_directions(DIFFERENCE_ND, len(rows), seed=2)
    control = with_directions(TRUE, rows, directions_RD)
    assert torch.equal(control.encoder_KD, TRUE.encoder_KD)
    assert torch.allclose(control.decoder_KD.norm(dim=1), TRUE.decoder_KD.norm(dim=1))
    cosine_R = torch.cosine_similarity(control.decoder_KD[rows], directions_RD, dim=1)
    assert torch.allclose(cosine_R, torch.ones(len(rows)), atol=1e-5)
    assert torch.equal(control.decoder_KD[len(rows) :], TRUE.decoder_KD[len(rows) :])


def test_controls_of_different_draws_differ_and_equal_seeds_repeat_them() -> None:
    one, other, again = (list(control_banks(TRUE, 1, 2, seed, DIFFERENCE_ND)) for seed in (0, 1, 0))
    decoders = [bank.decoder_KD for bank in (*one, *other)]
    assert all(not torch.equal(a, b) for a, b in combinations(decoders, 2))
    assert all(torch.equal(a.decoder_KD, b.decoder_KD) for a, b in zip(one, again, strict=True))
