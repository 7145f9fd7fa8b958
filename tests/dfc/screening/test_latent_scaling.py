"""What the other model carries of a latent, and when that can't be told."""

import math
from typing import Any

import pytest
import torch

from dfc.crosscoder.config import DfcConfig, ScreenConfig
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.normalisation import fit_normalisation
from dfc.crosscoder.train import TrainedDfc
from dfc.screening.exclusive_codes import ExclusiveCodes, SideSums
from dfc.screening.judgement import judge_tied
from dfc.screening.latent_scaling import exclusivity


def sums(count: int = 1, **betas: float) -> SideSums:
    """Of ``count`` latents that all have the same sums."""
    given: dict[str, Any] = {"own_error_K": 2.0, "own_output_K": 1.0, **betas}
    return SideSums(*(torch.full((count,), given.get(name, 0.0)) for name in SideSums._fields))


@pytest.mark.parametrize(
    ("betas", "expected"),
    [
        ({}, 1.0),
        ({"other_error_K": 0.5}, 0.75),
        ({"other_error_K": 0.5, "other_output_K": 0.4}, 0.6),
        ({"other_output_K": 3.0}, 0.0),
        ({"other_output_K": -1.0, "other_error_K": -1.0}, 1.0),
    ],
)
def test_the_larger_part_that_the_other_model_carries_counts(
    betas: dict[str, float], expected: float
) -> None:
    assert exclusivity(sums(**betas)).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["own_error_K", "own_output_K"])
@pytest.mark.parametrize("own", [0.0, -0.3])
@pytest.mark.parametrize("other", [-1.0, 0.0, 1.0])
def test_of_what_its_own_model_does_not_carry_there_is_no_part(
    name: str, own: float, other: float
) -> None:
    found = exclusivity(sums(**{name: own, "other_error_K": other, "other_output_K": other}))
    assert math.isnan(found.item())


def test_a_latent_that_never_fires_is_not_measured() -> None:
    assert math.isnan(exclusivity(SideSums(*([torch.zeros(1)] * len(SideSums._fields)))).item())


def test_what_cannot_be_measured_is_not_new() -> None:
    config = DfcConfig(shared=8, base_exclusive=3, candidate_exclusive=4, k=2, k_exclusive=2)
    states_TD = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    norm = fit_normalisation(states_TD, states_TD, same_architecture=True)
    codes = ExclusiveCodes(
        torch.zeros(16, 3), torch.zeros(16, 4), sums(3), sums(4, own_output_K=-0.1), 1.0
    )
    judged = judge_tied(TrainedDfc(Dfc(config, 6, 6), norm, 0, []), codes, ScreenConfig())
    assert judged["base"].is_new_K.all()
    assert not judged["candidate"].is_new_K.any()
