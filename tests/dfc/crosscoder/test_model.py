"""The crosscoder's blocks: what may reach what, selection, and the two forms."""

import pytest
import torch

from dfc.crosscoder.batch_topk import SAMPLED_OF, batch_topk_threshold, keep_above
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.difference_loss import Moving, difference_loss, short_prefixes, silence_loss
from dfc.crosscoder.loss import Variance, aux_loss, total_loss
from dfc.crosscoder.model import Dfc

VARIANCE = Variance(1.0, 1.0, 1.0)


def config(form: str = "tied", **changes: object) -> DfcConfig:
    sizes = {"shared": 24, "base_exclusive": 6, "candidate_exclusive": 5, "k": 4, "k_exclusive": 2}
    return DfcConfig(**{"form": form, **sizes, **changes})


def model(form: str = "tied", d_candidate: int = 8, **changes: object) -> Dfc:
    torch.manual_seed(0)
    return Dfc(config(form, **changes), 8, d_candidate)


def test_the_candidate_cannot_reach_the_base_block_or_its_reconstruction() -> None:
    dfc = model("strict", 12)
    base_BD = torch.randn(16, 8)
    one, other = (dfc.encode(base_BD, torch.randn(16, 12)) for _ in range(2))
    assert torch.equal(one.base_BF, other.base_BF)
    assert not torch.equal(one.shared_BF, other.shared_BF)
    edited = one._replace(candidate_BF=one.candidate_BF + 1)
    assert torch.equal(dfc.decode(one).base_BD, dfc.decode(edited).base_BD)
    assert not torch.equal(dfc.decode(one).candidate_BD, dfc.decode(edited).candidate_BD)


def test_the_auxiliary_loss_of_dead_base_latents_leaves_the_candidate_alone() -> None:
    dfc = model("strict", 12)
    base_BD, candidate_BD = torch.randn(16, 8), torch.randn(16, 12)
    code = dfc.encode(base_BD, candidate_BD)
    dead_F = torch.zeros(35, dtype=torch.bool)
    dead_F[24:30] = True
    out = dfc.decode(dfc.select(code, torch.tensor(0.5).expand(3)))
    aux_loss(dfc, base_BD, candidate_BD, out, dead_F, VARIANCE).backward()
    assert dfc.base.encoder.grad is not None and dfc.base.encoder.grad.abs().sum() > 0
    for name in (
        "candidate.encoder",
        "candidate.decoder",
        "encoder_candidate",
        "decoder_candidate",
    ):
        gradient = dfc.get_parameter(name).grad
        assert gradient is None or gradient.abs().sum() == 0, name


def test_tied_models_differ_only_by_exclusive_latents() -> None:
    dfc = model("tied")
    code = dfc.encode(torch.randn(16, 8), torch.randn(16, 8))
    silent = code._replace(
        base_BF=torch.zeros_like(code.base_BF), candidate_BF=torch.zeros_like(code.candidate_BF)
    )
    out = dfc.decode(silent)
    assert torch.equal(out.base_BD, out.candidate_BD)


def test_tied_refuses_different_widths() -> None:
    with pytest.raises(ValueError, match="use form 'strict'"):
        Dfc(config("tied"), 8, 12)


def test_base_latents_explain_only_what_the_candidates_leave_over() -> None:
    dfc = model("tied")
    base_BD, candidate_BD = torch.randn(16, 8), torch.randn(16, 8)
    kept = dfc.select(dfc.encode(base_BD, candidate_BD), torch.zeros(3))
    difference_loss(dfc, base_BD, candidate_BD, kept, 1.0).backward()
    together = dfc.candidate.decoder.grad.clone()
    dfc.zero_grad()
    alone = kept._replace(base_BF=torch.zeros_like(kept.base_BF))
    difference_loss(
        dfc,
        base_BD,
        candidate_BD,
        dfc.select(dfc.encode(base_BD, candidate_BD), torch.zeros(3))._replace(
            base_BF=alone.base_BF
        ),
        1.0,
    ).backward()
    assert torch.allclose(together, dfc.candidate.decoder.grad)
    assert dfc.base.decoder.grad.abs().sum() == 0


def test_every_loss_term_has_gradient() -> None:
    dfc = model("tied")
    base_BD = torch.randn(32, 8)
    candidate_BD = base_BD + 0.3 * torch.randn(32, 8)
    code = dfc.encode(base_BD, candidate_BD)
    threshold = torch.full((3,), 0.2)
    kept = dfc.select(code, threshold)
    moving = Moving(torch.eye(8)[:2], 1.0)
    dead_F = torch.zeros(35, dtype=torch.bool)
    dead_F[:4] = True
    loss = total_loss(dfc, base_BD, candidate_BD, kept, dead_F, VARIANCE, threshold, moving)
    for term in (loss.base, loss.candidate, loss.difference, loss.silence, loss.aux):
        gradients = torch.autograd.grad(
            term, list(dfc.parameters()), retain_graph=True, allow_unused=True
        )
        assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_batch_topk_keeps_k_per_token_on_average() -> None:
    score_BF = torch.rand(64, 40)
    kept = keep_above(score_BF, score_BF, batch_topk_threshold(score_BF, 3.0))
    assert int((kept > 0).sum()) == 3 * 64
    assert set(kept[kept > 0].tolist()) == set(score_BF.flatten().topk(192).values.tolist())


@pytest.mark.parametrize("order", ["drawn", "rising", "ties", "largest where none are sampled"])
@pytest.mark.parametrize("k", [0.5, 3.0, 39.0])
def test_the_threshold_is_that_of_all_scores_in_order(order: str, k: float) -> None:
    score_BF = torch.rand(64, 40, generator=torch.Generator().manual_seed(0))
    if order == "rising":
        score_BF = score_BF.flatten().sort().values.view(64, 40)
    elif order == "ties":
        score_BF = (score_BF * 4).ceil()
    elif order == "largest where none are sampled":
        score_BF.view(-1)[::SAMPLED_OF] /= 10
    wanted = round(k * 64)
    expected = score_BF.flatten().sort(descending=True).values[wanted - 1]
    assert batch_topk_threshold(score_BF, k) == expected


def test_batch_topk_forces_no_silent_latent_to_fire() -> None:
    score_BF = torch.zeros(4, 10)
    score_BF[0, 0] = 1.0
    assert int((score_BF >= batch_topk_threshold(score_BF, 2.0)).sum()) == 1


def test_an_activation_does_not_depend_on_the_rest_of_its_batch() -> None:
    dfc = model("strict", 12)
    dfc.threshold.fill_(0.4)
    base_BD, candidate_BD = torch.randn(16, 8), torch.randn(16, 12)
    whole = dfc.select(dfc.encode(base_BD, candidate_BD))
    one = dfc.select(dfc.encode(base_BD[3:4], candidate_BD[3:4]))
    for all_rows, row in zip(whole, one, strict=True):
        assert torch.allclose(all_rows[3:4], row, atol=1e-6)


@pytest.mark.parametrize(("latents", "expected"), [(64, [1, 5]), (5, [1]), (1, [])])
def test_prefixes_are_shorter_than_the_block(latents: int, expected: list[int]) -> None:
    assert short_prefixes((1, 5), latents) == expected


def test_a_prefix_answers_for_the_moving_directions_alone() -> None:
    dfc = model("tied", prefixes=(1,))
    base_BD, candidate_BD = torch.randn(16, 8), torch.randn(16, 8)
    kept = dfc.select(dfc.encode(base_BD, candidate_BD), torch.zeros(3))
    moving = Moving(torch.eye(8)[:2], 2.0)
    change_BD = candidate_BD - base_BD
    new_BD = kept.candidate_BF @ dfc.candidate.decoder
    first_BD = kept.candidate_BF[:, :1] @ dfc.candidate.decoder[:1]
    lost_BD, old_BD = new_BD - change_BD, kept.base_BF @ dfc.base.decoder
    first_old_BD = kept.base_BF[:, :1] @ dfc.base.decoder[:1]
    expected = [
        (change_BD - new_BD).pow(2).sum(1).mean() / 3.0,
        (change_BD - first_BD)[:, :2].pow(2).sum(1).mean() / 2.0,
        (lost_BD - old_BD).pow(2).sum(1).mean() / 3.0,
        (lost_BD - first_old_BD)[:, :2].pow(2).sum(1).mean() / 2.0,
    ]
    found = difference_loss(dfc, base_BD, candidate_BD, kept, 3.0, moving)
    assert found.item() == pytest.approx(sum(e.item() for e in expected) / 4, rel=1e-5)


def test_silence_is_what_each_block_would_write_on_reading_the_other_model() -> None:
    dfc = model("tied", prefixes=(2,))
    base_BD, candidate_BD = torch.randn(16, 8), torch.randn(16, 8)
    threshold = torch.full((3,), 0.1)
    misread = dfc.misread(base_BD, candidate_BD, threshold, first=3)
    swapped = dfc.select(dfc.encode(candidate_BD, base_BD), threshold)
    assert torch.allclose(misread.base_BF, swapped.base_BF[:, :3])
    assert torch.allclose(misread.candidate_BF, swapped.candidate_BF[:, :3])
    moving = Moving(torch.eye(8)[:3], 2.0)
    energies = [
        (code_BF[:, :2] @ decoder_FD[:2])[:, :3].pow(2).sum(1).mean() / 2.0
        for code_BF, decoder_FD in (
            (swapped.base_BF, dfc.base.decoder),
            (swapped.candidate_BF, dfc.candidate.decoder),
        )
    ]
    found = silence_loss(dfc, base_BD, candidate_BD, threshold, moving)
    assert found.item() == pytest.approx(sum(e.item() for e in energies) / 2, rel=1e-5) != 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 99}, "exceeds the 24 shared"),
        ({"k_exclusive": 7}, "exclusive block of 5"),
        ({"prefixes": (5, 1)}, "increasing"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_exclusive_blocks_of_the_tied_form_learn_from_the_difference_alone() -> None:
    dfc = model("tied")
    base_BD = torch.randn(32, 8)
    candidate_BD = base_BD + 0.3 * torch.randn(32, 8)
    code = dfc.encode(base_BD, candidate_BD)
    threshold = torch.full((3,), 0.2)
    dead_F = torch.arange(35) % 3 == 0  # of every block
    loss = total_loss(
        dfc,
        base_BD,
        candidate_BD,
        dfc.select(code, threshold),
        dead_F,
        VARIANCE,
        threshold,
    )
    exclusive = [*dfc.base.parameters(), *dfc.candidate.parameters()]
    assert loss.aux > 0
    reconstruction = torch.autograd.grad(
        loss.base + loss.candidate + loss.aux, exclusive, retain_graph=True, allow_unused=True
    )
    assert all(gradient is None or not gradient.any() for gradient in reconstruction)
    assert all(gradient.any() for gradient in torch.autograd.grad(loss.difference, exclusive))
