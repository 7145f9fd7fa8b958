"""Encode and select token by token: the strongest of some latents, without all the zeros."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dfc.crosscoder.active import Entries
from dfc.crosscoder.selection import TOKENS_AT_ONCE, Reader, encode, side_by_side
from dfc.crosscoder.sparse_products import Active, read


def strongest(readers: Sequence[Reader], wanted_F: Tensor, limit: int) -> list[Active]:
    """Of every token the positive codes among its ``limit`` largest of the ``wanted_F`` latents,
    which are counted over all ``readers``. They have gradients, block by block."""
    tokens = len(readers[0].parts[0][0])
    blocks = wanted_F.split([len(reader.bias_F) for reader in readers])
    index = [block_F.nonzero()[:, 0] for block_F in blocks]
    with torch.no_grad():
        row_N, column_N, value_N = _largest(readers, index, limit)
    codes, first = [], 0
    for reader, index_K in zip(readers, index, strict=True):
        here = ((column_N >= first) & (column_N < first + len(index_K))).nonzero()[:, 0]
        where = Entries((tokens, len(reader.bias_F)), row_N[here], index_K[column_N[here] - first])
        codes.append(read(reader.parts, reader.bias_F, Active(where, value_N[here])))
        first += len(index_K)
    return codes


def strongest_plainly(readers: Sequence[Reader], wanted_F: Tensor, limit: int) -> list[Tensor]:
    """As ``strongest``, with all zeros: ``[B, F]`` per block."""
    code_BK = encode_some(readers, wanted_F)
    largest = code_BK.topk(limit, dim=1, sorted=False)
    kept_BF = code_BK.new_zeros(len(code_BK), len(wanted_F))
    kept_BF = kept_BF.scatter(1, wanted_F.nonzero()[:, 0][largest.indices], largest.values)
    return list(kept_BF.split([len(reader.bias_F) for reader in readers], dim=1))


def strongest_masked(readers: Sequence[Reader], wanted_F: Tensor, limit: int) -> list[Tensor]:
    """As ``strongest_plainly``, by way of all codes, whose sizes are known before any is: so
    nothing waits for a GPU to say how many latents are wanted."""
    code_BF = torch.where(wanted_F, torch.cat([_codes(one) for one in readers], dim=1), 0.0)
    largest = code_BF.topk(limit, dim=1, sorted=False)
    kept_BF = torch.zeros_like(code_BF).scatter(1, largest.indices, largest.values)
    return list(kept_BF.split([len(reader.bias_F) for reader in readers], dim=1))


def encode_some(readers: Sequence[Reader], wanted_F: Tensor) -> Tensor:
    """Codes before any selection of the ``wanted_F`` latents alone, ``[B, n]``, with gradients."""
    codes = []
    blocks = wanted_F.split([len(reader.bias_F) for reader in readers])
    for reader, block_F in zip(readers, blocks, strict=True):
        codes.append(_codes(reader.some(block_F.nonzero()[:, 0])))
    return torch.cat(codes, dim=1)


def _codes(reader: Reader) -> Tensor:
    products = [x_BD @ encoder_FD.T for x_BD, encoder_FD in reader.parts]
    return torch.relu(sum(products[1:], products[0]) + reader.bias_F)


def _largest(
    readers: Sequence[Reader], index: Sequence[Tensor], limit: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns among the latents of ``index``, and values of the codes."""
    some = [reader.some(index_K) for reader, index_K in zip(readers, index, strict=True)]
    encoders = [side_by_side(reader) for reader in some]
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(readers[0].parts[0][0]), TOKENS_AT_ONCE):
        rows = slice(start, start + TOKENS_AT_ONCE)
        codes = [
            encode(reader, encoder, rows) for reader, encoder in zip(some, encoders, strict=True)
        ]
        value_CK, column_CK = torch.cat(codes, dim=1).topk(limit, dim=1, sorted=False)
        column_CK, order_CK = column_CK.sort(dim=1)
        value_CK = value_CK.gather(1, order_CK)
        row_N, place_N = (value_CK > 0).nonzero(as_tuple=True)
        found.append((row_N + start, column_CK[row_N, place_N], value_CK[row_N, place_N]))
    row_N, column_N, value_N = (torch.cat(parts) for parts in zip(*found, strict=True))
    return row_N, column_N, value_N
