"""Attribution: the directions that move the words, against autograd through a plain forward."""

from collections.abc import Callable, Sequence
from pathlib import Path

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


def plain_product(
    base: Path,
    candidate: Path,
    rows: Sequence[ScoreRow] = ROWS,
    weights: Sequence[float] = ASKED.weights,
) -> Tensor:
    """Sum of gradient times difference [D, D] by hooks on the models as transformers runs them."""
    models = [AutoModelForCausalLM.from_pretrained(path) for path in (base, candidate)]
    total_DD = torch.zeros(32, 32, dtype=torch.float64)
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
        difference_TD = candidate_TD - base_TD
        total_DD += weight * (gradient_1TD[0, 1:].double().T @ difference_TD[1:].double())
    return total_DD


def test_directions_are_the_best_subspace_of_a_plain_gradient(
    found: MovingDirections, near: list[Path]
) -> None:
    product_DD = plain_product(*near)
    effect_D, vector_DD = torch.linalg.eigh((product_DD + product_DD.T) / 2)
    expected = vector_DD[:, -3:] @ vector_DD[:, -3:].T
    assert torch.allclose(found.direction_RD.T @ found.direction_RD, expected.float(), atol=1e-3)
    (answers,) = found.asked
    assert answers.carried == pytest.approx(float(effect_D[-3:].sum()), rel=1e-3)
    assert answers.attributed == pytest.approx(float(product_DD.trace()), rel=1e-3)


def test_the_gradients_account_for_what_the_answers_gain(found: MovingDirections) -> None:
    (answers,) = found.asked
    assert answers.attributed == pytest.approx(answers.gained, rel=0.1)
    assert found.energy is not None
    assert 0 < found.energy < 1


def test_equal_models_have_no_directions(engines: list[TransformersEngine]) -> None:
    base, _ = engines
    same = moving_directions(base, base, [ASKED], LAYER, 3)
    assert same.direction_RD.shape == (0, 32)
    assert (same.asked, same.energy) == ([(0, 0, 0)], None)


def test_weights_and_shares_say_whose_words_the_directions_move(
    engines: list[TransformersEngine], near: list[Path]
) -> None:
    first, second = Asked(ROWS[:5], [2.0] * 5, 0.75), Asked(ROWS[5:], [1.0, -1.0, 0.5, 0, 0], 0.25)
    products = [plain_product(*near, one.rows, one.weights) for one in (first, second)]
    chosen_DD = sum(
        one.share / abs(product_DD.trace()) * product_DD
        for one, product_DD in zip((first, second), products, strict=True)
    )
    _, vector_DD = torch.linalg.eigh((chosen_DD + chosen_DD.T) / 2)
    found = moving_directions(*engines, [first, second], LAYER, 2)
    expected = vector_DD[:, -2:] @ vector_DD[:, -2:].T
    assert torch.allclose(found.direction_RD.T @ found.direction_RD, expected.float(), atol=1e-3)
    for effect, product_DD in zip(found.asked, products, strict=True):
        assert effect.attributed == pytest.approx(float(product_DD.trace()), rel=1e-3, abs=1e-6)
        inside = float((expected * product_DD).sum())
        assert effect.carried == pytest.approx(inside, rel=1e-2, abs=1e-5)


def test_replays_of_other_rows_have_nothing_in_common(engines: list[TransformersEngine]) -> None:
    base, candidate = engines
    with pytest.raises(InputError, match="other rows"):
        candidate.gradients_between(
            base.capture(ROWS[:2], LAYER), candidate.capture(ROWS[2:4], LAYER)
        )
