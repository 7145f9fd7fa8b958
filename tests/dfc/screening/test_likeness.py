"""Features that were found apart are one only if they write the same and fire alike."""

import torch

from dfc.engines.engine import FeatureBank
from dfc.screening.likeness import SAME, likeness


def bank(encoder_KD: torch.Tensor, decoder_KD: torch.Tensor) -> FeatureBank:
    one_K = torch.ones(len(encoder_KD))
    return FeatureBank(1, encoder_KD, 0 * one_K, 0.1 * one_K, decoder_KD, one_K)


AXES = torch.eye(4)
STATES = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))


def test_the_same_feature_is_as_like_as_can_be_whatever_its_place_and_scale() -> None:
    here, there = bank(AXES, AXES), bank(2 * AXES.flip(0), 3 * AXES.flip(0))
    found = likeness(here, [2, 0], there, STATES)
    assert found.agreement.argmax(1).tolist() == [1, 3]
    torch.testing.assert_close(found.agreement.max(1).values, torch.ones(2), atol=0.01, rtol=0)


def test_neither_what_it_writes_nor_where_it_fires_is_enough() -> None:
    here = bank(AXES, AXES)
    writes_alike, fires_alike = bank(AXES.roll(1, 0), AXES), bank(AXES, AXES.roll(1, 0))
    for other in (writes_alike, fires_alike):
        found = likeness(here, [1], other, STATES)
        assert max(found.cosine_RJ.max(), found.correlation_RJ.max()) > 0.99
        assert found.agreement.max() < SAME


def test_a_feature_that_is_silent_here_is_like_none() -> None:
    silent = bank(0 * AXES, AXES)
    assert likeness(bank(AXES, AXES), [0], silent, STATES).agreement.max() == 0
