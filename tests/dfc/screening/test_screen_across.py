"""Exclusive latents of two models without a common space: the new one is told from the shared."""

import pytest
import torch
from torch import Tensor

from dfc.crosscoder.config import DfcConfig, ScreenConfig, config_of
from dfc.crosscoder.train import TrainedDfc, train
from dfc.screening.base_view import BaseView
from dfc.screening.cross_scaling import CrossScaling
from dfc.screening.exclusive_codes import exclusive_codes
from dfc.screening.judgement import Judgement
from dfc.screening.screen import feature_bank, screen
from dfc.screening.screen_across import is_new, judge_strict
from dfc.screening.stitching import Stitch, fit_stitch

TOKENS, SHARED, D_BASE, D_CANDIDATE = 6000, 24, 48, 64
CONFIG = DfcConfig(
    form="strict",
    shared=26,
    base_exclusive=6,
    candidate_exclusive=6,
    k=4,
    steps=250,
    batch=256,
    learning_rate=5e-3,
)


def planted() -> tuple[Tensor, Tensor, Tensor]:
    """Both models have 24 concepts, each in directions of its own; the candidate has one more.

    Returns the states of both and where the new concept is active.
    """
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(SHARED + 1, d, generator=generator) for d in (D_BASE, D_CANDIDATE)]
    base_CD, candidate_CD = (row / row.norm(dim=1, keepdim=True) for row in rows)
    strength_TC = 4 * (torch.rand(TOKENS, SHARED + 1, generator=generator) + 0.5)
    active_TC = torch.rand(TOKENS, SHARED + 1, generator=generator) < 0.1
    code_TC = strength_TC * active_TC
    noise = [0.02 * torch.randn(TOKENS, d, generator=generator) for d in (D_BASE, D_CANDIDATE)]
    base_TD = code_TC[:, :SHARED] @ base_CD[:SHARED] + noise[0]
    return base_TD, code_TC @ candidate_CD + noise[1], active_TC[:, SHARED]


@pytest.fixture(scope="module")
def trained() -> TrainedDfc:
    base_TD, candidate_TD, _ = planted()
    return train(base_TD, candidate_TD, CONFIG, seed=0)


@pytest.fixture(scope="module")
def stitch() -> Stitch:
    base_TD, candidate_TD, _ = planted()
    return fit_stitch(base_TD, candidate_TD, seed=0)


def test_only_the_new_concept_is_listed(trained: TrainedDfc, stitch: Stitch) -> None:
    base_TD, candidate_TD, active_T = planted()
    screening = screen(
        [trained], base_TD, candidate_TD, 5, ScreenConfig(), base_layer=3, stitch=stitch
    )
    listed = [feature for feature in screening.features if feature.listed]
    assert listed and {feature.side for feature in listed} == {"candidate"}
    code_TK = exclusive_codes(trained, base_TD, candidate_TD).candidate_TK
    for feature in listed:
        fires_T = code_TK[:, feature.row] > 0
        assert (fires_T & active_T).sum() / fires_T.sum() > 0.8
        assert feature.exclusivity is not None and feature.exclusivity > 0.8
    assert screening.candidate_change == screening.candidate_new
    assert screening.banks["candidate"][0].layer == 5 and screening.banks["base"][0].layer == 3


def test_a_shared_concept_held_by_both_blocks_is_mirrored(
    trained: TrainedDfc, stitch: Stitch
) -> None:
    model = trained.model
    shared = int(model.decoder_base.norm(dim=1).argmax())
    with torch.no_grad():  # the strongest shared latent, moved into both exclusive blocks
        for block, encoder, decoder in (
            (model.base, model.encoder_base, model.decoder_base),
            (model.candidate, model.encoder_candidate, model.decoder_candidate),
        ):
            block.encoder[0], block.decoder[0] = 2 * encoder[shared], decoder[shared]
            block.bias[0] = model.shared_bias[shared]
    found = _judge(trained, stitch)
    assert found["candidate"].mirrored_K[0] and found["base"].mirrored_K[0]
    assert not found["candidate"].is_new_K[0] and not found["base"].is_new_K[0]
    assert not _judge(trained, None)["candidate"].mirrored_K.any()


def test_a_silent_latent_is_not_called_new(trained: TrainedDfc) -> None:
    with torch.no_grad():
        trained.model.candidate.bias[1] = -1e6
    found = _judge(trained, None)["candidate"]
    assert not found.is_new_K[1]
    assert found.exclusivity_K is not None and found.exclusivity_K[1].isnan()


def test_the_base_sees_a_shared_feature_where_the_candidate_does(stitch: Stitch) -> None:
    base_TD, candidate_TD, _ = planted()
    one = train(base_TD, candidate_TD, CONFIG, seed=1)
    code_TK = exclusive_codes(one, base_TD, candidate_TD).candidate_TK
    bank = feature_bank(one, "candidate", code_TK, layer=5)
    x_D = candidate_TD.float().std(0)
    # A feature that reads and writes what both models have: the best predicted direction.
    shared_D = stitch.base_to_candidate.weight @ torch.randn(D_BASE)
    bank = bank._replace(
        encoder_KD=shared_D[None],
        bias_K=torch.zeros(1),
        threshold_K=torch.zeros(1),
        decoder_KD=shared_D[None],
        unit_K=x_D[:1],
    )
    there = BaseView(3, stitch).bank(bank)
    assert there.layer == 3 and there.decoder_KD.shape == (1, D_BASE)
    own_T = torch.relu(candidate_TD @ bank.encoder_KD[0])
    other_T = torch.relu(base_TD @ there.encoder_KD[0] + there.bias_K[0])
    assert torch.corrcoef(torch.stack([own_T, other_T]))[0, 1] > 0.9


def test_new_is_what_is_measured_and_carried_by_neither_part_of_the_other_model() -> None:
    config = ScreenConfig()
    low = 0.5 * min(config.carried_error, config.carried_readout)
    unknown = torch.inf
    found = CrossScaling(
        error_K=torch.tensor([low, 2 * config.carried_error, low, unknown]),
        readout_K=torch.tensor([low, low, 2 * config.carried_readout, unknown]),
    )
    assert is_new(found, config).tolist() == [True, False, False, False]
    lax = config.model_copy(update={"carried_error": torch.inf, "carried_readout": torch.inf})
    assert is_new(found, lax).tolist() == [True, True, True, False]


def test_the_strict_form_has_defaults_of_its_own() -> None:
    config = config_of("strict", {"k": 20})
    assert (config.form, config.k) == ("strict", 20)
    exclusive = config.base_exclusive + config.candidate_exclusive
    assert exclusive / config.latents == pytest.approx(0.1)
    assert config_of("tied", {}) == DfcConfig()


def _judge(trained: TrainedDfc, stitch: Stitch | None) -> dict[str, Judgement]:
    base_TD, candidate_TD, _ = planted()
    codes = exclusive_codes(trained, base_TD, candidate_TD)
    return judge_strict(trained, codes, base_TD, candidate_TD, stitch, ScreenConfig())
