"""Weights that are not finite are named, and nothing is decided about them."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from monitor.settings import Settings
from tests.workers.conftest import Silent, changed
from workers.diff import run_diff
from workers.errors import ModelLoadError
from workers.job import Job, side_of
from workers.keeping.store import LocalStore


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
    named = r"damaged: weight model\.layers\.1\.mlp\.up_proj\.weight holds .* not finite"
    with pytest.raises(ModelLoadError, match=named):
        run_diff(job, changed(settings, layer=2), LocalStore(settings.store_dir), Silent())
