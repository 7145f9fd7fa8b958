"""Two-target latent scaling on planted cases, between models of different width."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from dfc.screening.cross_scaling import BLOCK, CrossScaling, cross_scaling
from dfc.screening.readout import read_out

TOKENS = 16_000


class Planted:
    """Own model of width 24, other of width 40, eight concepts. The other model lacks concept 0,
    holds concept 1 in its residual (shrinkage), and concept 2 where other latents write it
    (decoupling)."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.own_CD = normalize(torch.randn(8, 24, generator=generator))
        self.other_CD = normalize(torch.randn(8, 40, generator=generator))
        active_TC = torch.rand(TOKENS, 8, generator=generator) < 0.05
        self.code_TC = active_TC * torch.rand(TOKENS, 8, generator=generator)
        self.own_TD = self.code_TC @ self.own_CD
        present_TC = self.code_TC.clone()
        present_TC[:, 0] = 0
        noise_TD = 0.01 * torch.randn(TOKENS, 40, generator=generator)
        self.other_TD = present_TC @ self.other_CD + noise_TD
        self.left_TD = self.code_TC[:, 1:2] @ self.other_CD[1:2] + noise_TD

    def ratios(self) -> CrossScaling:
        return cross_scaling(self.code_TC, self.own_TD, self.other_TD, self.left_TD, self.own_CD)


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


def test_a_true_exclusive_is_carried_by_neither_target(planted: Planted) -> None:
    found = planted.ratios()
    assert found.error_K[0] < 0.01
    assert found.readout_K[0] < 0.03


def test_complete_shrinkage_shows_in_the_residual(planted: Planted) -> None:
    assert planted.ratios().error_K[1] > 0.8


def test_latent_decoupling_shows_in_the_activations_alone(planted: Planted) -> None:
    found = planted.ratios()
    assert found.error_K[2] < 0.01  # the residual by itself would call this concept exclusive
    assert found.readout_K[2] > 0.8


def test_a_concept_left_out_at_half_the_amplitude_is_a_quarter_of_the_energy(
    planted: Planted,
) -> None:
    own_TD, left_TD = (part * planted.code_TC @ planted.other_CD for part in (1.0, 0.5))
    found = cross_scaling(planted.code_TC, own_TD, own_TD, left_TD, planted.other_CD)
    assert found.error_K.tolist() == pytest.approx([0.25] * 8, abs=0.05)


def test_amplitude_is_nothing_to_the_read_out_and_noise_is(planted: Planted) -> None:
    generator = torch.Generator().manual_seed(4)
    faint_TD = planted.other_TD - 0.9 * planted.code_TC[:, 3:4] @ planted.other_CD[3:4]
    noisy_TD = planted.other_TD + 0.2 * torch.randn(TOKENS, 40, generator=generator)
    known = (planted.code_TC, planted.own_TD)
    faint, noisy = (
        cross_scaling(*known, other_TD, planted.left_TD, planted.own_CD)
        for other_TD in (faint_TD, noisy_TD)
    )
    assert faint.readout_K[3] > 0.5
    assert noisy.readout_K[3] < 0.5


def test_units_and_rotation_of_either_model_do_not_matter(planted: Planted) -> None:
    first = planted.ratios()
    rotation_DD = torch.linalg.qr(torch.randn(40, 40, generator=torch.Generator().manual_seed(1)))
    turn = 7 * rotation_DD.Q
    again = cross_scaling(
        3 * planted.code_TC,
        5 * planted.own_TD + 2,
        planted.other_TD @ turn - 1,
        planted.left_TD @ turn,
        5 / 3 * planted.own_CD,
    )
    for before_K, after_K in zip(first, again, strict=True):
        assert torch.allclose(before_K, after_K, rtol=1e-3, atol=1e-4)


def test_chance_adds_nothing_to_seldom_latents() -> None:
    generator = torch.Generator().manual_seed(2)
    code_TK = (torch.rand(TOKENS, 200, generator=generator) < 0.002).float()
    own_KD = normalize(torch.randn(200, 24, generator=generator))
    other_TD = torch.randn(TOKENS, 40, generator=generator)
    found = cross_scaling(code_TK, code_TK @ own_KD, other_TD, other_TD, own_KD)
    one_half = code_TK[: TOKENS // 2]
    naive_KD = one_half.T @ other_TD[: TOKENS // 2] / one_half.sum(0)[:, None]
    naive_K = naive_KD.pow(2).sum(1) / other_TD.var(0).sum()
    assert naive_K.median() > 0.04  # what chance alone gives a direction judged where it was fitted
    gain = 1 / (code_TK @ own_KD).var(0).sum()
    assert (found.error_K.median() * gain) < 0.1 * naive_K.median()


def blank(tokens: int = 4 * BLOCK) -> Tensor:
    return torch.zeros(tokens, 1)


@pytest.mark.parametrize("case", ["silent", "constant", "one half", "leads away", "too few"])
def test_what_cannot_be_measured_is_never_small(case: str) -> None:
    code_TK, decoder_KD = blank(), torch.tensor([[1.0, 0.0]])
    if case == "constant":
        code_TK += 1
    elif case == "one half":
        code_TK[3:9] = 1
    elif case == "leads away":
        code_TK[::7] = 1
    elif case == "too few":
        code_TK = blank(BLOCK)
        code_TK[::7] = 1
    own_TD = code_TK @ (-decoder_KD if case == "leads away" else decoder_KD)
    own_TD = own_TD + torch.randn(own_TD.shape, generator=torch.Generator().manual_seed(3))
    found = cross_scaling(code_TK, own_TD, own_TD, own_TD, decoder_KD)
    assert found.error_K.tolist() == [torch.inf]
    assert found.readout_K.tolist() == [torch.inf]


def test_half_precision_gives_the_same_ratios(planted: Planted) -> None:
    first = planted.ratios()
    again = cross_scaling(
        planted.code_TC.bfloat16(),
        planted.own_TD.bfloat16(),
        planted.other_TD.bfloat16(),
        planted.left_TD.bfloat16(),
        planted.own_CD,
    )
    assert torch.allclose(first.readout_K, again.readout_K, rtol=0.02, atol=0.01)


def test_weak_activations_that_read_other_concepts_do_not_count(planted: Planted) -> None:
    """A latent for concept 0 that also fires, weakly, on concept 4, which is loud in the other."""
    loud_TK = planted.code_TC[:, 4:5]
    other_TD = planted.other_TD + 4 * loud_TK @ planted.other_CD[4:5]
    code_TK = planted.code_TC[:, :1] + 0.25 * (loud_TK > 0.7)
    found = cross_scaling(code_TK, planted.own_TD, other_TD, planted.left_TD, planted.own_CD[:1])
    assert found.readout_K[0] < 0.03


@pytest.mark.parametrize(("together", "carried"), [(0.25, 0.02), (0.5, 0.06), (1.0, 0.22)])
def test_what_comes_with_a_shared_concept_counts_as_partly_carried(
    planted: Planted, together: float, carried: float
) -> None:
    """A limit of the measure: company in the other model can't be told from the concept itself."""
    generator = torch.Generator().manual_seed(5)
    code_TC = planted.code_TC.clone()
    with_T = (code_TC[:, 0] > 0) & (torch.rand(TOKENS, generator=generator) < together)
    code_TC[with_T, 4] = torch.rand(int(with_T.sum()), generator=generator)
    other_TD = code_TC[:, 1:] @ planted.other_CD[1:]
    own_TD, own_CD = code_TC @ planted.own_CD, planted.own_CD[:1]
    found = cross_scaling(code_TC[:, :1], own_TD, other_TD, torch.zeros_like(other_TD), own_CD)
    assert found.readout_K[0] == pytest.approx(carried, abs=0.03)


@pytest.mark.parametrize("shared", [False, True])
def test_a_rare_latent_in_a_crowded_space_is_told_apart(shared: bool) -> None:
    """Most of what its own states say is other concepts: they tell less than a tenth of it."""
    generator = torch.Generator().manual_seed(6)
    code_TK = (torch.rand(2 * TOKENS, 1, generator=generator) < 0.008).float()
    own_CD = normalize(torch.randn(1, 24, generator=generator))
    other_CD = normalize(torch.randn(1, 40, generator=generator))
    own_TD = code_TK @ own_CD + 0.3 * torch.randn(2 * TOKENS, 24, generator=generator)
    other_TD = 0.3 * torch.randn(2 * TOKENS, 40, generator=generator)
    if shared:
        other_TD += code_TK @ other_CD
    first_T = (torch.arange(2 * TOKENS) // BLOCK) % 2 == 0
    assert 0.05 < read_out(code_TK, own_TD, first_T).item() < 0.1
    found = cross_scaling(code_TK, own_TD, other_TD, torch.zeros_like(other_TD), own_CD)
    assert (found.readout_K[0] > 0.8) == shared
    assert (found.readout_K[0] < 0.1) != shared


def test_without_latents_there_is_nothing_to_tell(planted: Planted) -> None:
    found = cross_scaling(
        planted.code_TC[:, :0],
        planted.own_TD,
        planted.other_TD,
        planted.left_TD,
        planted.own_CD[:0],
    )
    assert found.error_K.tolist() == found.readout_K.tolist() == []
