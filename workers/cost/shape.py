"""The sizes of a decoder, read from its config.json, and what one token costs in it."""

from pathlib import Path
from typing import Any, NamedTuple

from monitor.checkpoints.model_config import check_model_config
from monitor.checkpoints.strict_json import read_json_object
from monitor.errors import CheckpointRefusedError

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
STATE_BYTES = 2
"""Of one number of a model that runs on a GPU, or on a CPU that multiplies bfloat16."""


class Shape(NamedTuple):
    """A decoder's matrices; biases and norms are left out, less than 0.1 % of the weights."""

    name: str
    layers: int
    width: int
    vocabulary: int
    intermediate: int
    intermediate_matrices: int
    """Of one feed-forward block: three where it is gated."""
    heads: int
    kv_heads: int
    head_width: int
    tied: bool
    """The output head is the embedding."""
    stored_bytes: int
    """Of one weight in the checkpoint's files."""

    @property
    def block_weights(self) -> int:
        """Of one block."""
        attention = 2 * self.width * self.head_width * (self.heads + self.kv_heads)
        return attention + self.intermediate_matrices * self.width * self.intermediate

    @property
    def head_weights(self) -> int:
        return self.vocabulary * self.width

    @property
    def weights(self) -> int:
        """All of them."""
        embeddings = self.head_weights * (1 if self.tied else 2)
        return self.layers * self.block_weights + embeddings

    @property
    def file_bytes(self) -> int:
        return self.weights * self.stored_bytes

    @property
    def memory_bytes(self) -> int:
        """Of the loaded weights."""
        return self.weights * STATE_BYTES

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one token in all blocks."""
        return 2 * self.layers * self.kv_heads * self.head_width * STATE_BYTES

    def block_flops(self, context: float) -> float:
        """Of one token in one block, which attends to `context` tokens on average."""
        return 2 * self.block_weights + 4 * context * self.heads * self.head_width


def read_shape(path: Path) -> Shape:
    """The shape of the checkpoint directory, or of the config.json, at `path`.

    Raises CheckpointRefusedError that names the file, the key and the remedy.
    """
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointRefusedError(
            f"{file}: is not there; give a checkpoint's directory or its config.json"
        )
    try:
        config = read_json_object(file)
        check_model_config(config)
        return _shape(config)
    except CheckpointRefusedError as error:
        raise CheckpointRefusedError(f"{path}: {error}") from error


def _shape(config: dict[str, Any]) -> Shape:
    width, heads = config["hidden_size"], _number(config, "num_attention_heads")
    dtype = config.get("dtype", config.get("torch_dtype")) or "float32"
    if dtype not in _BYTES:
        raise CheckpointRefusedError(
            f"config.json: dtype {dtype!r:.40} is not one of {', '.join(_BYTES)}"
        )
    return Shape(
        name=f"{config['architectures'][0]} {config['num_hidden_layers']}x{width}",
        layers=config["num_hidden_layers"],
        width=width,
        vocabulary=config["vocab_size"],
        intermediate=_number(config, "intermediate_size"),
        intermediate_matrices=2 if config["model_type"] == "gpt_neox" else 3,
        heads=heads,
        kv_heads=_number(config, "num_key_value_heads", heads),
        head_width=_number(config, "head_dim", width // heads),
        tied=bool(config.get("tie_word_embeddings", False)),
        stored_bytes=_BYTES[dtype],
    )


def _number(config: dict[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int or value < 1:
        raise CheckpointRefusedError(f"config.json: {key} must be a whole number above 0")
    return value
