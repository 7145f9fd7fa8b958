"""Whether the sizes in config.json are those of the weights, as far as the headers tell.

A loader reserves what the configuration asks for before it sees that no weights fill it.
"""

from collections.abc import Iterable
from typing import Any

from monitor.checkpoints.safetensors_header import FLOATS
from monitor.checkpoints.weights import WeightFile
from monitor.errors import CheckpointRefusedError

_EMBEDDINGS = frozenset(
    {
        "model.embed_tokens.weight",
        "embed_tokens.weight",
        "gpt_neox.embed_in.weight",
        "embed_in.weight",
    }
)
"""What the allowed architectures call the table of tokens; without its prefix where only the
decoder was saved."""


def check_fit(config: dict[str, Any], weights: Iterable[WeightFile]) -> None:
    """Raise CheckpointRefusedError, with file, key, tensor and remedy, where they contradict.

    `config` has passed `check_model_config`. An embedding that is stored packed, as quantised ones
    may be, tells nothing.
    """
    tensors = [(file.name, tensor) for file in weights for tensor in file.header.tensors]
    if config["num_hidden_layers"] > len(tensors):
        raise CheckpointRefusedError(
            "config.json: num_hidden_layers exceeds the number of tensors; save the model again "
            "with its own config.json"
        )
    for file, tensor in tensors:
        if tensor.name in _EMBEDDINGS and tensor.dtype in FLOATS and len(tensor.shape) == 2:
            for key, stored in zip(("vocab_size", "hidden_size"), tensor.shape, strict=True):
                if config[key] != stored:
                    raise CheckpointRefusedError(
                        f"config.json: {key} is {config[key]}, but tensor {tensor.name!r} in "
                        f"{file} has {stored}; save the model again with its own config.json"
                    )
