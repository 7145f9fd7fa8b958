"""LoRA adapters: which may be merged, and which tensors of their base they change.

An adapter's configuration decides arithmetic and, in some loaders, which code runs. Only plain LoRA
is merged: a key is known, or it has to be off.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from monitor.checkpoints.adapter_targets import Targets, read_targets
from monitor.checkpoints.safetensors_header import Tensor, read_header
from monitor.checkpoints.strict_json import read_json_object
from monitor.checkpoints.weights import INDEX, SINGLE
from monitor.errors import CheckpointRefusedError

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MAX_RANK = 4096
MAX_ALPHA = 1e6

_FREE = frozenset(
    {
        *("base_model_name_or_path", "exclude_modules", "inference_mode", "layers_pattern"),
        *("layers_to_transform", "lora_alpha", "lora_dropout", "peft_type", "peft_version", "r"),
        *("rank_pattern", "revision", "target_modules", "task_type", "use_rslora"),
    }
)
"""Keys that are read here, or that say how the adapter was trained and not what it does now."""
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "init_lora_weights": (True, False, "gaussian"),
    "megatron_core": ("megatron.core",),
    "qalora_group_size": (16,),
    "bias": ("none",),
}
"""Values of other keys with which they do nothing, besides being off."""
_NAME = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>[AB])\.weight")


def is_adapter(names: set[str]) -> bool:
    """Whether files of these names are an adapter and no model."""
    return ADAPTER_CONFIG in names and not {SINGLE, INDEX} & names


class Change(NamedTuple):
    """What an adapter adds to one matrix of its base: `scale` times B times A."""

    a: Tensor
    """Rank by inputs."""
    b: Tensor
    """Outputs by rank."""
    scale: float


class Adapter(NamedTuple):
    """A LoRA adapter that can be merged."""

    weights: Path
    changes: dict[str, Change]
    """By the name of the tensor of the base."""
    targets: Targets


def read_adapter(path: Path, base_names: list[str]) -> Adapter:
    """The adapter in the directory `path`, made for a base that is called one of `base_names`.

    Raises CheckpointRefusedError with the file, the key or tensor, and the remedy.
    """
    config = read_json_object(path / ADAPTER_CONFIG)
    _check_config(config, base_names)
    alpha: Any = config.get("lora_alpha")
    rank: Any = config.get("r")
    if type(alpha) not in (int, float) or not 0 < alpha < MAX_ALPHA:
        raise _refusal(f"lora_alpha {_short(alpha)} is not above 0 and below {MAX_ALPHA:g}")
    if type(rank) is not int or not 1 <= rank <= MAX_RANK:
        raise _refusal(f"r {_short(rank)} is not between 1 and {MAX_RANK}")
    parts: dict[str, dict[str, Tensor]] = {}
    for tensor in read_header(path / ADAPTER_WEIGHTS).tensors:
        match = _NAME.fullmatch(tensor.name)
        if match is None or len(tensor.shape) != 2:
            raise CheckpointRefusedError(
                f"{ADAPTER_WEIGHTS}: tensor {tensor.name[:120]!r} is no part of a plain LoRA; "
                "merge it into the model and publish that"
            )
        parts.setdefault(f"{match['module']}.weight", {})[match["part"]] = tensor
    if not parts:
        raise CheckpointRefusedError(f"{ADAPTER_WEIGHTS}: holds no tensors")
    targets = read_targets(config)
    for name in parts:
        if not targets.cover(name.removesuffix(".weight")):
            raise CheckpointRefusedError(
                f"{ADAPTER_WEIGHTS}: {name[:120]!r} is none of the modules that {ADAPTER_CONFIG} "
                "targets, so loaders pass over it; correct target_modules, exclude_modules and "
                "layers_to_transform there, or take the tensor out"
            )
    return Adapter(
        path / ADAPTER_WEIGHTS,
        {
            name: _change(name, pair, config, float(alpha), rank)
            for name, pair in sorted(parts.items())
        },
        targets,
    )


def _check_config(config: dict[str, Any], base_names: list[str]) -> None:
    if config.get("peft_type") != "LORA":
        raise _refusal(f"peft_type {_short(config.get('peft_type'))} is not LORA")
    for key, value in config.items():
        off = value is None or value is False or value in ([], {}, "")
        if key not in _FREE and not off and value not in _HARMLESS.get(key, ()):
            raise _refusal(f"{key[:80]!r} is {_short(value)}, which is more than a plain LoRA")
    named = config.get("base_model_name_or_path")
    if named not in base_names:
        raise CheckpointRefusedError(
            f"{ADAPTER_CONFIG}: base_model_name_or_path {_short(named)} is not the base of this "
            f"line ({', '.join(base_names)}); publish it on the line of its base, or add the name "
            "to adapters.names"
        )


def _change(
    name: str, pair: dict[str, Tensor], config: dict[str, Any], alpha: float, rank: int
) -> Change:
    if pair.keys() != {"A", "B"}:
        raise CheckpointRefusedError(f"{ADAPTER_WEIGHTS}: {name[:120]!r} has no A or no B")
    a, b = pair["A"], pair["B"]
    own = a.shape[0]
    expected = own if config.get("rank_pattern") else rank
    if not (own == b.shape[1] == expected and 1 <= own <= MAX_RANK):
        raise CheckpointRefusedError(
            f"{ADAPTER_WEIGHTS}: {name[:120]!r} has the rank {own}, which fits neither its other "
            f"half nor r of {ADAPTER_CONFIG}"
        )
    return Change(a, b, alpha / (own**0.5 if config.get("use_rslora") else own))


def _refusal(what: str) -> CheckpointRefusedError:
    return CheckpointRefusedError(
        f"{ADAPTER_CONFIG}: {what}; merge it into the model and publish that"
    )


def _short(value: Any) -> str:
    return repr(value)[:120]
