"""Whether a directory is a complete checkpoint that may be loaded. Executes nothing from it.

Only the files listed here count: they make up the identity and `link_files` shows a loader nothing
else.
"""

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from monitor.checkpoints.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_adapter
from monitor.checkpoints.config_fit import check_fit
from monitor.checkpoints.listing import FileStat, Listing, is_unfinished, list_directory
from monitor.checkpoints.model_config import check_model_config, refuse_code_keys
from monitor.checkpoints.strict_json import read_json_object
from monitor.checkpoints.tokenizer_config import check_tokenizer_config
from monitor.checkpoints.weights import (
    INDEX,
    SINGLE,
    WeightFile,
    read_weight_files,
    refuse_unsafe_weights,
)
from monitor.errors import CheckpointRefusedError

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja")
BEHAVIOUR_FILES = (
    CONFIG,
    GENERATION_CONFIG,
    TOKENIZER,
    "tokenizer.model",
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    *_TEMPLATES,
)
"""Files besides the weights that can change what the model says, as globs of paths."""
_MAY_NAME_CODE = (GENERATION_CONFIG, TOKENIZER_CONFIG, "special_tokens_map.json")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint of an allowed kind."""

    path: Path
    listing: Listing
    shape: str
    """Architecture, blocks and width, as `LlamaForCausalLM 30x576`."""
    weights: tuple[WeightFile, ...]
    files: tuple[FileStat, ...]
    """What counts: the weights, their index, and the behaviour-relevant files."""
    tokenizer: dict[str, Any]
    """The content of tokenizer.json."""


def inspect_checkpoint(path: Path, listing: Listing | None = None) -> Checkpoint:
    """The checkpoint in the directory `path`, whose files are `listing` if that is known.

    Raises CheckpointRefusedError with the file, the reason and the remedy, and SourceError where it
    can't be read now.
    """
    if listing is None:
        if not path.is_dir():
            raise CheckpointRefusedError("is not a directory")
        listing = list_directory(path)
    listing.raise_problem()
    names = {file.path for file in listing.files}
    config, shape = read_description(path, names)
    weights = read_weight_files(path, names)
    check_fit(config, weights)
    counted = {file.name for file in weights} | ({INDEX} & names)
    return Checkpoint(
        path=path,
        listing=listing,
        shape=shape,
        weights=weights,
        files=tuple(file for file in listing.files if file.path in counted or _counts(file.path)),
        tokenizer=read_json_object(path / TOKENIZER),
    )


def read_description(path: Path, names: set[str]) -> tuple[dict[str, Any], str]:
    """Configuration and shape of the checkpoint at `path` with the files `names`; no weights.

    Raises CheckpointRefusedError for whatever its names and small files already show.
    """
    if not names:
        raise CheckpointRefusedError("is empty")
    for name in sorted(names):
        if any(is_unfinished(part) for part in name.split("/")):
            raise CheckpointRefusedError(f"still being written: {name!r} is there")
    refuse_unsafe_weights(names)
    for name in sorted(name for name in names if name.startswith("adapter_")):
        raise CheckpointRefusedError(
            f"{name}: an adapter lies here, and its line names no base for adapters, or a model is "
            "beside it; set adapters.base of the line, or merge it into the model and publish that"
        )
    for needed in (CONFIG, TOKENIZER):
        if needed not in names:
            raise CheckpointRefusedError(
                f"{needed}: is not there; still being written, or saved without it"
            )
    config = read_json_object(path / CONFIG)
    shape = check_model_config(config)
    for name in _MAY_NAME_CODE:
        if name in names:
            content = read_json_object(path / name)
            refuse_code_keys(content, name)
            if name == TOKENIZER_CONFIG:
                check_tokenizer_config(content)
    return config, shape


def link_files(checkpoint: Checkpoint, directory: Path) -> None:
    """Make the existing, empty `directory` show the files that count, as links, and no others."""
    for file in checkpoint.files:
        link = directory / file.path
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink((checkpoint.path / file.path).resolve(), link)


def looks_complete(names: set[str]) -> bool:
    """Whether files of these names may be a whole checkpoint; only their contents can tell."""
    whole = {CONFIG, TOKENIZER} <= names and (SINGLE in names or INDEX in names)
    return whole or (is_adapter(names) and ADAPTER_WEIGHTS in names)


def may_count(path: str) -> bool:
    """Whether a file of this path can be one that counts, before any index has been read."""
    weights = "/" not in path and (path.endswith(".safetensors") or path == INDEX)
    return weights or path == ADAPTER_CONFIG or _counts(path)


def counts_beside_weights(path: str) -> bool:
    """Whether a file that lies beside an adapter takes the place of that of its base."""
    return _counts(path) and path not in (CONFIG, GENERATION_CONFIG)


def is_template(path: str) -> bool:
    """Whether a file of this path is a chat template."""
    return _is_one_of(_TEMPLATES, path)


def _counts(path: str) -> bool:
    return _is_one_of(BEHAVIOUR_FILES, path)


def _is_one_of(patterns: tuple[str, ...], path: str) -> bool:
    # The star of a glob matches slashes too, but no file below a second directory is read.
    return any(
        fnmatchcase(path, pattern) and path.count("/") == pattern.count("/") for pattern in patterns
    )
