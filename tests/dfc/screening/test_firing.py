"""How strongly features fire, and on what."""

import pytest
import torch

from dfc.engines.engine import Edit, FeatureBank
from dfc.engines.steering import edit_delta, plan_edits
from dfc.screening.firing import favourite_tokens, firing, strength_elsewhere


def bank() -> FeatureBank:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return FeatureBank(1, draw(5, 6), draw(5), draw(5).abs(), draw(5, 6), draw(5).abs())


def test_a_feature_fires_as_strongly_as_its_ablation_takes_away() -> None:
    found, x_TD = bank(), torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    f_TR = firing(found, [3, 1], x_TD)
    for column, row in enumerate((3, 1)):
        plan = plan_edits(found, [[Edit(row, gain=-1.0)]], x_TD.device)
        assert plan is not None
        taken_TD = -edit_delta(x_TD[None], plan, torch.ones(1, 40, dtype=torch.bool))[0]
        torch.testing.assert_close(f_TR[:, column : column + 1] * found.decoder_KD[row], taken_TD)
    assert 0 < (f_TR > 0).float().mean() < 1


def test_strength_in_the_other_model_is_a_part_of_its_own() -> None:
    own_T = torch.tensor([0.0, 2.0, 2.0])
    assert strength_elsewhere(own_T, torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(0.25)
    assert strength_elsewhere(torch.zeros(3), own_T) is None


def test_favourite_tokens_hold_most_of_the_activation() -> None:
    f_T = torch.tensor([6.0, 0.0, 3.0, 0.5, 0.5])
    token_T = torch.tensor([7, 7, 4, 9, 8])
    assert favourite_tokens(f_T, token_T, 0.1, 5) == [
        (7, pytest.approx(0.6)),
        (4, pytest.approx(0.3)),
    ]
    assert favourite_tokens(f_T, token_T, 0.1, 1) == [(7, pytest.approx(0.6))]
    assert favourite_tokens(torch.zeros(5), token_T, 0.1, 5) == []
