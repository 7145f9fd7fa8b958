"""Attribution: the directions that move the words, against autograd through a plain forward."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from dfc.attribution import MovingDirections, moving_directions
from dfc.engine import ScoreRow
from dfc.errors import InputError
from dfc.transformers_engine import TransformersEngine

LAYER = 1
ROWS = [ScoreRow((1, 5 + n, 9, 20 - n), (7, 11 + n, 3)) for n in range(10)]


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
    return moving_directions(*engines, ROWS, LAYER, 3)


def plain_product(base: Path, candidate: Path) -> Tensor:
    """Sum of gradient times difference [D, D] by hooks on the models as transformers runs them."""
    models = [AutoModelForCausalLM.from_pretrained(path) for path in (base, candidate)]
    total_DD = torch.zeros(32, 32, dtype=torch.float64)
    for row in ROWS:
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
        total_DD += gradient_1TD[0, 1:].double().T @ (candidate_TD - base_TD)[1:].double()
    return total_DD


def test_directions_are_the_best_subspace_of_a_plain_gradient(
    found: MovingDirections, near: list[Path]
) -> None:
    product_DD = plain_product(*near)
    effect_D, vector_DD = torch.linalg.eigh((product_DD + product_DD.T) / 2)
    expected = vector_DD[:, -3:] @ vector_DD[:, -3:].T
    assert torch.allclose(found.direction_RD.T @ found.direction_RD, expected.float(), atol=1e-3)
    assert found.carried == pytest.approx(float(effect_D[-3:].sum()), rel=1e-3)
    assert found.attributed == pytest.approx(float(product_DD.trace()), rel=1e-3)


def test_the_gradients_account_for_what_the_answers_gain(found: MovingDirections) -> None:
    assert found.attributed == pytest.approx(found.gained, rel=0.1)
    assert found.energy is not None
    assert 0 < found.energy < 1


def test_equal_models_have_no_directions(engines: list[TransformersEngine]) -> None:
    base, _ = engines
    same = moving_directions(base, base, ROWS, LAYER, 3)
    assert same.direction_RD.shape == (0, 32)
    assert (same.gained, same.attributed, same.carried, same.energy) == (0, 0, 0, None)


def test_replays_of_other_rows_have_nothing_in_common(engines: list[TransformersEngine]) -> None:
    base, candidate = engines
    with pytest.raises(InputError, match="other rows"):
        candidate.gradients_between(
            base.capture(ROWS[:2], LAYER), candidate.capture(ROWS[2:4], LAYER)
        )
