"""Which model configurations may reach a loader: by allow-list, before any loader sees them.

A key that is not listed is harmless as long as it holds no text: numbers can't name code, a file
or a place in the network. Everything else has to be listed.
"""

import math
from typing import Any

from monitor.errors import CheckpointRefusedError

ARCHITECTURES = {
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3_text",
    "GPTNeoXForCausalLM": "gpt_neox",
    "GraniteForCausalLM": "granite",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Olmo2ForCausalLM": "olmo2",
    "Phi3ForCausalLM": "phi3",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "SmolLM3ForCausalLM": "smollm3",
}
"""Architecture to the `model_type` it must come with."""

CODE_KEYS = frozenset(
    {
        "auto_map",
        "custom_code",
        "custom_generate",
        "custom_pipelines",
        "trust_remote_code",
        "model_file",
        "_attn_implementation_internal",
        "_experts_implementation_internal",
    }
)
"""Keys by which a loader imports code that comes with the checkpoint or from elsewhere."""

_TEXT_KEYS = frozenset(
    {
        "_model_name_or_path",
        "_name_or_path",
        "architectures",
        "cache_implementation",
        "dtype",
        "hidden_act",
        "hidden_activation",
        "id2label",
        "label2id",
        "layer_types",
        "model_type",
        "problem_type",
        "rope_parameters",
        "rope_scaling",
        "torch_dtype",
        "transformers.js_config",
        "transformers_version",
        "unsloth_version",
    }
)
_SIZES = ("hidden_size", "num_hidden_layers", "vocab_size")
_OTHER_SIZES = ("head_dim", "intermediate_size", "num_attention_heads", "num_key_value_heads")
"""Left out, or null, where they follow from others."""
_DTYPES = frozenset(
    {
        *("auto", "bfloat16", "float16", "float32", "float64"),
        *("float8_e4m3fn", "float8_e5m2"),
    }
)
_MAX_DEPTH = 8


def check_model_config(config: dict[str, Any]) -> str:
    """The shape of the model that `config` describes, as `LlamaForCausalLM 30x576`.

    Raises CheckpointRefusedError that names the key and the remedy.
    """
    refuse_code_keys(config, "config.json")
    for key, value in config.items():
        if key not in _TEXT_KEYS and key not in _SIZES and _holds_text(value):
            raise CheckpointRefusedError(
                f"config.json: key {key[:80]!r} is not among those known to be safe; remove it"
            )
        _refuse_not_finite(value, key)
    match config.get("architectures"):
        case [str(architecture)] if architecture in ARCHITECTURES:
            pass
        case other:
            raise CheckpointRefusedError(
                f"config.json: architectures {_short(other)} is not supported; supported: "
                f"{', '.join(ARCHITECTURES)}"
            )
    for key in ("dtype", "torch_dtype"):
        dtype = config.get(key)
        if dtype is not None and str(dtype).removeprefix("torch.") not in _DTYPES:
            raise CheckpointRefusedError(
                f"config.json: {key} {_short(dtype)} is no number format of weights; known are: "
                f"{', '.join(sorted(_DTYPES))}"
            )
    expected = ARCHITECTURES[architecture]
    if config.get("model_type") != expected:
        raise CheckpointRefusedError(
            f"config.json: model_type {_short(config.get('model_type'))} does not belong to "
            f"{architecture}, which has {expected!r}"
        )
    for key in (*_SIZES, *(key for key in _OTHER_SIZES if config.get(key) is not None)):
        if type(config.get(key)) is not int or config[key] < 1:
            raise CheckpointRefusedError(
                f"config.json: {key} must be a whole number above 0; save the model "
                "again with its own config.json"
            )
    return f"{architecture} {config['num_hidden_layers']}x{config['hidden_size']}"


def refuse_code_keys(value: Any, file: str) -> None:
    """Raise CheckpointRefusedError when `value`, read from `file`, names code at any depth."""
    if isinstance(value, dict):
        for key in CODE_KEYS & value.keys():
            raise CheckpointRefusedError(
                f"{file}: {key!r} names code that a loader would run; publish the checkpoint "
                "without it, as an architecture that transformers knows itself"
            )
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            refuse_code_keys(part, file)


def _refuse_not_finite(value: Any, key: str) -> None:
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_not_finite(part, f"{key}.{name}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise CheckpointRefusedError(
            f"config.json: {key[:80]!r} is {value}, which is no finite number, so the model can't "
            "be run; correct it"
        )


def _holds_text(value: Any, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth == _MAX_DEPTH or any(_holds_text(v, depth + 1) for v in value.values())
    if isinstance(value, list):
        return depth == _MAX_DEPTH or any(_holds_text(v, depth + 1) for v in value)
    return isinstance(value, str)


def _short(value: Any) -> str:
    return repr(value)[:80]
