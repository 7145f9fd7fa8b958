"""Shared latents that one model alone uses join its exclusive block."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.normalisation import fit_normalisation, outliers
from dfc.crosscoder.train import TrainedDfc, load_trained, save_trained
from dfc.screening.exclusive_codes import exclusive_codes
from dfc.screening.leaning import LEANING, with_leaning_exclusive

D_BASE, D_CANDIDATE, TOKENS = 8, 12, 2000
SIZES = {"shared": 20, "base_exclusive": 3, "candidate_exclusive": 4, "k": 4}


def states() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = (D_BASE, D_CANDIDATE)
    base_TD, candidate_TD = (torch.randn(TOKENS, d, generator=generator) for d in sizes)
    return base_TD, candidate_TD


def crosscoder(leaning: Mapping[int, float], form: str = "strict") -> TrainedDfc:
    """Shared latent ``n`` writes the part ``leaning[n]`` of its norm into the candidate, by default
    half of it."""
    torch.manual_seed(1)
    d_candidate = D_BASE if form == "tied" else D_CANDIDATE
    model = Dfc(DfcConfig(**{"form": form, **SIZES}), D_BASE, d_candidate)
    with torch.no_grad():
        for row, part in leaning.items():
            model.decoder_base[row] *= (1 - part) / model.decoder_base[row].norm()
            model.decoder_candidate[row] *= part / model.decoder_candidate[row].norm()
        model.threshold.fill_(0.05)
    base_TD, candidate_TD = states()
    if form == "tied":
        candidate_TD = base_TD
    norm = fit_normalisation(base_TD, candidate_TD, same_architecture=form == "tied")
    return TrainedDfc(model.eval(), norm, 0, [])


def test_a_latent_that_writes_into_one_model_becomes_exclusive_there() -> None:
    before = crosscoder({2: LEANING + 0.01, 5: LEANING - 0.01, 7: 1 - LEANING - 0.01, 9: 1.0})
    after = with_leaning_exclusive(before, *states()).model
    config = after.config
    sizes = (config.shared, config.base_exclusive, config.candidate_exclusive)
    assert sizes == (17, 4, 6)
    kept = [row for row in range(20) if row not in (2, 7, 9)]
    assert torch.equal(after.encoder_base, before.model.encoder_base[kept])
    assert torch.equal(after.decoder_candidate, before.model.decoder_candidate[kept])
    assert torch.equal(after.candidate.decoder[4:], before.model.decoder_candidate[[2, 9]])
    assert torch.equal(after.base.decoder[3:], before.model.decoder_base[[7]])
    assert torch.equal(after.candidate.encoder[:4], before.model.candidate.encoder)


def test_it_reads_from_its_own_model_what_it_read_from_both() -> None:
    before = crosscoder({2: 0.9})
    with torch.no_grad():
        before.model.encoder_base[2] *= 0.2
    base_TD, candidate_TD = states()
    after = with_leaning_exclusive(before, base_TD, candidate_TD)
    norm = before.normalisation
    code = before.model.encode(norm.base(base_TD), norm.candidate(candidate_TD))
    now_T = exclusive_codes(after, base_TD, candidate_TD).candidate_TK[:, -1]
    together = torch.corrcoef(torch.stack([now_T, code.shared_BF[:, 2]]))[0, 1]
    assert together > 0.95
    elsewhere_TD = torch.randn(base_TD.shape, generator=torch.Generator().manual_seed(4))
    again_T = exclusive_codes(after, elsewhere_TD, candidate_TD).candidate_TK[:, -1]
    assert torch.equal(again_T, now_T)


def test_it_fires_as_often_and_as_strongly_as_it_did() -> None:
    before = crosscoder({2: 0.95, 5: 0.9, 7: 0.1, 11: 0.85})
    with torch.no_grad():
        before.model.threshold.fill_(0.3)
        before.model.shared_bias[11] = -100.0  # never fires
    base_TD, candidate_TD = states()
    after = with_leaning_exclusive(before, base_TD, candidate_TD)
    norm, model = before.normalisation, before.model
    code = model.select(model.encode(norm.base(base_TD), norm.candidate(candidate_TD)))
    codes = exclusive_codes(after, base_TD, candidate_TD)
    kept_T = ~(outliers(base_TD) | outliers(candidate_TD))
    for was_TF, now_TF in (
        (code.shared_BF[:, [2, 5, 11]], codes.candidate_TK[:, 4:]),
        (code.shared_BF[:, [7]], codes.base_TK[:, 3:]),
    ):
        was_F, now_F = ((x_TF[kept_T] > 0).sum(0) for x_TF in (was_TF, now_TF))
        assert torch.allclose(now_F.float(), was_F.float(), rtol=0.02)
        sums = [x_TF[kept_T].sum(0) for x_TF in (now_TF, was_TF)]
        assert torch.allclose(*sums, rtol=0.05)
    assert not (codes.candidate_TK[:, -1] > 0).any()
    assert (code.shared_BF[:, [2, 5, 7]] > 0).any(0).all()


def test_where_nothing_leans_nothing_changes() -> None:
    before = crosscoder({})
    after = with_leaning_exclusive(before, *states())
    assert after.model.config == before.model.config
    weights = before.model.state_dict()
    assert all(torch.equal(x, weights[name]) for name, x in after.model.state_dict().items())


def test_as_many_shared_latents_as_are_active_stay(tmp_path: Path) -> None:
    after = with_leaning_exclusive(crosscoder(dict.fromkeys(range(20), 0.95)), *states())
    assert after.model.config.shared == 4
    save_trained(tmp_path / "model", after)
    assert load_trained(tmp_path / "model").model.config == after.model.config


def test_of_tied_latents_none_leans() -> None:
    with pytest.raises(ValueError, match="tied"):
        with_leaning_exclusive(crosscoder({}, "tied"), states()[0], states()[0])
