"""Matrices split over two processes, as over two GPUs, on this CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dfc.engines.transformers_engine import TransformersEngine
from dfc.vllm.engine import VllmEngine
from tests.vllm import cases
from tests.vllm.conftest import SMALL


@pytest.fixture(scope="module")
def engine(tiny_path: Path) -> Iterator[VllmEngine]:
    engine = VllmEngine(tiny_path, torch.float32, SMALL._replace(tensor_parallel=2))
    yield engine
    engine.close()


def test_words_scores_and_states_are_those_of_transformers(
    engine: VllmEngine, tiny_reference: TransformersEngine
) -> None:
    bank = cases.bank(tiny_reference, 3)
    prompts, rows = cases.texts(320), cases.rows(320)
    found = engine.generate(prompts, 24, bank=bank, edits=cases.EDITS)
    assert found == tiny_reference.generate(prompts, 24, bank=bank, edits=cases.EDITS)
    assert found != tiny_reference.generate(prompts, 24)
    expected = tiny_reference.score(rows, bank=bank, edits=cases.EDITS)
    assert engine.score(rows, bank=bank, edits=cases.EDITS) == pytest.approx(
        expected, abs=1e-3, rel=0
    )
    found_TD = engine.harvest(prompts, 3).x_TD
    cases.expect_equal_in_bfloat16(found_TD, tiny_reference.harvest(prompts, 3).x_TD)
