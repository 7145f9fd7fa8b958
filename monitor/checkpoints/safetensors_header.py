"""The header of a safetensors file: read with limits, and checked against the file's size.

Format: 8 bytes header length (little-endian), the header as JSON, the tensors' bytes without gaps.
https://huggingface.co/docs/safetensors/index#format
"""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from monitor.checkpoints.strict_json import parse_json_object
from monitor.checkpoints.unreadable import unreadable
from monitor.errors import CheckpointRefusedError

MAX_HEADER_BYTES = 32_000_000
"""Some 300,000 tensors; the format's own reader takes three times as much."""

_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
"""Types whose shape is that of the matrix: quantised weights are packed into others."""


class Tensor(NamedTuple):
    """One tensor of the file; `begin` and `end` are offsets in the file, in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """What the file holds: the tensors in the order of their bytes."""

    tensors: tuple[Tensor, ...]


def read_header(path: Path) -> Header:
    """The header of the file `path`. Raises CheckpointRefusedError when it doesn't fit the file,
    and SourceError where it can't be read now."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size == 0:
                raise _refusal(path, "is empty: its writer did not come to an end")
            if size < 8 or length > MAX_HEADER_BYTES or 8 + length > size:
                raise _refusal(path, f"claims a header of {length:,} bytes in {size:,}")
            content = stream.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    entries = parse_json_object(content, path.name)
    entries.pop("__metadata__", None)
    begin = 8 + length
    tensors = sorted(
        (_tensor(path, name, entry, begin) for name, entry in entries.items()),
        key=lambda tensor: (tensor.begin, tensor.end),
    )
    position = begin
    for tensor in tensors:
        if tensor.begin != position:
            raise _refusal(path, f"leaves a gap or an overlap before tensor {tensor.name[:80]!r}")
        position = tensor.end
    if position != size:
        raise _refusal(path, f"describes {position:,} bytes, but the file has {size:,}")
    return Header(tuple(tensors))


def _tensor(path: Path, name: str, entry: Any, base: int) -> Tensor:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise _refusal(path, f"describes tensor {name[:80]!r} incompletely")
    if isinstance(begin, bool) or isinstance(end, bool):  # which Python takes for 0 and 1
        raise _refusal(path, f"describes tensor {name[:80]!r} incompletely")
    if dtype not in _ITEM_BYTES:
        raise _refusal(path, f"gives tensor {name[:80]!r} the unknown type {dtype[:80]!r}")
    if len(shape) > 16 or not all(type(side) is int and 0 <= side < 2**48 for side in shape):
        raise _refusal(path, f"gives tensor {name[:80]!r} an impossible shape")
    if begin < 0 or end - begin != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise _refusal(path, f"gives tensor {name[:80]!r} a size that doesn't fit its shape")
    return Tensor(name, dtype, tuple(shape), base + begin, base + end)


def _refusal(path: Path, what: str) -> CheckpointRefusedError:
    return CheckpointRefusedError(
        f"{path.name}: its header {what}; the file is truncated, still being written, or no "
        "safetensors file"
    )
