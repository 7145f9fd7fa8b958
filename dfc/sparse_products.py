"""Products with codes of which few entries are active, forward and backward, without the zeros.

A crosscoder encodes every latent but decodes k per token, and its gradients touch those alone. The
matrices stay dense to their users. On a GPU, and where too many entries are active, these are the
plain products.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

PLAIN_FROM = {torch.float32: 0.15, torch.bfloat16: 0.025}
"""Share of active entries from which on the plain product in this format is no slower.

Measured in float32: a product of all entries takes as long as one of a quarter of them without the
zeros, which have to be found first. The bound for bfloat16 is an estimate: a sixth of it, since its
products are about six times as fast where they are native."""


class _Active(NamedTuple):
    """The entries of a matrix ``[R, C]`` that are not zero, row by row."""

    shape: torch.Size
    place_N: Tensor
    """In the flattened matrix."""
    row_N: Tensor
    column_N: Tensor

    def values(self, x_RC: Tensor) -> Tensor:
        """What ``x_RC`` holds there."""
        return x_RC.reshape(-1).index_select(0, self.place_N).float()

    def times(self, value_N: Tensor, x_CD: Tensor) -> Tensor:
        """The matrix with these values times ``x_CD``: ``[R, D]``."""
        return _bags(self.shape[0], self.row_N, self.column_N, value_N, x_CD)

    def transposed_times(self, value_N: Tensor, x_RD: Tensor) -> Tensor:
        """Its transpose times ``x_RD``: ``[C, D]``."""
        order_N = self.column_N.argsort(stable=True)
        row_N, column_N, value_N = (
            of_N.index_select(0, order_N) for of_N in (self.row_N, self.column_N, value_N)
        )
        return _bags(self.shape[1], column_N, row_N, value_N, x_RD)

    def products(self, x_RD: Tensor, y_CD: Tensor) -> Tensor:
        """``x_RD @ y_CD.T`` at these entries, zero elsewhere: ``[R, C]``."""
        starts_R = _starts(self.shape[0], self.row_N)
        zero_N = x_RD.new_zeros(len(self.column_N))
        with warnings.catch_warnings():  # one that says that the layout is new
            warnings.simplefilter("ignore", UserWarning)
            at = torch.sparse_csr_tensor(starts_R, self.column_N, zero_N, self.shape)
        product = torch.sparse.sampled_addmm(at, x_RD, y_CD.T, beta=0.0)
        dense = x_RD.new_zeros(self.shape.numel())
        return dense.index_copy_(0, self.place_N, product.values()).view(self.shape)


def read(x_BD: Tensor, encoder_FD: Tensor) -> Tensor:
    """``x_BD @ encoder_FD.T``, the gradient of which is zero wherever a latent is not active."""
    if x_BD.is_cuda or x_BD.requires_grad:
        return x_BD @ encoder_FD.T
    out: Tensor = _Read.apply(x_BD, encoder_FD)
    return out


def write(code_BF: Tensor, decoder_FD: Tensor) -> Tensor:
    """``code_BF @ decoder_FD`` of codes after selection.

    No gradient reaches a zero: what was not selected does not learn.
    """
    active = None if code_BF.is_cuda else _active(code_BF)
    if active is None:
        return code_BF @ decoder_FD
    out: Tensor = _Write.apply(code_BF, decoder_FD, active)
    return out


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BD: Tensor, encoder_FD: Tensor) -> Tensor:
        ctx.save_for_backward(x_BD)
        return x_BD @ encoder_FD.T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient_BF,), (x_BD,) = gradients, ctx.saved_tensors
        active = _active(gradient_BF)
        if active is None:
            return None, (gradient_BF.T @ x_BD.to(gradient_BF.dtype)).float()
        return None, active.transposed_times(active.values(gradient_BF), x_BD)


class _Write(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, code_BF: Tensor, decoder_FD: Tensor, active: _Active) -> Tensor:
        value_N = active.values(code_BF)
        ctx.active, ctx.code_dtype = active, code_BF.dtype
        ctx.save_for_backward(value_N, decoder_FD)
        return active.times(value_N, decoder_FD)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient_BD,), (value_N, decoder_FD) = gradients, ctx.saved_tensors
        active: _Active = ctx.active
        code_BF = active.products(gradient_BD, decoder_FD).to(ctx.code_dtype)
        return code_BF, active.transposed_times(value_N, gradient_BD), None


def _active(x_RC: Tensor) -> _Active | None:
    """None where the plain product is no slower, or its parts are missing from this torch."""
    if not torch.backends.mkl.is_available():
        return None
    place_N = (x_RC.reshape(-1) != 0).nonzero()[:, 0]
    if len(place_N) >= PLAIN_FROM.get(x_RC.dtype, 0.0) * x_RC.numel():
        return None
    columns = x_RC.shape[1]
    return _Active(x_RC.shape, place_N, place_N // columns, place_N % columns)


def _bags(rows: int, row_N: Tensor, column_N: Tensor, value_N: Tensor, x_CD: Tensor) -> Tensor:
    return embedding_bag(
        column_N,
        x_CD,
        _starts(rows, row_N),
        mode="sum",
        per_sample_weights=value_N,
        include_last_offset=True,
    )


def _starts(rows: int, row_N: Tensor) -> Tensor:
    """Where each row's entries begin, and where the last ones end ``[R + 1]``."""
    ends_R = torch.bincount(row_N, minlength=rows).cumsum(0)
    return torch.cat([ends_R.new_zeros(1), ends_R])
