"""Loads a local checkpoint's model: safetensors only, no code of its own, no network."""

from pathlib import Path
from typing import Any, NamedTuple

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
            ignore_mismatched_sizes=True,  # they are told below, by name
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{path} cannot be loaded: {error}") from error
    check_complete(path, loading)
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


def check_complete(path: Path, loading: dict[str, Any]) -> None:
    """Raise ModelError, with the first names, when by transformers' report ``loading`` the
    checkpoint in ``path`` lacks a weight or has one of another shape."""
    missing = sorted(map(str, loading["missing_keys"]))[:3]
    mismatched = [
        f"{name}, of shape {tuple(stored)} where config.json asks for {tuple(wanted)}"
        for name, stored, wanted in sorted(loading["mismatched_keys"])[:3]
    ]
    for problem, names in (("mismatched", mismatched), ("missing", missing)):
        if names:
            raise ModelError(
                f"{path} has {problem} keys (first: {'; '.join(names)}); its weights do not match "
                "its config.json, so what would run is not the published model"
            )
