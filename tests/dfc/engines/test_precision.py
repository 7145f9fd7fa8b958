"""The number format follows the processor, and no result is taken for one in another format."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dfc.engines.engine import ScoreRow
from dfc.engines.precision import native_autocast, native_dtype
from dfc.engines.transformers_engine import TransformersEngine
from tests.number_format import in_float32, multiplies_bfloat16
from workers.keeping.stage_keys import stage_code
from workers.processes.isolation import environment_of_diffs

FORMAT = {True: torch.bfloat16, False: torch.float32}


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


def test_in_float32_the_processes_that_are_started_are_too() -> None:
    script = "from dfc.engines.precision import native_dtype; print(native_dtype())"
    with in_float32():
        assert native_dtype() is torch.float32
        environment = environment_of_diffs(os.environ)
        started = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True
        )
    assert started.stdout == "torch.float32\n", started.stderr
