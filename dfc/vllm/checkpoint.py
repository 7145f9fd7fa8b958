"""What may be given to vLLM: a local directory of safetensors whose weights are all numbers."""

from pathlib import Path

import torch
from safetensors import safe_open

from dfc.errors import ModelError


def check_checkpoint(path: Path) -> None:
    """Raises ModelError for a directory that is not such a checkpoint.

    That no weight is missing is checked by vLLM while it loads.
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
