"""What a training explains is told over the corpus, by all of a block and for each model."""

import pytest
import torch
from torch import Tensor

from dfc.crosscoder import explained as module
from dfc.crosscoder.explained import explained
from dfc.crosscoder.normalisation import outliers
from dfc.crosscoder.train import TrainedDfc, train
from tests.dfc.crosscoder.test_train import CONFIG, planted

STEPS = {"steps": 120}


@pytest.fixture(scope="module")
def trained() -> TrainedDfc:
    base_TD, candidate_TD, _, active_T = planted()
    weight_T = torch.where(active_T, 10.0, 1.0)
    config = CONFIG.model_copy(update=STEPS)
    return train(base_TD, candidate_TD, config, seed=0, weight_T=weight_T)


def by_hand(one: TrainedDfc, base_TD: Tensor, candidate_TD: Tensor) -> list[float]:
    norm, model = one.normalisation, one.model
    kept_T = ~(outliers(base_TD) | outliers(candidate_TD))
    base_TD, candidate_TD = base_TD[kept_T], candidate_TD[kept_T]
    base_TD, candidate_TD = norm.base(base_TD), norm.candidate(candidate_TD)
    code = model.select(model.encode(base_TD, candidate_TD))
    new_TD = code.candidate_BF @ model.candidate.decoder
    lost_TD = code.base_BF @ model.base.decoder
    shared_TD = code.shared_BF @ model.decoder_base + model.bias_base
    change_TD = candidate_TD - base_TD

    def part(left_TD: Tensor, whole_TD: Tensor) -> float:
        return (1 - left_TD.pow(2).sum() / whole_TD.pow(2).sum()).item()

    return [
        part(base_TD - shared_TD - lost_TD, base_TD - base_TD.mean(0)),
        part(candidate_TD - shared_TD - new_TD, candidate_TD - candidate_TD.mean(0)),
        part(change_TD - new_TD, change_TD),
        part(change_TD - new_TD + lost_TD, change_TD),
    ]


def test_energies_are_those_of_the_corpus(trained: TrainedDfc) -> None:
    base_TD, candidate_TD, _, _ = planted(tokens=3000)
    with torch.no_grad():
        expected = by_hand(trained, base_TD, candidate_TD)
    assert explained(trained, base_TD, candidate_TD) == pytest.approx(expected, abs=1e-4)


def test_a_sample_tells_nearly_as_much(
    trained: TrainedDfc, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_TD, candidate_TD, _, _ = planted()
    whole = explained(trained, base_TD, candidate_TD)
    monkeypatch.setattr(module, "POSITIONS", 1500)
    assert explained(trained, base_TD, candidate_TD) == pytest.approx(whole, abs=0.03)


def test_what_training_leaves_out_does_not_count(trained: TrainedDfc) -> None:
    base_TD, candidate_TD, _, _ = planted(tokens=3000)
    before = explained(trained, base_TD, candidate_TD)
    outlier_D = 100 * base_TD[:1]
    after = explained(
        trained, torch.cat([base_TD, outlier_D]), torch.cat([candidate_TD, -outlier_D])
    )
    assert after == pytest.approx(before, abs=1e-5)


def test_between_architectures_there_is_no_difference() -> None:
    base_TD, candidate_TD, _, _ = planted()
    wider_TD = candidate_TD @ torch.randn(48, 64, generator=torch.Generator().manual_seed(5))
    config = CONFIG.model_copy(update={"form": "strict", **STEPS})
    found = explained(train(base_TD, wider_TD, config, seed=0), base_TD, wider_TD)
    assert found[2:] == (None, None)
    assert found.base > 0.5 and found.candidate > 0.5
