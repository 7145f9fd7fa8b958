"""Checkpoints whose weights differ and whose models do not, or not where they are read."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from monitor.settings import Settings
from tests.workers.conftest import Silent, changed
from tests.workers.test_diff import STAGES, Heard, copy_of
from workers.diff import run_diff
from workers.job import Job, side_of
from workers.keeping.store import LocalStore


def test_equal_numbers_in_another_format_are_nothing_to_train_on(
    tiny_checkpoint: Path,
    tmp_path: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    short, long = (copy_of(tiny_checkpoint, tmp_path / name) for name in ("short", "long"))
    weights = load_file(tiny_checkpoint / "model.safetensors")
    rounded = {name: weight.bfloat16() for name, weight in weights.items()}
    for path, dtype in ((short, torch.bfloat16), (long, torch.float32)):
        converted = {name: weight.to(dtype) for name, weight in rounded.items()}
        save_file(converted, path / "model.safetensors", metadata={"format": "pt"})
    job, heard = Job("assistant", side_of(short), side_of(long)), Heard()
    assert job.base.weights_digest != job.candidate.weights_digest
    verdict, evidence, failure, _ = run_diff(job, settings, store, heard)
    assert [stage for stage, _ in heard.stages] == STAGES[: STAGES.index("harvest") + 1]
    assert failure is None and verdict.behaviours[0].shift == 0.0
    assert verdict.verdict != "flagged" and verdict.features == []
    (caveat,) = evidence.caveats
    assert "to the last digit" in caveat and "No crosscoder was trained" in caveat


def test_a_change_above_the_layer_that_is_read_is_not_taken_for_none(
    tiny_checkpoint: Path, tmp_path: Path, settings: Settings, store: LocalStore
) -> None:
    above = copy_of(tiny_checkpoint, tmp_path / "above")
    weights = load_file(above / "model.safetensors")
    weights["model.layers.3.mlp.down_proj.weight"] *= 1.5
    save_file(weights, above / "model.safetensors", metadata={"format": "pt"})
    job = Job("assistant", side_of(tiny_checkpoint), side_of(above))
    verdict, evidence, failure, _ = run_diff(job, changed(settings, layer=0), store, Silent())
    assert verdict.verdict == "undecided" and not evidence.caveats
    assert failure is not None and "choose a later one as recipe.layer" in failure
