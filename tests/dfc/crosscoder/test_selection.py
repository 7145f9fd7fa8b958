"""Encoding and selecting in one pass equals doing so by way of all codes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dfc.crosscoder import model as models
from dfc.crosscoder import selection, strongest
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.loss import Variance, total_loss
from dfc.crosscoder.model import Chosen, Dfc, Kept
from dfc.crosscoder.sparse_products import Active

VARIANCE = Variance(8.0, 8.0, 0.5)
BLOCKS = {"shared": 240, "base_exclusive": 30, "candidate_exclusive": 20}
TOKENS = 96


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "TOKENS_AT_ONCE", 40)
    monkeypatch.setattr(strongest, "TOKENS_AT_ONCE", 40)
    monkeypatch.setattr(selection, "GUESSED_BY", 8)


@pytest.fixture(autouse=True)
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor that multiplies bfloat16 too."""
    for module in (selection, models):
        monkeypatch.setattr(module, "native_dtype", lambda _="cpu": torch.float32)


def model(form: str) -> Dfc:
    torch.manual_seed(0)
    config = DfcConfig.model_validate({"form": form, **BLOCKS, "k": 5, "k_exclusive": 3})
    dfc = Dfc(config, 16, 16)
    with torch.no_grad():
        for parameter in dfc.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return dfc


def states(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    base_BD = torch.randn(TOKENS, 16, generator=generator)
    return base_BD, base_BD + 0.3 * torch.randn(TOKENS, 16, generator=generator)


def dense(code: Tensor | Active) -> Tensor:
    return code.dense() if isinstance(code, Active) else code


def learned(form: str, choose: Callable[[Dfc], Chosen], dead: bool) -> tuple[Chosen, Dfc]:
    dfc = model(form)
    chosen = choose(dfc)
    dead_F = torch.arange(290) % 7 == 0 if dead else torch.zeros(290, dtype=torch.bool)
    total_loss(dfc, *states(), chosen.kept, dead_F, VARIANCE, chosen.threshold).total.backward()
    return chosen, dfc


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize(("form", "sparse"), [("strict", 3), ("tied", 1)])
def test_codes_thresholds_and_gradients_are_those_of_all_codes(
    form: str, sparse: int, dead: bool
) -> None:
    fast, one = learned(form, lambda dfc: dfc.choose(*states(), 5.0), dead)
    plain, other = learned(form, lambda dfc: dfc.choose_plainly(*states(), 5.0), dead)
    assert sum(isinstance(code, Active) for code in fast.kept) == sparse
    assert not any(isinstance(code, Active) for code in plain.kept)
    assert torch.allclose(fast.threshold, plain.threshold, rtol=1e-6)
    for ours, theirs in zip(fast.kept, plain.kept, strict=True):
        assert torch.allclose(dense(ours), dense(theirs), atol=1e-6)
        assert torch.equal(dense(ours) > 0, dense(theirs) > 0)
        if isinstance(ours, Active):
            assert torch.equal(ours.fired(), dense(theirs).amax(0) > 0)
    for name, parameter in one.named_parameters():
        theirs = other.get_parameter(name).grad
        assert parameter.grad is not None and theirs is not None, name
        assert torch.allclose(parameter.grad, theirs, atol=1e-6), name


def test_some_of_the_first_tokens_tell_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[None] = []
    above = selection._above

    def counted(*args: Any) -> Any:
        passes.append(None)
        return above(*args)

    monkeypatch.setattr(selection, "_above", counted)
    model("strict").choose(*states(), 20.0)
    assert len(passes) == 1


@pytest.mark.parametrize("form", ["strict", "tied"])
@pytest.mark.parametrize("mislead", [False, True])
def test_codes_of_alike_streams_are_bounded_first(
    form: str, mislead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "BOUNDED_BELOW", 1.0)
    rough: list[tuple[int, int]] = []
    computed = selection._computed

    def noted(reader: Any, limit: Any, found: Any, bound: Tensor) -> Any:
        left = computed(reader, limit, found, bound)
        rough.append((len(found.row_N), len(left.row_N)))
        return left

    monkeypatch.setattr(selection, "_computed", noted)
    base_BD, _ = states()
    candidate_BD = base_BD + 0.1 * states(2)[0]
    if mislead:
        base_BD[:40] *= 50
        candidate_BD[:40] *= 50
    dfc = model(form)
    fast = dfc.choose(base_BD, candidate_BD, 20.0)
    plain = dfc.choose_plainly(base_BD, candidate_BD, 20.0)
    ((bounded, left),) = rough  # one block reads both, and a second pass bounds nothing
    assert bounded > left > 0
    assert torch.allclose(fast.threshold, plain.threshold, rtol=1e-5)
    for ours, theirs in zip(fast.kept, plain.kept, strict=True):
        assert torch.allclose(dense(ours), dense(theirs), atol=1e-4)
        assert torch.equal(dense(ours) > 0, dense(theirs) > 0)


def misleading() -> tuple[Tensor, Tensor]:
    """The tokens by which the largest scores are guessed have by far the largest."""
    base_BD, candidate_BD = states()
    for x_BD in (base_BD, candidate_BD):
        x_BD[:: TOKENS // 8] *= 50
    return base_BD, candidate_BD


def test_the_tokens_that_are_looked_at_first_may_mislead() -> None:
    base_BD, candidate_BD = misleading()
    dfc = model("strict")
    fast = dfc.choose(base_BD, candidate_BD, 40.0)
    plain = dfc.choose_plainly(base_BD, candidate_BD, 40.0)
    assert torch.allclose(fast.threshold, plain.threshold, rtol=1e-6)
    for ours, theirs in zip(fast.kept, plain.kept, strict=True):
        assert isinstance(ours, Active)
        assert torch.equal(dense(ours) > 0, dense(theirs) > 0)


def test_where_few_codes_are_positive_all_of_them_are_kept() -> None:
    dfc = model("strict")
    with torch.no_grad():
        for bias in (dfc.shared_bias, dfc.base.bias, dfc.candidate.bias):
            bias.sub_(2.5)
    kept = dfc.choose(*states(), 20.0).kept
    positive = sum(int((code > 0).sum()) for code in dfc.encode(*states()))
    assert 0 < positive < 20 * TOKENS
    assert sum(int((dense(code) > 0).sum()) for code in kept) == positive


@pytest.mark.parametrize("made", [states, misleading])
def test_a_latent_that_writes_nothing_is_never_chosen(
    made: Callable[[], tuple[Tensor, Tensor]],
) -> None:
    dfc = model("strict")
    with torch.no_grad():
        dfc.base.decoder[4] = 0
    base = dfc.choose(*made(), 20.0).kept.base_BF
    assert isinstance(base, Active)
    assert not base.fired()[4] and base.fired().any()


def test_many_active_latents_are_chosen_by_way_of_all_codes() -> None:
    assert not any(isinstance(code, Active) for code in model("strict").choose(*states(), 60).kept)


def test_some_latents_are_encoded_as_all_are() -> None:
    dfc, wanted_F = model("strict"), torch.arange(290) % 5 == 0
    code = torch.cat(dfc.encode(*states()), dim=1)
    assert torch.allclose(
        strongest.encode_some(dfc.readers(*states()), wanted_F), code[:, wanted_F], atol=1e-6
    )


@pytest.mark.parametrize("form", ["strict", "tied"])
@pytest.mark.parametrize("wanted", [range(0, 290, 3), range(245, 250)])
def test_the_strongest_of_some_latents_are_those_of_all_codes(wanted: range, form: str) -> None:
    wanted_F = torch.zeros(290, dtype=torch.bool)
    wanted_F[list(wanted)] = True
    weight_BD = torch.rand(TOKENS, 32, generator=torch.Generator().manual_seed(3))
    limit = min(len(wanted), 20)
    found, learned = [], []
    for plainly in (False, True):
        dfc = model(form)
        kept = dfc.strongest(*states(), wanted_F, limit)
        if plainly:
            readers = dfc.readers(*states())
            kept = Kept(*strongest.strongest_plainly(readers, wanted_F, limit))
        assert all(isinstance(code, Active) != plainly for code in kept)
        out = dfc.decode(kept, bias=False)
        (torch.cat(out, dim=1) * weight_BD).sum().backward()
        found.append(torch.cat([dense(code) for code in kept], dim=1).detach())
        learned.append({name: p.grad for name, p in dfc.named_parameters() if p.grad is not None})
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert 0 < int((found[0] > 0).sum(1).max()) <= limit
    assert not (found[0] > 0).any(0)[~wanted_F].any()
    for name, gradient in learned[1].items():
        assert torch.allclose(learned[0][name], gradient, atol=1e-5), name


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (3, 0)])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_places_are_those_where_a_mask_holds(shape: tuple[int, int], share: float) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share
    assert torch.equal(selection._places(mask), mask.reshape(-1).nonzero()[:, 0])


def test_a_short_format_selects_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    dfc = model("strict")
    exact = dfc.choose(*states(), 5.0)
    wanted_F = torch.arange(290) % 3 == 0
    exact_strongest = dfc.strongest(*states(), wanted_F, 20)
    monkeypatch.setattr(selection, "native_dtype", lambda: torch.bfloat16)
    short = dfc.choose(*states(), 5.0)
    assert torch.allclose(exact.threshold, short.threshold, rtol=0.02)
    ours, theirs = (torch.cat([dense(c) for c in chosen.kept], dim=1) for chosen in (exact, short))
    assert ((ours > 0) == (theirs > 0)).float().mean() > 0.99
    assert not torch.equal(ours, theirs)
    short_strongest = dfc.strongest(*states(), wanted_F, 20)
    for one, other in zip(exact_strongest, short_strongest, strict=True):
        assert ((dense(one) > 0) == (dense(other) > 0)).float().mean() > 0.99
        assert not torch.equal(dense(one), dense(other))
