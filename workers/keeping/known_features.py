"""The features of a version, kept beside its verdict, so that later ones can be recognised.

They outlast everything else that a check keeps: another recipe or another release of latentwatch
may have found them.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dfc.engines.engine import FeatureBank
from workers.stages.banks import bank_tensors, read_bank_tensors

_ENTRY = "latentwatch"


class _About(BaseModel):
    """In one entry of the file's metadata, since entries come in any order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["latentwatch.features/1"] = "latentwatch.features/1"
    layer: int
    ids: list[str]
    labels: list[str | None]


class KnownFeatures(NamedTuple):
    """Features of one version that its base has not, in the order of its verdict."""

    bank: FeatureBank
    ids: list[str]
    labels: list[str | None]


def to_bytes(known: KnownFeatures) -> bytes:
    """As a file of safetensors."""
    about = _About(layer=known.bank.layer, ids=known.ids, labels=known.labels)
    return save(bank_tensors(known.bank), {_ENTRY: about.model_dump_json()})


def read_known_features(path: Path) -> KnownFeatures:
    """What `to_bytes` made. Raises ValueError where it can't be read."""
    try:
        with safe_open(path, framework="pt") as file:
            about = _About.model_validate_json((file.metadata() or {})[_ENTRY])
            bank = FeatureBank(layer=about.layer, **read_bank_tensors(file))
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        raise ValueError(f"{path}: can't be read ({error})") from error
    known = KnownFeatures(bank, about.ids, about.labels)
    if not _is_sound(known):
        raise ValueError(f"{path}: its names and tensors do not fit each other")
    return known


def _is_sound(known: KnownFeatures) -> bool:
    """Whether all tensors are of as many features, and finite."""
    if known.bank.decoder_KD.dim() != 2 or len(known.labels) != len(known.ids):
        return False
    K, d = len(known.ids), known.bank.decoder_KD.shape[1]
    return all(
        value.shape == ((K, d) if name.endswith("_KD") else (K,))
        and value.is_floating_point()
        and bool(value.isfinite().all())
        for name, value in known.bank._asdict().items()
        if name != "layer"
    )
