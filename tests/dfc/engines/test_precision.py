"""The number format follows the processor, and no result is taken for one in another format."""

from pathlib import Path

import pytest
import torch

from dfc.engines.engine import ScoreRow
from dfc.engines.precision import native_autocast, native_dtype
from dfc.engines.transformers_engine import TransformersEngine
from workers.keeping.stage_keys import stage_code

FORMAT = {True: torch.bfloat16, False: torch.float32}


def multiplies_bfloat16(patched: pytest.MonkeyPatch, answer: bool) -> None:
    patched.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: answer)


@pytest.mark.parametrize("native", [True, False])
def test_a_model_runs_in_what_the_processor_multiplies(
    native: bool, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiplies_bfloat16(monkeypatch, native)
    assert native_dtype() is FORMAT[native]
    engine = TransformersEngine(tiny_checkpoint)
    assert engine.info.dtype == str(FORMAT[native]).removeprefix("torch.")
    (captured,) = engine.capture([ScoreRow((1, 5, 9), (7, 11))], 1).batches
    assert captured.x_BTD.dtype is FORMAT[native]


@pytest.mark.parametrize("native", [True, False])
def test_training_multiplies_in_the_same_format(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiplies_bfloat16(monkeypatch, native)
    x_BD = torch.ones(2, 3)
    with native_autocast("cpu"):
        assert (x_BD @ x_BD.T).dtype is FORMAT[native]


def test_another_device_than_a_cpu_has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    multiplies_bfloat16(monkeypatch, False)
    assert native_dtype("cuda:1") is torch.bfloat16


def test_a_stage_has_another_key_in_another_format(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for native in (True, False):
        multiplies_bfloat16(monkeypatch, native)
        keys.add(stage_code("probe"))
    assert len(keys) == 2
