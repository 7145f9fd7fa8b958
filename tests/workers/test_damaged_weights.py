"""Weights that are not finite end a check as undecided."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from monitor.settings import Settings
from tests.workers.conftest import Silent, changed, side_of
from workers.diff import run_diff
from workers.job import Job
from workers.store import LocalStore


def test_weights_that_are_no_numbers_are_never_passed(
    tiny_checkpoint: Path, tmp_path: Path, settings: Settings
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    damaged = tmp_path / "damaged"
    model.save_pretrained(damaged)
    AutoTokenizer.from_pretrained(tiny_checkpoint).save_pretrained(damaged)
    job = Job("assistant", side_of(tiny_checkpoint), side_of(damaged))
    outcome = run_diff(job, changed(settings, layer=2), LocalStore(settings.store_dir), Silent())
    assert outcome.verdict.verdict == "undecided"
    assert outcome.failure is not None and "nan" in outcome.failure
