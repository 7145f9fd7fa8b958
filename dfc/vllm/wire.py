"""Tensors as what passes between processes without pickle: name of the dtype, shape and bytes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.bfloat16, torch.float16)
}


class Packed(NamedTuple):
    """A tensor."""

    dtype: str
    shape: tuple[int, ...]
    raw: bytes


def to_bytes(x: Tensor) -> Packed:
    """Dtype, shape and bytes of a tensor."""
    x = x.detach().cpu().contiguous()
    raw = x.reshape(-1).view(torch.uint8).numpy().tobytes()
    return Packed(str(x.dtype).removeprefix("torch."), tuple(x.shape), raw)


def from_bytes(dtype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """The tensor; its memory is its own."""
    if not raw:
        return torch.zeros(*shape, dtype=_DTYPES[dtype])
    return torch.frombuffer(bytearray(raw), dtype=_DTYPES[dtype]).reshape(*shape)
