"""Feature banks, and the maps between two models, beside a stage's result, as safetensors."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dfc.engines.engine import FeatureBank
from dfc.screening.stitching import AffineMap, Stitch

_EXACT = torch.float64
_TENSORS = ("encoder_KD", "bias_K", "threshold_K", "decoder_KD", "unit_K")


def save_bank(path: Path, bank: FeatureBank) -> None:
    """Write `bank` to `path`."""
    save_file(bank_tensors(bank), path, metadata={"layer": str(bank.layer)})


def load_bank(path: Path) -> FeatureBank:
    """What `save_bank` wrote to `path`."""
    with safe_open(path, framework="pt") as file:
        return FeatureBank(layer=int(file.metadata()["layer"]), **read_bank_tensors(file))


def bank_tensors(bank: FeatureBank) -> dict[str, torch.Tensor]:
    """All of `bank` but its layer, by name."""
    return {name: getattr(bank, name).detach().contiguous().cpu() for name in _TENSORS}


def read_bank_tensors(file: Any) -> dict[str, torch.Tensor]:
    """What `bank_tensors` gave, from an opened file of safetensors."""
    return {name: file.get_tensor(name) for name in _TENSORS}


def save_stitch(path: Path, stitch: Stitch) -> None:
    """Write `stitch` to `path`."""
    tensors = {"norms": torch.tensor([stitch.base_norm, stitch.candidate_norm], dtype=_EXACT)}
    for name, one in zip(Stitch._fields[:2], stitch[:2], strict=True):
        for field, value in one._asdict().items():
            tensors[f"{name}.{field}"] = torch.as_tensor(
                value, dtype=None if isinstance(value, torch.Tensor) else _EXACT
            ).contiguous()
    save_file(tensors, path)


def load_stitch(path: Path) -> Stitch:
    """What `save_stitch` wrote to `path`."""
    tensors = load_file(path)
    base_norm, candidate_norm = tensors["norms"].tolist()
    forth, back = (_affine_map(tensors, name) for name in Stitch._fields[:2])
    return Stitch(forth, back, base_norm, candidate_norm)


def _affine_map(tensors: dict[str, torch.Tensor], name: str) -> AffineMap:
    def part(field: str) -> torch.Tensor:
        return tensors[f"{name}.{field}"]

    return AffineMap(
        weight=part("weight"),
        bias_D=part("bias_D"),
        ridge=part("ridge").item(),
        r2=part("r2").item(),
        variance_DD=part("variance_DD"),
        error_DD=part("error_DD"),
    )
