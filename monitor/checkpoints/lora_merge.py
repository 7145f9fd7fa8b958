"""The weights of a base with an adapter merged in, as the bytes of its safetensors files.

Bytes are a function of base and adapter alone, on every machine: sums are taken in a fixed order
and by elementwise operations, never by a library for matrix products.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monitor.checkpoints.adapter import Adapter, Change
from monitor.checkpoints.safetensors_header import Tensor
from monitor.checkpoints.weights import WeightFile
from monitor.errors import CheckpointRefusedError

_CHUNK = 1 << 22
_ROWS_BYTES = 1 << 25
_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}


def check_fits(adapter: Adapter, weights: tuple[WeightFile, ...]) -> None:
    """Raise CheckpointRefusedError unless the base with `weights` has what the adapter changes, and
    the adapter changes all that it targets."""
    tensors = {tensor.name: tensor for file in weights for tensor in file.header.tensors}
    for name, change in adapter.changes.items():
        base = tensors.get(name)
        if base is None:
            raise _refusal(name, "the base has no such tensor")
        if base.shape != (change.b.shape[0], change.a.shape[1]):
            raise _refusal(name, f"the base's has the shape {base.shape}")
        for tensor in (base, change.a, change.b):
            if tensor.dtype not in _TYPES:
                raise _refusal(name, f"{tensor.dtype} can't be merged")
    for name, tensor in tensors.items():
        module = name.removesuffix(".weight")
        meant = len(tensor.shape) == 2 and module != name and adapter.targets.cover(module)
        if meant and name not in adapter.changes:
            raise CheckpointRefusedError(
                f"adapter_model.safetensors: lacks {name[:120]!r}, which adapter_config.json "
                "targets and a loader would make up; save the adapter again"
            )


def merged(adapter: Adapter, base: Path, weights: WeightFile, offset: int) -> Iterator[bytes]:
    """The bytes of one file of the base, from `offset` on, with the adapter merged in."""
    path = base / weights.name
    tensors = weights.header.tensors
    size = tensors[-1].end if tensors else path.stat().st_size
    bounds = [0, *(edge for t in tensors if t.name in adapter.changes for edge in (t.begin, t.end))]
    changed = {tensor.begin: tensor for tensor in tensors if tensor.name in adapter.changes}
    for begin, end in zip(bounds, [*bounds[1:], size], strict=True):
        if end <= max(offset, begin):  # nothing lies between two changed tensors that touch
            continue
        if begin in changed:
            tensor = changed[begin]
            pieces = _merged_rows(adapter, path, tensor, adapter.changes[tensor.name])
        else:
            pieces = _copied(path, begin, end)
        for piece in pieces:
            yield piece[max(offset - begin, 0) :]
            begin += len(piece)


def _copied(path: Path, begin: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(begin)
        while begin < end:
            chunk = stream.read(min(_CHUNK, end - begin))
            if not chunk:
                raise CheckpointRefusedError(f"{path.name}: shrank while it was read")
            begin += len(chunk)
            yield chunk


def _merged_rows(adapter: Adapter, path: Path, base: Tensor, change: Change) -> Iterator[bytes]:
    a_RI = _floats(_read(adapter.weights, change.a), change.a.dtype)
    b_OR = _floats(_read(adapter.weights, change.b), change.b.dtype) * np.float32(change.scale)
    stored_OI = _read(path, base)
    step = max(1, _ROWS_BYTES // (4 * base.shape[1]))
    for first in range(0, base.shape[0], step):
        rows = slice(first, first + step)
        total = _floats(stored_OI[rows], base.dtype)
        for rank in range(a_RI.shape[0]):
            total = total + b_OR[rows, rank, None] * a_RI[rank]
        yield _stored(total, base.dtype).tobytes()


def _read(path: Path, tensor: Tensor) -> np.ndarray:
    return np.memmap(path, _TYPES[tensor.dtype], "r", tensor.begin, tensor.shape)


def _floats(stored: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        return (stored.astype("<u4") << np.uint32(16)).view("<f4")
    return stored.astype("<f4")


def _stored(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype != "BF16":
        return values.astype(_TYPES[dtype])
    bits = values.view("<u4")
    # To the nearest, and to even where two are equally near; what is no number stays none.
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    kept = np.where(np.isnan(values), np.uint32(0x7FC0_0000), rounded)
    return (kept >> np.uint32(16)).astype("<u2")


def _refusal(name: str, why: str) -> CheckpointRefusedError:
    return CheckpointRefusedError(
        f"adapter_model.safetensors: changes {name[:120]!r}, but {why}; is it an adapter of "
        "another base?"
    )
