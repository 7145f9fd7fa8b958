"""Harvested states are those of the plain model, in order, without position 0."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfc.engines.engine import ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError, ModelError, ParityError
from tests.dfc import naive

DOCUMENTS = [(5, 6, 7), tuple(range(10, 40)), (8, 9), (77,), tuple(range(60, 75))]


@pytest.mark.parametrize("layer", [0, 2])
def test_states_are_those_of_each_document_alone(
    engine: TransformersEngine, tiny_checkpoint: Path, layer: int
) -> None:
    decoder = naive.load(tiny_checkpoint).get_decoder()
    expected = [
        decoder(torch.tensor([d]), output_hidden_states=True).hidden_states[layer + 1][0, 1:]
        for d in DOCUMENTS
    ]
    found = engine.harvest(DOCUMENTS, layer)
    torch.testing.assert_close(found.x_TD, torch.cat(expected).bfloat16(), rtol=1e-2, atol=1e-2)
    assert found.token_T.tolist() == [t for d in DOCUMENTS for t in d[1:]]
    assert found.position_T.tolist() == [t for d in DOCUMENTS for t in range(1, len(d))]
    assert found.document_T.tolist() == [n for n, d in enumerate(DOCUMENTS) for _ in d[1:]]


def test_upper_blocks_and_head_are_not_run(tiny_checkpoint: Path) -> None:
    engine = TransformersEngine(tiny_checkpoint, dtype=torch.float32)
    engine.harvest(DOCUMENTS, 1)  # the parity check of the first batch runs the whole model
    ran: list[int] = []

    def note(number: int) -> Callable[..., None]:
        return lambda *args: ran.append(number)

    for number, block in enumerate(engine._stack.blocks):
        block.register_forward_hook(note(number))
    engine._stack.model.get_output_embeddings().register_forward_hook(note(-1))
    engine.harvest(DOCUMENTS, 1)
    assert ran == [0, 1]


def test_a_stack_cut_at_the_wrong_layer_fails_loudly(tiny_checkpoint: Path) -> None:
    engine = TransformersEngine(tiny_checkpoint, dtype=torch.float32)
    original = engine._stack.lower

    def wrong(tokens: torch.Tensor, layer: int, **inputs: Any) -> torch.Tensor:
        return original(tokens, layer - 1, **inputs)

    engine._stack.lower = wrong  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ParityError, match="states after block 2 differ"):
            engine.harvest(DOCUMENTS, 2)


def test_states_of_the_last_block_unembed_to_the_models_logits(
    engine: TransformersEngine, tiny_checkpoint: Path
) -> None:
    model = naive.load(tiny_checkpoint)
    document = DOCUMENTS[0]
    x_TD = engine.harvest([document], engine.info.n_layers - 1).x_TD
    expected = naive.logits(model, document)[1:]
    torch.testing.assert_close(engine.unembed(x_TD), expected, rtol=0.02, atol=0.02)


def test_nothing_to_harvest_is_an_error(engine: TransformersEngine) -> None:
    with pytest.raises(InputError, match="nothing to harvest"):
        engine.harvest([(5,), (6,)], 1)
    with pytest.raises(InputError, match="no documents"):
        engine.harvest([], 1)


def test_a_layer_beyond_the_model_is_refused(engine: TransformersEngine) -> None:
    with pytest.raises(InputError, match=r"layer 4 does not exist; this model has 0\.\.3"):
        engine.harvest(DOCUMENTS, 4)


def test_states_that_overflow_are_noticed(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_checkpoint(tmp_path / "damaged")
    weights = load_file(path / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"] *= 1e30
    weights["model.layers.0.mlp.down_proj.weight"] *= 1e30
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    engine = TransformersEngine(path, dtype=torch.float32)
    with pytest.raises((ModelError, ParityError)):
        engine.harvest(DOCUMENTS, 2)


def test_harvest_can_be_trained_on(engine: TransformersEngine) -> None:
    weight = torch.ones(engine.info.d_model, requires_grad=True)
    (engine.harvest(DOCUMENTS, 1).x_TD.float() @ weight).sum().backward()
    assert weight.grad is not None


def test_a_gpt_neox_is_harvested_and_cut_like_any_other(foreign_checkpoint: Path) -> None:
    engine = TransformersEngine(foreign_checkpoint, dtype=torch.float32)
    decoder = naive.load(foreign_checkpoint).get_decoder()
    for layer in range(engine.info.n_layers - 1):
        expected = [
            decoder(torch.tensor([d]), output_hidden_states=True).hidden_states[layer + 1][0, 1:]
            for d in DOCUMENTS
        ]
        found = engine.harvest(DOCUMENTS, layer)
        torch.testing.assert_close(found.x_TD, torch.cat(expected).bfloat16(), rtol=1e-2, atol=1e-2)
    rows = [ScoreRow(DOCUMENTS[1][:20], DOCUMENTS[1][20:]), ScoreRow(DOCUMENTS[1][:20], (9, 8, 7))]
    replayed = engine.score_from(engine.capture(rows, 2))
    model = naive.load(foreign_checkpoint)
    assert replayed == pytest.approx([naive.score(model, row) for row in rows], abs=1e-3)
