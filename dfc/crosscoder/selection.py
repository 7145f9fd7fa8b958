"""Encode and select in one pass: of all codes of a batch only the selected ones are ever kept.

The codes of some tokens at a time fit into the processor's cache, so that they are looked through
there; a whole batch of them would be written to memory and read again several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder import replicas
from dfc.crosscoder.active import Entries
from dfc.crosscoder.batch_topk import threshold_of, wanted_of_all
from dfc.crosscoder.sparse_products import Active, read
from dfc.engines.precision import native_dtype

TOKENS_AT_ONCE = 512
SAMPLE_SLACK = 1.3
"""How many more than its share of the largest scores the first tokens' guess keeps."""
BELOW = 0.999
"""By how much the bound on codes is lower than that on scores, for what a division rounds."""


class Reader(NamedTuple):
    """What one block of latents reads, and by what its codes are weighed."""

    parts: Sequence[tuple[Tensor, Tensor]]
    """States ``[B, d]`` and encoder ``[F, d]`` of every model that it reads."""
    bias_F: Tensor
    norm_F: Tensor
    """A code times this is its score."""


class Selected(NamedTuple):
    """The codes of every reader, which have gradients, and the one threshold of their scores."""

    codes: list[Active]
    threshold: Tensor


class _Found(NamedTuple):
    row_N: Tensor
    column_N: Tensor
    value_N: Tensor
    score_N: Tensor


def select(readers: Sequence[Reader], k: float) -> Selected:
    """BatchTopK over the latents of all ``readers``: those of the ``round(k * B)`` largest scores,
    as `batch_topk_threshold` would have it."""
    with torch.no_grad():
        tokens = len(readers[0].parts[0][0])
        wanted = wanted_of_all(k, tokens)
        found = _candidates(readers, wanted)
        scores = torch.cat([part.score_N for part in found])
        threshold = threshold_of(replicas.among_largest(scores, wanted), wanted)
        kept = [_from(part, threshold) for part in found]
    codes = [
        read(
            reader.parts,
            reader.bias_F,
            Active(Entries((tokens, len(reader.bias_F)), part.row_N, part.column_N), part.value_N),
        )
        for reader, part in zip(readers, kept, strict=True)
    ]
    return Selected(codes, threshold)


def _candidates(readers: Sequence[Reader], wanted: int) -> list[_Found]:
    """All positive codes whose scores are among the ``wanted`` best of all processes, and some
    more."""
    bound, found = _above(readers, wanted // replicas.count(), None)
    # Above the highest of their bounds every process has all of its scores.
    bound = replicas.highest(bound)
    above = torch.stack([(part.score_N >= bound).sum() for part in found]).sum()
    if int(replicas.summed(above)) < wanted:
        _, found = _above(readers, wanted, torch.zeros(()))  # the first tokens misled
    return found


def _above(
    readers: Sequence[Reader], wanted: int, bound: Tensor | None
) -> tuple[Tensor, list[_Found]]:
    """A bound, and all codes with a positive score that reaches it; without one given, the first
    tokens tell it."""
    tokens = len(readers[0].parts[0][0])
    encoders = [[encoder.to(native_dtype()).T for _, encoder in r.parts] for r in readers]
    parts: list[list[_Found]] = [[] for _ in readers]
    for start in range(0, tokens, TOKENS_AT_ONCE):
        rows = slice(start, start + TOKENS_AT_ONCE)
        codes = [
            _encode(reader, encoder, rows)
            for reader, encoder in zip(readers, encoders, strict=True)
        ]
        if bound is None:
            bound = _guess(readers, codes, wanted * len(codes[0]) / tokens)
        for reader, code_CF, out in zip(readers, codes, parts, strict=True):
            out.append(_look_through(code_CF, reader.norm_F, bound, start))
    assert bound is not None
    return bound, [_Found(*map(torch.cat, zip(*out, strict=True))) for out in parts]


def _encode(reader: Reader, encoders: Sequence[Tensor], rows: slice) -> Tensor:
    """Codes ``[C, F]`` of some tokens, float32, before rectification."""
    states = [x_BD[rows].to(encoders[0].dtype) for x_BD, _ in reader.parts]
    if encoders[0].dtype is torch.float32:
        code_CF = torch.addmm(reader.bias_F, states[0], encoders[0])
        for x_CD, encoder_DF in zip(states[1:], encoders[1:], strict=True):
            code_CF.addmm_(x_CD, encoder_DF)
        return code_CF
    code_CF = (states[0] @ encoders[0]).float().add_(reader.bias_F)
    for x_CD, encoder_DF in zip(states[1:], encoders[1:], strict=True):
        code_CF.add_(x_CD @ encoder_DF)
    return code_CF


def _guess(readers: Sequence[Reader], codes: Sequence[Tensor], share: float) -> Tensor:
    """A score that somewhat more than ``share`` of these codes reach."""
    scores = torch.cat(
        [(code * reader.norm_F).reshape(-1) for reader, code in zip(readers, codes, strict=True)]
    )
    kept = min(len(scores), round(share * SAMPLE_SLACK) + 1)
    return threshold_of(scores, kept)


def _look_through(code_CF: Tensor, norm_F: Tensor, bound: Tensor, start: int) -> _Found:
    least_F = (BELOW * bound / norm_F).clamp_min(torch.finfo(code_CF.dtype).tiny)
    row_N, column_N = (code_CF >= least_F).nonzero(as_tuple=True)
    value_N = code_CF[row_N, column_N]
    return _Found(row_N + start, column_N, value_N, value_N * norm_F[column_N])


def _from(found: _Found, threshold: Tensor) -> _Found:
    index = (found.score_N >= threshold).nonzero()[:, 0]
    return _Found(*(part.index_select(0, index) for part in found))
