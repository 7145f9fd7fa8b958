"""Affine maps between two residual streams of different widths."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from dfc.errors import InputError
from dfc.screening.stitching import direction_in_other, fit_stitch

D_BASE, D_CANDIDATE, CONCEPTS, PAIRS = 24, 40, 16, 6000


class World(NamedTuple):
    """Both models write 16 concepts; the candidate also writes one that the base does not have."""

    base_TD: Tensor
    candidate_TD: Tensor
    base_CD: Tensor
    """Direction of every shared concept in the base."""
    candidate_CD: Tensor
    only_candidate_D: Tensor


@pytest.fixture(scope="module")
def world() -> World:
    g = torch.Generator().manual_seed(0)
    shared_TC = torch.randn(PAIRS, CONCEPTS, generator=g)
    base_CD = torch.linalg.qr(torch.randn(D_BASE, D_BASE, generator=g)).Q[:CONCEPTS]
    rows = torch.linalg.qr(torch.randn(D_CANDIDATE, D_CANDIDATE, generator=g)).Q
    candidate_CD, only_D = rows[:CONCEPTS], rows[CONCEPTS]
    only_T = torch.randn(PAIRS, generator=g)
    base_TD = shared_TC @ base_CD + 0.05 * torch.randn(PAIRS, D_BASE, generator=g)
    candidate_TD = 7 * (shared_TC @ candidate_CD + only_T[:, None] * only_D)
    candidate_TD += 0.35 * torch.randn(PAIRS, D_CANDIDATE, generator=g)
    return World(base_TD + 3, candidate_TD - 5, base_CD, candidate_CD, only_D)


def test_a_planted_linear_map_is_recovered_in_both_directions(world: World) -> None:
    stitch = fit_stitch(world.base_TD, world.candidate_TD, seed=0)
    there, back = stitch.base_to_candidate, stitch.candidate_to_base
    assert there.weight.shape == (D_CANDIDATE, D_BASE)
    assert back.weight.shape == (D_BASE, D_CANDIDATE)
    mapped_KD = world.base_CD @ there.weight.T
    torch.testing.assert_close(mapped_KD, 7 * world.candidate_CD, atol=0.25, rtol=0)
    back_KD = world.candidate_CD @ back.weight.T
    torch.testing.assert_close(back_KD, world.base_CD / 7, atol=0.01, rtol=0)
    # The candidate has 17 concepts of equal strength, of which the base can tell 16.
    assert there.r2 == pytest.approx(16 / 17, abs=0.02)
    assert back.r2 == pytest.approx(1, abs=0.01)


def test_states_are_mapped_with_the_bias(world: World) -> None:
    back = fit_stitch(world.base_TD, world.candidate_TD, seed=0).candidate_to_base
    error_TD = world.candidate_TD @ back.weight.T + back.bias_D - world.base_TD
    assert error_TD.square().mean().sqrt() < 0.08


def test_the_reported_r2_is_that_of_new_pairs(world: World) -> None:
    """200 pairs of pure noise: a fit without held-out pairs would explain much of them."""
    g = torch.Generator().manual_seed(1)
    base_TD = torch.randn(700, 200, generator=g)
    candidate_TD = torch.randn(700, 100, generator=g)
    stitch = fit_stitch(base_TD, candidate_TD, seed=0)
    assert abs(stitch.base_to_candidate.r2) < 0.05
    assert stitch.base_to_candidate.ridge == 10


def test_a_few_huge_states_change_nothing(world: World) -> None:
    plain = fit_stitch(world.base_TD, world.candidate_TD, seed=0)
    every_50th = torch.arange(0, PAIRS, 50)
    g = torch.Generator().manual_seed(2)
    base_TD, candidate_TD = world.base_TD.clone(), world.candidate_TD.clone()
    base_TD[every_50th] += 5000 * torch.randn(len(every_50th), D_BASE, generator=g)
    candidate_TD[every_50th + 1] += 5000 * torch.randn(len(every_50th), D_CANDIDATE, generator=g)
    stitch = fit_stitch(base_TD, candidate_TD, seed=0)
    assert stitch.candidate_to_base.r2 == pytest.approx(plain.candidate_to_base.r2, abs=0.005)
    mapped_KD = world.base_CD @ stitch.base_to_candidate.weight.T
    torch.testing.assert_close(mapped_KD, 7 * world.candidate_CD, atol=0.25, rtol=0)


def test_a_direction_that_both_have_arrives_with_its_relative_length(world: World) -> None:
    stitch = fit_stitch(world.base_TD, world.candidate_TD, seed=0)
    mapped = direction_in_other(stitch, 2 * world.base_CD, "base")
    unit_KD = mapped.direction_KD / mapped.direction_KD.norm(dim=1, keepdim=True)
    assert (unit_KD * world.candidate_CD).sum(1).min() > 0.99
    length = 2 * stitch.candidate_norm / stitch.base_norm
    torch.testing.assert_close(mapped.direction_KD.norm(dim=1), torch.full((16,), length))
    assert mapped.gain_K.min() > 0.9
    assert mapped.r2_K.min() > 0.98


def test_a_direction_that_the_other_lacks_maps_to_about_nothing(world: World) -> None:
    stitch = fit_stitch(world.base_TD, world.candidate_TD, seed=0)
    both_KD = torch.stack([world.only_candidate_D, world.candidate_CD[0]])
    mapped = direction_in_other(stitch, both_KD, "candidate")
    assert mapped.gain_K[0] < 0.05 < 0.9 < mapped.gain_K[1]
    assert mapped.r2_K[0] < 0.05 < 0.95 < mapped.r2_K[1]


def test_equal_seeds_give_equal_maps_whatever_the_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit_stitch(world.base_TD, world.candidate_TD, seed=3)
    monkeypatch.setattr("dfc.screening.stitching.CHUNK", 100)
    again = fit_stitch(world.base_TD, world.candidate_TD, seed=3)
    torch.testing.assert_close(again.base_to_candidate.weight, first.base_to_candidate.weight)
    other = fit_stitch(world.base_TD, world.candidate_TD, seed=4)
    assert other.base_to_candidate.r2 != first.base_to_candidate.r2


def test_too_few_pairs_are_refused(world: World) -> None:
    with pytest.raises(InputError, match="600 aligned pairs are too few"):
        fit_stitch(world.base_TD[:600], world.candidate_TD[:600], seed=0)
