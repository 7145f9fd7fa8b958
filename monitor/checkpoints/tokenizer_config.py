"""Which tokenizer_config.json may reach a loader: what names a file or a class is held to a list.

Every other key passes: tokenizers of the same kind come with many of their own.
"""

import re
from collections.abc import Iterator
from typing import Any

from monitor.errors import CheckpointRefusedError

_NAMES_FILES = re.compile(r".+_files?|init_inputs")
"""Keys whose values a tokenizer may open; `init_inputs` are its arguments by position."""
_NEVER_OPENED = "special_tokens_map_file"
"""Pythia and others come with a path of their author's here, and no loader reads it."""

_BACKENDS = (
    "MistralCommonBackend",
    "PythonBackend",
    "SentencePieceBackend",
    "TokenizersBackend",
)
_FAMILIES = (
    "Albert",
    "Bloom",
    "CodeGen",
    "CodeLlama",
    "Cohere",
    "GPT2",
    "GPTNeoX",
    "Gemma",
    "Llama",
    "PreTrained",
    "Qwen2",
    "T5",
    "XLMRoberta",
)
CLASSES = frozenset(
    {*_BACKENDS, *(f"{family}Tokenizer{form}" for family in _FAMILIES for form in ("", "Fast"))}
)
"""Classes of transformers itself with which models of the allowed architectures are published."""


def check_tokenizer_config(config: dict[str, Any]) -> None:
    """Raise CheckpointRefusedError, naming key and remedy, where `config` names a file outside of
    its directory, or a class that is not known."""
    for key, value in config.items():
        if not _NAMES_FILES.fullmatch(key) or key == _NEVER_OPENED:
            continue
        for name in _texts(value):
            if "/" in name or "\\" in name:
                raise CheckpointRefusedError(
                    f"tokenizer_config.json: {key[:80]!r} names {name[:80]!r}, which is no file of "
                    "this directory; remove the key, loaders find the files by themselves"
                )
    named = config.get("tokenizer_class")
    if named is not None and (not isinstance(named, str) or named not in CLASSES):
        raise CheckpointRefusedError(
            f"tokenizer_config.json: tokenizer_class {repr(named)[:80]} is not among those known "
            "to be safe; save the tokenizer as PreTrainedTokenizerFast, which needs tokenizer.json "
            "alone"
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
