"""Small checkpoint directories that are complete in form, made without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "vocab_size": 4,
    "hidden_act": "silu",
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "transformers_version": "5.19.0",
}
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel"},
    "decoder": {"type": "ByteLevel"},
    "model": {
        "type": "BPE",
        "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3},
        "merges": [["a", "b"]],
    },
}


def write_checkpoint(path: Path, seed: int = 0, shards: int = 1) -> Path:
    """A checkpoint at `path` whose weights follow from `seed`, in one file or several shards."""
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "config.json", CONFIG)
    write_json(path / "tokenizer.json", TOKENIZER)
    write_json(path / "tokenizer_config.json", {"tokenizer_class": "TokenizersBackend"})
    (path / "chat_template.jinja").write_text("{{ messages[0].content }}")
    tensors = make_tensors(seed)
    if shards == 1:
        save_file(tensors, path / "model.safetensors")
        return path
    weight_map = {}
    for i in range(shards):
        shard = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = dict(list(tensors.items())[i::shards])
        save_file(part, path / shard)
        weight_map.update(dict.fromkeys(part, shard))
    write_json(path / "model.safetensors.index.json", {"weight_map": weight_map})
    return path


def make_tensors(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = {"embed": (4, 8), "layers.0.up": (8, 16), "layers.1.up": (8, 16), "norm": (8,)}
    return {name: random.normal(size=shape).astype("f4") for name, shape in shapes.items()}


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
