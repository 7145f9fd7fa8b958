"""What is written goes to one engine, all else to the other, and both are one model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dfc.engines.divided_engine import DividedEngine
from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import ModelError
from dfc.vllm import engine as module
from dfc.vllm.engine import VllmEngine
from tests.dfc.one_by_one import OneByOne

EDITS = [Edit(0, gain=-1.0), Edit(4, offset=0.5)]


@pytest.fixture
def opened() -> list[VllmEngine]:
    return []


@pytest.fixture
def divided(
    engine: TransformersEngine,
    tiny_checkpoint: Path,
    opened: list[VllmEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> DividedEngine:
    monkeypatch.setattr(module, "LocalRuntime", OneByOne)

    def writing() -> VllmEngine:
        opened.append(VllmEngine(tiny_checkpoint, torch.float32))
        return opened[-1]

    return DividedEngine(engine, writing)


def test_the_writing_engine_is_opened_once_and_only_to_write(
    divided: DividedEngine,
    engine: TransformersEngine,
    rows: list[ScoreRow],
    bank: FeatureBank,
    opened: list[VllmEngine],
) -> None:
    rows = [row for row in rows if len(row.prompt) > 1]
    replay = divided.capture(rows, 1)
    divided.score_from(replay, bank=bank, edits=EDITS)
    divided.gradients_between(replay, replay)
    divided.harvest([(5, 6, 7)], 1)
    divided.unembed(torch.zeros(1, engine.info.d_model))
    assert opened == []
    divided.score(rows, bank=bank, edits=[EDITS] * len(rows))
    assert divided.n_steered_positions == engine.n_steered_positions > 0
    assert opened == []
    asked = [(5, 6, 7), (9, 8)]
    assert divided.generate(asked, 4) == engine.generate(asked, 4)
    assert divided.n_steered_positions == 0
    steered = [EDITS, [Edit(1, gain=2.0)]]
    assert divided.generate(asked, 4, bank=bank, edits=steered) == engine.generate(
        asked, 4, bank=bank, edits=steered
    )
    assert divided.n_steered_positions == opened[0].n_steered_positions > 0
    assert len(opened) == 1


def test_two_models_are_refused(
    engine: TransformersEngine, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    narrow = TransformersEngine(make_checkpoint(tmp_path, hidden_size=16), dtype=torch.float32)
    with pytest.raises(ModelError, match="disagree on what it is"):
        DividedEngine(engine, lambda: narrow).generate([(5, 6)], 1)
