"""Attribution: the directions that move the words, against autograd through a plain forward."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from dfc.engines.engine import ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError
from dfc.locating.attribution import Asked, MovingDirections, moving_directions

LAYER = 1
ROWS = [ScoreRow((1, 5 + n, 9, 20 - n), (7, 11 + n, 3)) for n in range(10)]
ASKED = Asked(ROWS, [1.0] * len(ROWS))


@pytest.fixture(scope="module")
def near(
    tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]
) -> list[Path]:
    """Two checkpoints so near each other that first order is nearly all."""
    root = tmp_path_factory.mktemp("near")
    return [make_checkpoint(root / "base"), make_checkpoint(root / "candidate", change=0.02)]


@pytest.fixture(scope="module")
def engines(near: list[Path]) -> list[TransformersEngine]:
    return [TransformersEngine(path, dtype=torch.float32) for path in near]


@pytest.fixture(scope="module")
def found(engines: list[TransformersEngine]) -> MovingDirections:
    return moving_directions(*engines, [ASKED], LAYER, 3)


class Plain(NamedTuple):
    """Gradients and differences by hooks on the models as transformers runs them, [N, D] each."""

    gradient_ND: Tensor
    difference_ND: Tensor

    @property
    def attributed(self) -> Tensor:
        return self.gradient_ND.T @ self.difference_ND

    def left(self, direction_RD: Tensor) -> Tensor:
        """By position the bound on the square of what the directions don't hold of its effect."""
        whole = [x_ND.pow(2).sum(1) for x_ND in self]
        left = [(x_ND - x_ND @ direction_RD.T @ direction_RD).pow(2).sum(1) for x_ND in self]
        return (whole[0] * left[1] + left[0] * whole[1]) / 2

    def bound(self) -> Tensor:
        """A, position by position."""
        return sum(
            g.pow(2).sum() * torch.outer(d, d) + d.pow(2).sum() * torch.outer(g, g)
            for g, d in zip(*self, strict=True)
        )


def plainly(
    base: Path,
    candidate: Path,
    rows: Sequence[ScoreRow] = ROWS,
    weights: Sequence[float] = ASKED.weights,
) -> Plain:
    models = [AutoModelForCausalLM.from_pretrained(path) for path in (base, candidate)]
    found = []
    for row, weight in zip(rows, weights, strict=True):
        tokens = torch.tensor([[*row.prompt, *row.completion]])
        base_TD, candidate_TD = (
            model(tokens, output_hidden_states=True).hidden_states[LAYER + 1][0].detach()
            for model in models
        )
        halfway = ((base_TD + candidate_TD) / 2)[None].requires_grad_()
        block = models[1].model.layers[LAYER]
        handle = block.register_forward_hook(lambda *_, x=halfway: x)
        log_VT = models[1](tokens).logits[0].log_softmax(-1)
        handle.remove()
        first = len(row.prompt)
        said = sum(log_VT[first - 1 + n, token] for n, token in enumerate(row.completion))
        (gradient_1TD,) = torch.autograd.grad(said, halfway)
        found.append((weight * gradient_1TD[0, 1:].double(), (candidate_TD - base_TD)[1:].double()))
    return Plain(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def weighed(projection_DD: Tensor, steep_DD: Tensor, count: int) -> Tensor:
    """The form [D, D] by which an error within ``count`` directions is measured."""
    within_DD = projection_DD @ steep_DD @ projection_DD
    return count * within_DD / within_DD.trace()


def span(symmetric_DD: Tensor, count: int) -> Tensor:
    """The projection [D, D] on the eigenvectors of the largest eigenvalues."""
    vector_DR = torch.linalg.eigh(symmetric_DD)[1][:, -count:]
    return vector_DR @ vector_DR.T


def test_directions_are_the_best_subspace_of_a_plain_gradient(
    found: MovingDirections, near: list[Path]
) -> None:
    plain = plainly(*near)
    expected = span(plain.bound(), 3)
    assert torch.allclose(found.direction_RD.T @ found.direction_RD, expected.float(), atol=1e-3)
    (answers,) = found.asked
    inside = float((expected * plain.attributed).sum())
    assert answers.carried == pytest.approx(inside, rel=1e-2, abs=1e-4)
    assert answers.attributed == pytest.approx(float(plain.attributed.trace()), rel=1e-3)


def test_what_the_directions_leave_of_an_effect_is_bounded_and_least(
    found: MovingDirections, near: list[Path]
) -> None:
    plain = plainly(*near)
    direction_RD = found.direction_RD.double()
    g_ND, d_ND = plain
    effect_N = (g_ND * d_ND).sum(1)
    held_N = ((g_ND @ direction_RD.T) * (d_ND @ direction_RD.T)).sum(1)
    assert ((effect_N - held_N) ** 2 <= plain.left(direction_RD) * (1 + 1e-6)).all()
    for seed in range(5):
        other = torch.randn(32, 3, generator=torch.Generator().manual_seed(seed)).double()
        others_RD = torch.linalg.qr(other).Q.T
        assert plain.left(direction_RD).sum() < plain.left(others_RD).sum()


def test_lengths_in_the_weighted_directions_are_what_an_error_does_to_the_words(
    found: MovingDirections, near: list[Path]
) -> None:
    g_ND, _ = plainly(*near)
    within_DD = found.direction_RD.T.double() @ found.direction_RD.double()
    expected = weighed(within_DD, g_ND.T @ g_ND, 3)
    assert torch.allclose(found.weighted_RD.T @ found.weighted_RD, expected.float(), atol=1e-3)
    error_ND = torch.randn(400, 32, generator=torch.Generator().manual_seed(0)).double() @ within_DD
    does_N = (g_ND @ error_ND.T).pow(2).mean(0)
    length_N = (error_ND @ found.weighted_RD.double().T).pow(2).sum(1)
    assert torch.allclose(length_N / length_N.mean(), does_N / does_N.mean(), rtol=1e-3, atol=1e-3)
    plain_N = error_ND.pow(2).sum(1)
    assert not torch.allclose(plain_N / plain_N.mean(), does_N / does_N.mean(), atol=0.1)


def test_the_gradients_account_for_what_the_answers_gain(found: MovingDirections) -> None:
    (answers,) = found.asked
    assert answers.attributed == pytest.approx(answers.gained, rel=0.1)
    assert found.energy is not None
    assert 0 < found.energy < 1


def test_equal_models_have_no_directions(engines: list[TransformersEngine]) -> None:
    base, _ = engines
    same = moving_directions(base, base, [ASKED], LAYER, 3)
    assert same.direction_RD.shape == same.weighted_RD.shape == (0, 32)
    assert (same.asked, same.energy) == ([(0, 0, 0)], None)


def test_weights_and_shares_say_whose_words_the_directions_move(
    engines: list[TransformersEngine], near: list[Path]
) -> None:
    first, second = Asked(ROWS[:5], [2.0] * 5, 0.75), Asked(ROWS[5:], [1.0, -1.0, 0.5, 0, 0], 0.25)
    plains = [plainly(*near, one.rows, one.weights) for one in (first, second)]
    chosen_DD = sum(
        one.share / plain.bound().trace() * plain.bound()
        for one, plain in zip((first, second), plains, strict=True)
    )
    found = moving_directions(*engines, [first, second], LAYER, 2)
    expected = span(chosen_DD, 2)
    assert torch.allclose(found.direction_RD.T @ found.direction_RD, expected.float(), atol=1e-3)
    steep_DD = sum(
        one.share / plain.gradient_ND.pow(2).sum() * plain.gradient_ND.T @ plain.gradient_ND
        for one, plain in zip((first, second), plains, strict=True)
    )
    weighted_DD = weighed(expected, steep_DD, 2).float()
    assert torch.allclose(found.weighted_RD.T @ found.weighted_RD, weighted_DD, atol=2e-3)
    for effect, plain in zip(found.asked, plains, strict=True):
        whole = float(plain.attributed.trace())
        assert effect.attributed == pytest.approx(whole, rel=1e-3, abs=1e-6)
        inside = float((expected * plain.attributed).sum())
        assert effect.carried == pytest.approx(inside, rel=1e-2, abs=1e-5)


def test_rows_of_one_prompt_add_up_whatever_stands_before_them(
    engines: list[TransformersEngine],
) -> None:
    """At a prompt's positions the gradients of its completions are one: opposite ones cancel."""
    prompt, first, second = (1, 5, 9, 20), (7, 11, 3), (7, 12, 3)
    same = [ScoreRow(prompt, first), ScoreRow(prompt, second)]
    before = [ScoreRow((1, 6 + n, 9), (4, 5)) for n in range(7)]

    def span_of(asked: Asked) -> Tensor:
        direction_RD = moving_directions(*engines, [asked], LAYER, 2).direction_RD
        return direction_RD.T @ direction_RD

    alone = span_of(Asked(same, [1.0, -1.0]))
    beside = span_of(Asked([*before, *same], [*[0.0] * 7, 1.0, -1.0]))
    assert torch.allclose(beside, alone, atol=1e-3)
    apart = span_of(Asked([same[0], *before, same[1]], [1.0, *[0.0] * 7, -1.0]))
    assert not torch.allclose(apart, alone, atol=1e-2)


def test_replays_of_other_rows_have_nothing_in_common(engines: list[TransformersEngine]) -> None:
    base, candidate = engines
    with pytest.raises(InputError, match="other rows"):
        candidate.gradients_between(
            base.capture(ROWS[:2], LAYER), candidate.capture(ROWS[2:4], LAYER)
        )
