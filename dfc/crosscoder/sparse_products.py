"""Encoding and decoding with codes of which few entries are active, without the zeros.

A crosscoder encodes every latent but decodes k per token, and its gradients touch those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dfc.crosscoder.active import Entries, entries

PLAIN_FROM = {torch.float32: 0.15, torch.bfloat16: 0.025}
"""Share of active entries from which on the plain product in this format is no slower.

Measured in float32: a product of all entries takes as long as one of a quarter of them without the
zeros, which have to be found first. The bound for bfloat16 is an estimate: a sixth of it, since its
products are about six times as fast where they are native."""


@dataclass(frozen=True)
class Active:
    """Codes of a batch ``[B, F]`` after selection, as the values of their active entries."""

    entries: Entries
    value_N: Tensor

    def fired(self) -> Tensor:
        """Which latents ``[F]`` are active anywhere."""
        return self.entries.columns()

    def dense(self) -> Tensor:
        """All codes, zeros too."""
        where = self.entries
        zero_BF = self.value_N.new_zeros(where.shape)
        return zero_BF.index_put((where.row_N, where.column_N), self.value_N)


def is_sparse(share: float, like: Tensor, dtype: torch.dtype) -> bool:
    """Whether products with this share of active entries are faster without the zeros: on a CPU
    whose torch has the parts for it. ``dtype`` is that of the plain product."""
    return like.is_cpu and torch.backends.mkl.is_available() and share < PLAIN_FROM.get(dtype, 0.0)


def read(parts: Sequence[tuple[Tensor, Tensor]], bias_F: Tensor, code: Active) -> Active:
    """The codes with a gradient: of ``bias_F`` and of the encoders ``[F, d]`` that read the states
    ``[B, d]`` of ``parts``. It reaches active latents alone."""
    flat = [tensor for part in parts for tensor in part]
    return Active(code.entries, _Read.apply(code.entries, code.value_N, bias_F, *flat))


def write(code: Tensor | Active, decoder_FD: Tensor) -> Tensor:
    """``code @ decoder_FD`` of codes after selection.

    No gradient reaches a zero: what was not selected does not learn.
    """
    if isinstance(code, Active):
        out: Tensor = _Write.apply(code.entries, code.value_N, decoder_FD)
        return out
    if code.requires_grad or not _is_thin(code):
        return code @ decoder_FD
    found = entries(code)
    return found.times(code[found.row_N, found.column_N].float(), decoder_FD)


def _is_thin(code_BF: Tensor) -> bool:
    share = int(code_BF.count_nonzero()) / max(1, code_BF.numel())
    return is_sparse(share, code_BF, code_BF.dtype)


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, where: Entries, value_N: Tensor, bias_F: Tensor, *parts: Tensor
    ) -> Tensor:
        ctx.entries = where
        ctx.save_for_backward(*parts[::2])
        return value_N.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_N,), where = gradients, ctx.entries
        encoders: list[Tensor | None] = []
        for x_BD in ctx.saved_tensors:
            encoders += [None, where.transposed_times(gradient_N, x_BD)]
        return None, None, where.column_sums(gradient_N), *encoders


class _Write(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, where: Entries, value_N: Tensor, decoder_FD: Tensor) -> Tensor:
        ctx.entries = where
        ctx.save_for_backward(value_N, decoder_FD)
        return where.times(value_N, decoder_FD)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_BD,), (value_N, decoder_FD) = gradients, ctx.saved_tensors
        where: Entries = ctx.entries
        return (
            None,
            where.products(gradient_BD, decoder_FD),
            where.transposed_times(value_N, gradient_BD),
        )
