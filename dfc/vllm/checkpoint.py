"""What may be given to vLLM: a local directory of safetensors whose weights are all numbers."""

from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from dfc.engines.model_loading import check_complete
from dfc.errors import ModelError


def check_checkpoint(path: Path) -> tuple[str, ...]:
    """The weights that the model has no place for, sorted by name.

    Raises ModelError for a directory that is not such a checkpoint, needs code of its own, or
    lacks a weight: vLLM would run with whatever lay in memory where it should be.
    """
    if not (path / "config.json").is_file():
        raise ModelError(f"{path} is not a checkpoint directory: it has no config.json")
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{path} has no *.safetensors weights; other formats are not loaded")
    for file in files:
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118, it is no dict
                weight = weights.get_tensor(name)
                if weight.is_floating_point() and not torch.isfinite(weight.float()).all():
                    raise ModelError(
                        f"{path}: weight {name} holds values that are not finite (NaN or "
                        "infinity), so the model can't be run; publish the checkpoint again from "
                        "before the training diverged"
                    )
    return _check_complete(path)


def _check_complete(path: Path) -> tuple[str, ...]:
    """Have transformers match names and shapes, without loading anything."""
    shown = logging.get_verbosity()
    logging.set_verbosity_error()  # what is missing is told below
    logging.disable_progress_bar()
    try:
        _, loading = AutoModelForCausalLM.from_pretrained(
            path,
            device_map="meta",
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are told below, by name
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{path} cannot be loaded: {error}") from error
    finally:
        logging.set_verbosity(shown)
    check_complete(path, loading)
    return tuple(sorted(str(key) for key in loading["unexpected_keys"]))
