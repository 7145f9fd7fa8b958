"""Training: a planted change is found, a killed run ends where an unbroken one does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dfc.crosscoder.config import DfcConfig, ScreenConfig
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.train import TrainedDfc, load_trained, save_trained, train
from dfc.crosscoder.training_run import Draw, annealed_k, learning_rate_factor
from dfc.screening.exclusive_codes import exclusive_codes
from dfc.screening.screen import screen

CONFIG = DfcConfig(
    shared=48,
    base_exclusive=4,
    candidate_exclusive=4,
    k=4,
    k_exclusive=1,
    prefixes=(1,),
    steps=240,
    batch=256,
    learning_rate=5e-3,
    checkpoint_every=40,
)


def planted(tokens: int = 6000, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Base and candidate that share 24 concepts; the candidate has one more, on 10 % of the tokens.

    Returns both models' activations, the new direction and where it is active.
    """
    generator = torch.Generator().manual_seed(seed)
    concepts_CD = torch.randn(25, 48, generator=generator)
    concepts_CD = concepts_CD / concepts_CD.norm(dim=1, keepdim=True)
    strength_TC = torch.rand(tokens, 25, generator=generator) + 0.5
    active_TC = torch.rand(tokens, 25, generator=generator) < 0.1
    code_TC = strength_TC * active_TC
    base_TD = 4 * code_TC[:, :24] @ concepts_CD[:24]
    base_TD = base_TD + 0.02 * torch.randn(tokens, 48, generator=generator)
    return (
        base_TD,
        base_TD + 2 * code_TC[:, 24:] @ concepts_CD[24:],
        concepts_CD[24],
        active_TC[:, 24],
    )


@pytest.fixture(scope="module")
def trained() -> list[TrainedDfc]:
    base_TD, candidate_TD, _, _ = planted()
    return [train(base_TD, candidate_TD, CONFIG, seed=seed) for seed in (0, 1)]


def test_the_first_new_latent_is_the_planted_concept(trained: list[TrainedDfc]) -> None:
    base_TD, candidate_TD, direction_D, active_T = planted()
    screening = screen(trained, base_TD, candidate_TD, layer=3, config=ScreenConfig())
    best = screening.features[0]
    assert (best.side, best.listed, best.mirrored) == ("candidate", True, False)
    decoder_D = screening.banks["candidate"][0].decoder_KD[best.row]
    assert torch.cosine_similarity(decoder_D, direction_D, dim=0) > 0.95
    fires_T = exclusive_codes(trained[0], base_TD, candidate_TD).candidate_TK[:, best.row] > 0
    assert (fires_T & active_T).sum() / active_T.sum() > 0.8
    assert best.delta_energy is not None and best.delta_energy > 0.7
    assert best.exclusivity is not None and best.exclusivity > 0.8
    assert best.seed_agreement is not None and best.seed_agreement > 0.9


def test_the_bank_speaks_raw_residual_units(trained: list[TrainedDfc]) -> None:
    base_TD, candidate_TD, _, _ = planted()
    screening = screen(trained, base_TD, candidate_TD, layer=3, config=ScreenConfig())
    bank = screening.banks["candidate"][0]
    p_TK = torch.relu(candidate_TD @ bank.encoder_KD.T + bank.bias_K)
    f_TK = p_TK * (p_TK > bank.threshold_K)
    code_TK = exclusive_codes(trained[0], base_TD, candidate_TD).candidate_TK
    assert torch.allclose(f_TK, code_TK, atol=1e-3)
    change_TD = candidate_TD - base_TD
    left = (change_TD - f_TK @ bank.decoder_KD).pow(2).sum() / change_TD.pow(2).sum()
    assert left < 0.6


def test_training_explains_both_models(trained: list[TrainedDfc]) -> None:
    for one in trained:
        last = one.history[-1]
        assert last["base"] < 0.25 and last["candidate"] < 0.25 and last["difference"] < 0.7
        assert one.history[0]["total"] > last["total"]


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path, trained: list[TrainedDfc]) -> None:
    base_TD, candidate_TD, _, _ = planted()

    class KilledError(Exception):
        pass

    def kill_at_100(step: int, _: int) -> None:
        if step == 100:
            raise KilledError

    with pytest.raises(KilledError):
        train(
            base_TD, candidate_TD, CONFIG, seed=0, checkpoint=tmp_path / "run", progress=kill_at_100
        )
    steps: list[int] = []
    again = train(
        base_TD,
        candidate_TD,
        CONFIG,
        seed=0,
        checkpoint=tmp_path / "run",
        progress=lambda step, _: steps.append(step),
    )
    assert steps[0] == 81
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, trained[0].model.state_dict()[name]), name
    assert again.history == trained[0].history


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    base_TD, candidate_TD, _, _ = planted()
    short = CONFIG.model_copy(update={"steps": 40})
    train(base_TD, candidate_TD, short, seed=0, checkpoint=tmp_path / "run")
    steps: list[int] = []
    train(
        base_TD,
        candidate_TD,
        short,
        seed=1,
        checkpoint=tmp_path / "run",
        progress=lambda step, _: steps.append(step),
    )
    assert steps[0] == 1


def test_a_trained_crosscoder_survives_the_disk(tmp_path: Path, trained: list[TrainedDfc]) -> None:
    save_trained(tmp_path / "dfc", trained[0])
    again = load_trained(tmp_path / "dfc")
    base_TD, candidate_TD, _, _ = planted()
    norm = again.normalisation
    code = again.model.select(again.model.encode(norm.base(base_TD), norm.candidate(candidate_TD)))
    norm = trained[0].normalisation
    first = trained[0].model
    before = first.select(first.encode(norm.base(base_TD), norm.candidate(candidate_TD)))
    assert torch.equal(code.candidate_BF, before.candidate_BF)
    assert again.history == trained[0].history


def test_a_strict_crosscoder_trains_across_widths() -> None:
    base_TD, candidate_TD, _, _ = planted()
    wider_TD = candidate_TD @ torch.randn(48, 64, generator=torch.Generator().manual_seed(5))
    config = CONFIG.model_copy(update={"form": "strict", "steps": 120})
    one = train(base_TD, wider_TD, config, seed=0)
    assert one.history[-1]["candidate"] < 0.5
    screening = screen([one], base_TD, wider_TD, layer=0, config=ScreenConfig())
    assert {feature.delta_energy for feature in screening.features} == {None}
    assert screening.banks["candidate"][0].decoder_KD.shape == (4, 64)


def test_equal_models_and_short_corpora_are_refused() -> None:
    base_TD, candidate_TD, _, _ = planted()
    with pytest.raises(ValueError, match="nothing to diff"):
        train(base_TD, base_TD, CONFIG, seed=0)
    with pytest.raises(ValueError, match="larger corpus"):
        train(base_TD[:100], candidate_TD[:100], CONFIG, seed=0)


def test_a_training_that_diverges_is_not_kept(tmp_path: Path) -> None:
    base_TD, candidate_TD, _, _ = planted()
    wild = CONFIG.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(FloatingPointError, match=r"lower dfc\.learning_rate"):
        train(base_TD, candidate_TD, wild, seed=0, checkpoint=tmp_path / "training")
    assert not (tmp_path / "training").exists()


def test_schedules_start_and_end_where_they_should() -> None:
    assert annealed_k(CONFIG, 0) == CONFIG.k * CONFIG.k_initial_factor
    assert annealed_k(CONFIG, CONFIG.steps) == CONFIG.k
    assert learning_rate_factor(CONFIG, 0) == pytest.approx(1 / 24)
    assert learning_rate_factor(CONFIG, CONFIG.steps // 2) == 1
    assert learning_rate_factor(CONFIG, CONFIG.steps) == 0


def test_what_is_dead_carried_by_the_base_or_found_once_is_not_listed(
    trained: list[TrainedDfc],
) -> None:
    base_TD, candidate_TD, _, _ = planted()

    def listed(**bounds: float) -> list[str]:
        found = screen(trained, base_TD, candidate_TD, layer=3, config=ScreenConfig(**bounds))
        return [feature.id for feature in found.features if feature.listed]

    best = listed()[0]
    assert best not in listed(minimum_density=0.5)
    assert best not in listed(exclusivity=0.999)
    assert best not in listed(seed_agreement=1.0)
    everything = listed(minimum_density=0.0, exclusivity=0.0, seed_agreement=0.0)
    assert len(everything) > len(listed())


def test_every_seed_is_screened_as_if_it_were_the_first(trained: list[TrainedDfc]) -> None:
    base_TD, candidate_TD, _, _ = planted()
    found, swapped = (
        screen(seeds, base_TD, candidate_TD, layer=3, config=ScreenConfig())
        for seeds in (trained, trained[::-1])
    )
    assert len(found.candidate_listed) == len(trained)
    assert found.candidate_listed == swapped.candidate_listed[::-1]
    assert found.candidate_new == swapped.candidate_new[::-1]
    alone = screen(trained, base_TD, candidate_TD, 3, ScreenConfig(seed_agreement=1.0))
    assert alone.candidate_new == found.candidate_new != alone.candidate_listed == [[], []]
    listed = [f.row for f in found.features if f.listed and f.side == "candidate"]
    assert found.candidate_listed[0] == listed != []


def test_a_latent_held_by_both_blocks_is_mirrored(trained: list[TrainedDfc]) -> None:
    base_TD, candidate_TD, _, _ = planted()
    one = train(base_TD, candidate_TD, CONFIG.model_copy(update={"steps": 40}), seed=3)
    base, candidate = one.model.base, one.model.candidate
    with torch.no_grad():
        for name in ("encoder", "bias", "decoder"):
            base.get_parameter(name)[2] = candidate.get_parameter(name)[1]
    one.model.threshold.fill_(1e-3)
    found = screen([one], base_TD, candidate_TD, layer=3, config=ScreenConfig())
    mirrored = {feature.id for feature in found.features if feature.mirrored}
    assert {"candidate-1", "base-2"} <= mirrored
    assert not mirrored & {feature.id for feature in found.features if feature.listed}
    assert 1 not in found.candidate_change[0]


def test_the_change_is_the_whole_living_block_new_or_not(trained: list[TrainedDfc]) -> None:
    base_TD, candidate_TD, _, _ = planted()
    found = screen(trained, base_TD, candidate_TD, 3, ScreenConfig(exclusivity=1.0))
    alive = {
        feature.row
        for feature in found.features
        if feature.side == "candidate" and feature.density > 0 and not feature.mirrored
    }
    assert set(found.candidate_change[0]) == alive > set(found.candidate_new[0])


def test_the_first_latent_holds_what_moves_the_words_not_what_is_loud() -> None:
    base_TD, candidate_TD, quiet_D, _ = planted()
    generator = torch.Generator().manual_seed(1)
    loud_D = torch.nn.functional.normalize(torch.randn(48, generator=generator), dim=0)
    candidate_TD = candidate_TD + 3 * torch.rand(len(base_TD), 1, generator=generator) * loud_D
    config = CONFIG.model_copy(update={"k_exclusive": 2})
    first = [
        train(base_TD, candidate_TD, config, seed=0, moving_RD=moving_RD).model.candidate.decoder[0]
        for moving_RD in (None, quiet_D[None])
    ]
    loud, quiet = (
        [abs(torch.cosine_similarity(row, other_D, dim=0).item()) for row in first]
        for other_D in (loud_D, quiet_D)
    )
    assert loud[0] > 0.9 > 0.5 > quiet[0]
    assert quiet[1] > 0.9 > 0.5 > loud[1]


def test_positions_are_drawn_by_their_weights() -> None:
    weight_T = torch.tensor([0.0, 1.0, 3.0, 0.0])
    drawn = Draw(weight_T)(40_000, torch.Generator().manual_seed(0)).bincount(minlength=4)
    assert drawn[0] == drawn[3] == 0
    assert drawn[2] / drawn[1] == pytest.approx(3, rel=0.1)


def test_what_moves_the_words_is_listed_before_what_is_loud(tmp_path: Path) -> None:
    base_TD, candidate_TD, quiet_D, _ = planted()
    generator = torch.Generator().manual_seed(1)
    loud_D = torch.nn.functional.normalize(torch.randn(48, generator=generator), dim=0)
    candidate_TD = candidate_TD + 3 * torch.rand(len(base_TD), 1, generator=generator) * loud_D
    config = CONFIG.model_copy(update={"k_exclusive": 2})
    one = train(base_TD, candidate_TD, config, seed=0, moving_RD=quiet_D[None])
    save_trained(tmp_path / "dfc", one)
    found = screen(
        [load_trained(tmp_path / "dfc")], base_TD, candidate_TD, layer=0, config=ScreenConfig()
    )
    first, *others = found.features
    assert first.row == found.candidate_listed[0][0] == 0
    assert first.delta_energy < max(other.delta_energy for other in others)


def test_a_warm_shared_block_would_change_no_feature() -> None:
    """Why no training goes on from that of the version before (docs/method.md)."""
    base_TD, candidate_TD, direction_D, _ = planted()
    config = CONFIG.model_copy(update={"steps": 60})
    known = train(base_TD, candidate_TD, config, seed=1).model.state_dict()

    def warm(config: DfcConfig, d_base: int, d_candidate: int) -> Dfc:
        model = Dfc(config, d_base, d_candidate)
        shared = ("encoder_base", "encoder_candidate", "decoder_base", "shared_bias", "bias_base")
        with torch.no_grad():
            for name in shared:
                model.get_parameter(name).copy_(known[name])
        return model

    def trained(crosscoder: Callable[[DfcConfig, int, int], Dfc]) -> Dfc:
        moving_RD = direction_D[None]
        return train(
            base_TD, candidate_TD, config, seed=0, moving_RD=moving_RD, crosscoder=crosscoder
        ).model

    one, other = trained(Dfc), trained(warm)
    assert not torch.equal(one.decoder_base, other.decoder_base)
    for block, block_of_other in ((one.base, other.base), (one.candidate, other.candidate)):
        for parameter, same in zip(block.parameters(), block_of_other.parameters(), strict=True):
            torch.testing.assert_close(parameter, same, rtol=0, atol=1e-5)
