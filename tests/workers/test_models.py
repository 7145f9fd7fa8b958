"""The models of a diff are those whose digests were taken, and stay so."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfc.engines.engine import ScoreRow
from dfc.perturbation import Noise
from monitor.errors import CheckpointChangedError
from tests.dfc.one_by_one import OneByOne
from workers.errors import ModelLoadError
from workers.job import Job, side_of
from workers.models import Models

MISFIT = (
    r"mismatched keys \(first: model\.layers\.0\.mlp\.down_proj\.weight, "
    r"of shape \(32, \d+\) where config\.json asks for \(32, 48\)"
)
ROWS = [ScoreRow((5, 6, 7), (8, 9))]


@pytest.fixture
def pushed(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "pushed"))


def models_of(checkpoint: Path) -> Models:
    return Models(Job(None, side_of(checkpoint), side_of(checkpoint)))


def test_a_model_is_loaded_once(tiny_checkpoint: Path) -> None:
    models = models_of(tiny_checkpoint)
    assert models["base"] is models["base"] is not models["candidate"]


@pytest.mark.usefixtures("float32")
def test_vllm_writes_and_transformers_does_the_rest(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    class Started(OneByOne):
        def __init__(self, path: Path, *others: Any) -> None:
            opened.append(path)
            super().__init__(path, *others)

    monkeypatch.setattr("dfc.vllm.engine.LocalRuntime", Started)
    side = side_of(tiny_checkpoint)
    engine = Models(Job(None, side, side), "vllm")["candidate"]
    plain = models_of(tiny_checkpoint)["candidate"]
    assert engine.score(ROWS) == plain.score(ROWS) and opened == []
    assert engine.generate([(5, 6, 7)], 4) == plain.generate([(5, 6, 7)], 4)
    assert len(opened) == 1 and opened[0] != tiny_checkpoint, "it was shown every file"


def test_weights_overwritten_later_do_not_reach_the_loaded_model(pushed: Path) -> None:
    engine = models_of(pushed)["base"]
    before = engine.score(ROWS)
    weights = pushed / "model.safetensors"
    with weights.open("r+b") as stream:
        size = weights.stat().st_size
        stream.seek(size // 2)
        stream.write(b"\0" * (size - size // 2))
    assert engine.score(ROWS) == before


@pytest.mark.parametrize("change", ["weights", "config", "gone", "pickle"])
def test_another_content_is_never_loaded(pushed: Path, change: str) -> None:
    models = models_of(pushed)
    if change == "weights":
        with (pushed / "model.safetensors").open("r+b") as stream:
            stream.seek(-1, 2)
            stream.write(b"\x7f")
    elif change == "config":
        config = json.loads((pushed / "config.json").read_text())
        (pushed / "config.json").write_text(json.dumps(config | {"rope_theta": 5.0}))
    elif change == "gone":
        shutil.rmtree(pushed)
    else:
        (pushed / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(CheckpointChangedError, match="changed since its digest was taken"):
        models["base"]


def test_weights_that_do_not_fit_the_config_are_named(pushed: Path) -> None:
    config = json.loads((pushed / "config.json").read_text())
    (pushed / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    with pytest.raises(ModelLoadError, match=MISFIT) as caught:
        models_of(pushed)["base"]
    assert str(pushed) in str(caught.value)


def test_noise_changes_the_scores_a_little_and_by_its_seed(tiny_checkpoint: Path) -> None:
    models = models_of(tiny_checkpoint)
    (plain,) = models["base"].score(ROWS)
    noisy = [models.noisy_base(Noise(0.01, seed)).score(ROWS)[0] for seed in (0, 0, 1)]
    assert noisy[0] == noisy[1] != noisy[2]
    assert 0 < abs(noisy[0] - plain) < 1.0


def test_models_are_never_fetched() -> None:
    script = (
        "import workers.models; from huggingface_hub import constants\n"
        "assert constants.HF_HUB_OFFLINE"
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")
    }
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
