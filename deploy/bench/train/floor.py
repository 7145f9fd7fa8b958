"""The least that a step needs of two streams: the product that encodes every latent, at its best.

BatchTopK has to see all codes, so this product is dense; everything after it can be done on the
active ones alone. Of streams that are alike half of it is enough (`dfc.crosscoder.alike`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from deploy.bench.train.pair import Size
from dfc.engines.precision import native_dtype

CHUNKS = (512, 1024, 2048)
"""Tokens of a product; smaller ones stay in the cache."""


class Floor(NamedTuple):
    """The fastest way that was tried."""

    seconds: float
    """Of one batch."""
    dtype: str
    layout: str
    """How the encoder lies in memory; with oneDNN by rows, but not by the BLAS."""
    chunk: int


def floor(size: Size, repeats: int) -> Floor:
    """The best of ``repeats`` calls of every number format, layout and chunk."""
    formats = dict.fromkeys((native_dtype(), torch.float32))
    return min(
        (
            _best(size, dtype, layout, min(chunk, size.batch), repeats)
            for dtype in formats
            for layout in ("rows", "columns", "oneDNN")
            for chunk in CHUNKS
        ),
        key=lambda found: found.seconds,
    )


def _best(size: Size, dtype: torch.dtype, layout: str, chunk: int, repeats: int) -> Floor:
    x_BD = torch.randn(size.batch, 2 * size.d).to(dtype)
    encoder_DF = torch.randn(2 * size.d, size.latents).to(dtype)
    if layout != "columns":
        encoder_DF = encoder_DF.T.contiguous().T
    out_CF = torch.empty(chunk, size.latents, dtype=dtype)

    def product(x_CD: Tensor) -> None:
        if layout == "oneDNN":
            torch.ops.mkldnn._linear_pointwise(x_CD, encoder_DF.T, None, "none", [], "")
        else:
            torch.mm(x_CD, encoder_DF, out=out_CF[: len(x_CD)])

    seconds = min(_seconds(x_BD, chunk, product) for _ in range(repeats))
    return Floor(seconds, str(dtype).removeprefix("torch."), layout, chunk)


def _seconds(x_BD: Tensor, chunk: int, product: Callable[[Tensor], None]) -> float:
    begun = time.perf_counter()
    for x_CD in x_BD.split(chunk):
        product(x_CD)
    return time.perf_counter() - begun
