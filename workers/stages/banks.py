"""Feature banks beside a stage's result, as safetensors."""

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from dfc.engine import FeatureBank

_TENSORS = ("encoder_KD", "bias_K", "threshold_K", "decoder_KD", "unit_K")


def save_bank(path: Path, bank: FeatureBank) -> None:
    """Write `bank` to `path`."""
    tensors = {name: getattr(bank, name).detach().contiguous().cpu() for name in _TENSORS}
    save_file(tensors, path, metadata={"layer": str(bank.layer)})


def load_bank(path: Path) -> FeatureBank:
    """What `save_bank` wrote to `path`."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in _TENSORS}
        return FeatureBank(layer=int(file.metadata()["layer"]), **tensors)
