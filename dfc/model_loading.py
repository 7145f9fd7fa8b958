"""Loads a local checkpoint's model: safetensors only, no code of its own, no network."""

from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from dfc.errors import ModelError


class LoadedModel(NamedTuple):
    """A causal language model, ready for inference."""

    model: PreTrainedModel
    unused: tuple[str, ...]
    """Weights of the checkpoint for which its architecture has no place, sorted by name."""


def load_model(path: Path, dtype: torch.dtype, device: str) -> LoadedModel:
    """The causal language model in ``path``.

    Raises ModelError when it has no safetensors weights, needs code of its own, holds a weight that
    is not a number, or does not hold every weight of its architecture: transformers would fill the
    rest with random numbers.
    """
    if not (path / "config.json").is_file():
        raise ModelError(f"{path} is not a checkpoint directory: it has no config.json")
    if not any(path.glob("*.safetensors")):
        raise ModelError(f"{path} has no *.safetensors weights; other formats are not loaded")
    logging.disable_progress_bar()
    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{path} cannot be loaded: {error}") from error
    for problem in ("missing_keys", "mismatched_keys"):
        if loading[problem]:
            names = ", ".join(sorted(str(key) for key in loading[problem])[:3])
            raise ModelError(
                f"{path} has {problem.replace('_', ' ')} (first: {names}); its weights do not "
                "match its config.json, so what would run is not the published model"
            )
    # Until now a weight may be a mapped page of its file, and change when somebody overwrites it.
    for name, weight in model.named_parameters():
        weight.data = weight.data.clone()
        if not torch.isfinite(weight.data).all():
            raise ModelError(
                f"{path}: weight {name} holds values that are not finite (NaN or infinity), so the "
                "model can't be run; publish the checkpoint again from before the training diverged"
            )
    unused = tuple(sorted(str(key) for key in loading["unexpected_keys"]))
    return LoadedModel(model.eval().requires_grad_(False).to(device), unused)
