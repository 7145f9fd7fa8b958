"""The patch profile says through which depth a change passes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfc.engines.engine import ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError
from dfc.locating.patch_profile import PatchPoint, choose_layer, patch_profile


@pytest.fixture(scope="module")
def changed_at_block_2(
    make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> TransformersEngine:
    """The base with one matrix of block 2 changed and nothing else."""
    path = make_checkpoint(tmp_path_factory.mktemp("profile") / "candidate")
    weights = load_file(path / "model.safetensors")
    name = "model.layers.2.mlp.down_proj.weight"
    weights[name] = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(1))
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    return TransformersEngine(path, dtype=torch.float32)


def test_a_change_in_one_block_shows_from_that_block_on(
    engine: TransformersEngine, changed_at_block_2: TransformersEngine, rows: list[ScoreRow]
) -> None:
    weights = [1.0 if n % 2 else -1.0 for n in range(len(rows))]
    seen: list[tuple[int, int]] = []
    points = patch_profile(
        engine,
        changed_at_block_2,
        rows,
        weights,
        range(4),
        progress=lambda done, total: seen.append((done, total)),
    )
    for point, part in zip(points, (0.0, 0.0, 1.0, 1.0), strict=True):
        assert point.removed == pytest.approx(part, abs=1e-4)
        assert point.induced == pytest.approx(part, abs=1e-4)
    assert [point.layer for point in points] == [0, 1, 2, 3]
    assert choose_layer(points) == 2
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_equal_models_have_no_parts(engine: TransformersEngine, rows: list[ScoreRow]) -> None:
    points = patch_profile(engine, engine, rows, [1.0] * len(rows), [1])
    assert points == [PatchPoint(1, None, None)]
    with pytest.raises(InputError, match="do not differ"):
        choose_layer(points)


def test_choose_layer_takes_the_earliest_that_reaches_the_ceiling() -> None:
    points = [PatchPoint(5, 0.2, 0.1), PatchPoint(15, 0.9, 0.5), PatchPoint(10, 0.8, 0.4)]
    assert choose_layer(points) == 10
    assert choose_layer(points, minimum_ceiling=0.9) == 15
    assert choose_layer([*points, PatchPoint(3, None, None)], minimum_ceiling=0.1) == 5


def test_weights_and_shapes_must_fit(
    engine: TransformersEngine,
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
    rows: list[ScoreRow],
) -> None:
    with pytest.raises(InputError, match="1 weights for 14 rows"):
        patch_profile(engine, engine, rows, [1.0], [1])
    narrow = TransformersEngine(make_checkpoint(tmp_path, hidden_size=16), dtype=torch.float32)
    with pytest.raises(InputError, match="differ in d_model"):
        patch_profile(engine, narrow, rows, [1.0] * len(rows), [1])
