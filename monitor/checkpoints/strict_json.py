"""JSON from an untrusted file: limited in size, depth and number of values, an object, without
ambiguous keys."""

import json
from pathlib import Path
from typing import Any

from monitor.checkpoints.unreadable import unreadable
from monitor.errors import CheckpointRefusedError

MAX_BYTES = 100 * 2**20
MAX_VALUES = 5_000_000
"""Commas and brackets; a tokenizer of 49,152 tokens has 196,585. So many small objects take 536 MiB
to read, measured, and who reads this reads the pushes of all lines."""


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in the file `path`. Raises CheckpointRefusedError that names the file, and
    SourceError where it can't be read now."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) > MAX_BYTES:
        raise CheckpointRefusedError(f"{path.name}: is larger than {MAX_BYTES >> 20} MiB")
    return parse_json_object(content, path.name)


def parse_json_object(content: bytes, name: str) -> dict[str, Any]:
    """The object in `content`, which comes from the file called `name`."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise CheckpointRefusedError(f"{name}: holds more than {MAX_VALUES:,} values")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_distinct)
    except RecursionError as error:
        raise CheckpointRefusedError(f"{name}: is nested too deeply") from error
    except ValueError as error:
        raise CheckpointRefusedError(
            f"{name}: is not valid JSON ({error}); still being written, or broken"
        ) from error
    if not isinstance(value, dict):
        raise CheckpointRefusedError(f"{name}: is not a JSON object")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        # Readers differ in which of the two they take.
        raise ValueError("an object holds the same key twice")
    return values
