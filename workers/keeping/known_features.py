"""The features of a version, kept beside its verdict, so that later ones can be recognised.

They outlast everything else that a check keeps: another recipe or another release of latentwatch
may have found them.
"""

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dfc.engines.engine import FeatureBank
from workers.stages.banks import bank_tensors, read_bank_tensors

_SCHEMA = "latentwatch.features/1"


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: list[str]
    labels: list[str | None]


class KnownFeatures(NamedTuple):
    """Features of one version that its base has not, in the order of its verdict."""

    bank: FeatureBank
    ids: list[str]
    labels: list[str | None]


def to_bytes(known: KnownFeatures) -> bytes:
    """As a file of safetensors."""
    names = _Names(ids=known.ids, labels=known.labels)
    metadata = {
        "schema": _SCHEMA,
        "layer": str(known.bank.layer),
        "names": json.dumps(names.model_dump()),
    }
    return save(bank_tensors(known.bank), metadata)


def read_known_features(path: Path) -> KnownFeatures:
    """What `to_bytes` made. Raises ValueError where it can't be read."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("schema") != _SCHEMA:
                raise ValueError(f"{path}: its schema is not {_SCHEMA}")
            bank = FeatureBank(layer=int(metadata["layer"]), **read_bank_tensors(file))
        names = _Names.model_validate_json(metadata["names"])
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        raise ValueError(f"{path}: can't be read ({error})") from error
    known = KnownFeatures(bank, names.ids, names.labels)
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
