"""The active entries of a batch's codes, and products with them that leave the zeros out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


@dataclass(frozen=True)
class Entries:
    """Places of a matrix ``[R, C]``, row by row."""

    shape: tuple[int, int]
    row_N: Tensor
    column_N: Tensor

    def times(self, value_N: Tensor, x_CD: Tensor) -> Tensor:
        """The matrix with these values times ``x_CD``: ``[R, D]``."""
        return _bags(self.column_N, self._row_starts, value_N, x_CD)

    def transposed_times(self, value_N: Tensor, x_RD: Tensor) -> Tensor:
        """Its transpose times ``x_RD``: ``[C, D]``."""
        row_N = self.row_N.index_select(0, self._by_column)
        value_N = value_N.index_select(0, self._by_column)
        return _bags(row_N, self._column_starts, value_N, x_RD)

    def products(self, x_RD: Tensor, y_CD: Tensor) -> Tensor:
        """What ``x_RD @ y_CD.T`` holds at these places ``[N]``."""
        zero_N = x_RD.new_zeros(len(self.column_N))
        with warnings.catch_warnings():  # one that says that the layout is new
            warnings.simplefilter("ignore", UserWarning)
            at = torch.sparse_csr_tensor(self._row_starts, self.column_N, zero_N, self.shape)
        return torch.sparse.sampled_addmm(at, x_RD, y_CD.T, beta=0.0).values()

    def column_sums(self, value_N: Tensor) -> Tensor:
        """Of each column ``[C]``."""
        return value_N.new_zeros(self.shape[1]).index_add_(0, self.column_N, value_N)

    def columns(self) -> Tensor:
        """Which columns ``[C]`` have any."""
        return self._column_starts.diff() > 0

    @cached_property
    def _row_starts(self) -> Tensor:
        return _starts(self.shape[0], self.row_N)

    @cached_property
    def _column_starts(self) -> Tensor:
        return _starts(self.shape[1], self.column_N)

    @cached_property
    def _by_column(self) -> Tensor:
        return self.column_N.argsort(stable=True)


def entries(x_RC: Tensor) -> Entries:
    """Those of a matrix that are not zero."""
    row_N, column_N = x_RC.nonzero(as_tuple=True)
    return Entries((x_RC.shape[0], x_RC.shape[1]), row_N, column_N)


def _bags(index_N: Tensor, starts: Tensor, value_N: Tensor, x_D: Tensor) -> Tensor:
    return embedding_bag(
        index_N, x_D, starts, mode="sum", per_sample_weights=value_N, include_last_offset=True
    )


def _starts(rows: int, row_N: Tensor) -> Tensor:
    """Where each row's entries begin, and where the last ones end ``[R + 1]``."""
    ends_R = torch.bincount(row_N, minlength=rows).cumsum(0)
    return torch.cat([ends_R.new_zeros(1), ends_R])
