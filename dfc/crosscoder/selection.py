"""Encode and select in one pass: of all codes of a batch only the selected ones are ever kept.

The codes of some tokens at a time are made, looked through and forgotten; a whole batch of them
would be written to memory and read again several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder import replicas
from dfc.crosscoder.active import Entries
from dfc.crosscoder.alike import Bounds, bounds
from dfc.crosscoder.batch_topk import threshold_of, wanted_of_all
from dfc.crosscoder.sparse_products import Active, read
from dfc.engines.precision import native_dtype

TOKENS_AT_ONCE = 1024
GUESSED_BY = 128
"""About so many tokens tell what the largest scores may be."""
SAMPLE_SLACK = 1.3
"""How many more than its share of the largest scores their guess keeps."""
ROUNDED = {torch.float32: 1e-3, torch.bfloat16: 1e-2}
"""By how much products are bounded lower than scores, by their format: for what is rounded on the
way, as a part of what is added up there."""
BOUNDED_BELOW = 0.01
"""Share of wanted codes from which on none is bounded first: too many would be computed again."""


class Reader(NamedTuple):
    """What one block of latents reads, and by what its codes are weighed."""

    parts: Sequence[tuple[Tensor, Tensor]]
    """States ``[B, d]`` and encoder ``[F, d]`` of every model that it reads."""
    bias_F: Tensor
    norm_F: Tensor
    """A code times this is its score."""

    def some(self, index_K: Tensor) -> Reader:
        """Of these latents alone."""
        parts = [(x_BD, encoder_FD[index_K]) for x_BD, encoder_FD in self.parts]
        return Reader(parts, self.bias_F[index_K], self.norm_F[index_K])


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
        _, found = _above(readers, wanted, torch.zeros(()))  # those tokens misled
    return found


def _above(
    readers: Sequence[Reader], wanted: int, bound: Tensor | None
) -> tuple[Tensor, list[_Found]]:
    """A bound, and all codes with a positive score that reaches it; without one given, some of the
    tokens tell it."""
    tokens, latents = len(readers[0].parts[0][0]), sum(len(r.bias_F) for r in readers)
    share = wanted / (tokens * latents)
    limits = [
        _bounds(reader) if bound is None and share < BOUNDED_BELOW else None for reader in readers
    ]
    seen = [
        reader if limit is None else reader._replace(parts=(limit.part,))
        for reader, limit in zip(readers, limits, strict=True)
    ]
    encoders = [side_by_side(one) for one in seen]
    if bound is None:
        bound = _guess(seen, encoders, limits, share)
    found = [
        _look_through(reader, encoder, bound)
        for reader, encoder in zip(seen, encoders, strict=True)
    ]
    return bound, [
        one if limit is None else _computed(reader, limit, one, bound)
        for reader, limit, one in zip(readers, limits, found, strict=True)
    ]


def _bounds(reader: Reader) -> Bounds | None:
    """None where that is not worth it."""
    if len(reader.parts) != 2:
        return None
    return bounds(*reader.parts)


def _computed(reader: Reader, limit: Bounds, found: _Found, bound: Tensor) -> _Found:
    """Of codes that were bounded those whose scores reach ``bound``, with their values."""
    where = Entries((len(limit.x_BD), len(reader.bias_F)), found.row_N, found.column_N)
    value_N = limit.exactly(found.value_N, where)
    found = found._replace(value_N=value_N, score_N=value_N * reader.norm_F[found.column_N])
    return _from(found, bound)


def side_by_side(reader: Reader) -> Tensor:
    """The encoders of all that it reads as one, ``[F, D]``, in the format of the product."""
    encoders = [encoder_FD.to(native_dtype()) for _, encoder_FD in reader.parts]
    return torch.cat(encoders, dim=1) if len(encoders) > 1 else encoders[0]


def encode(reader: Reader, encoder_FD: Tensor, rows: slice) -> Tensor:
    """Codes ``[C, F]`` of some tokens, float32, before rectification."""
    return _product(reader, encoder_FD, rows).float() + reader.bias_F


def _product(
    reader: Reader, encoder_FD: Tensor, rows: slice, least_F: Tensor | None = None
) -> Tensor:
    """Codes ``[C, F]`` of some tokens without their bias, in the format of the encoders; or, given
    ``least_F``, by how much each is above it, and zero where it isn't."""
    x_CD = torch.cat([x_BD[rows] for x_BD, _ in reader.parts], dim=1).to(encoder_FD.dtype)
    if torch.backends.mkldnn.is_available():
        # By oneDNN, which subtracts and rectifies while it multiplies. What torch multiplies
        # float32 with otherwise took 1.5 times as long on an AMD EPYC (docs/benchmarks.md).
        bias_F, then = (None, "none") if least_F is None else (-least_F, "relu")
        code_CF: Tensor = torch.ops.mkldnn._linear_pointwise(x_CD, encoder_FD, bias_F, then, [], "")
        return code_CF
    code_CF = x_CD @ encoder_FD.T
    return code_CF if least_F is None else code_CF.sub_(least_F).relu_()


def _guess(
    seen: Sequence[Reader],
    encoders: Sequence[Tensor],
    limits: Sequence[Bounds | None],
    share: float,
) -> Tensor:
    """A score that somewhat more than ``share`` of all codes reach, by some of the tokens."""
    tokens = len(seen[0].parts[0][0])
    rows = slice(0, tokens, max(1, tokens // GUESSED_BY))
    scores = []
    for reader, encoder_FD, limit in zip(seen, encoders, limits, strict=True):
        code_CF = encode(reader, encoder_FD, rows)
        code_CF = code_CF if limit is None else limit.means(code_CF, rows)
        scores.append((code_CF * reader.norm_F).view(-1))
    score_N = torch.cat(scores)
    kept = min(len(score_N), round(share * len(score_N) * SAMPLE_SLACK) + 1)
    return threshold_of(score_N, kept)


def _look_through(reader: Reader, encoder_FD: Tensor, bound: Tensor) -> _Found:
    """The codes whose scores reach ``bound``, and few that hardly do not."""
    bias_F, norm_F, dtype = reader.bias_F, reader.norm_F, encoder_FD.dtype
    least_F = torch.where(norm_F > 0, bound / norm_F, torch.inf)  # else what writes nothing is kept
    least_F = (least_F - bias_F - ROUNDED[dtype] * (least_F + bias_F.abs())).to(dtype)
    offset_F = least_F.float() + bias_F
    tokens, found = len(reader.parts[0][0]), list[_Found]()
    for start in range(0, tokens, TOKENS_AT_ONCE):
        rows = slice(start, start + TOKENS_AT_ONCE)
        above_CF = _product(reader, encoder_FD, rows, least_F)
        place_N = _places(above_CF)
        row_N = place_N // len(norm_F)
        column_N = place_N - row_N * len(norm_F)
        value_N = above_CF.view(-1)[place_N].float() + offset_F[column_N]
        found.append(_Found(row_N + start, column_N, value_N, value_N * norm_F[column_N]))
        del above_CF  # before the next one is made
    return _Found(*map(torch.cat, zip(*found, strict=True)))


def _places(x_CF: Tensor) -> Tensor:
    """Where a matrix is not zero, counted through its rows. It is at few places, so that as many as
    eight bytes hold are looked at first, as one number."""
    flat, together = x_CF.view(-1), 8 // x_CF.itemsize
    if len(flat) % together:
        return flat.nonzero()[:, 0]
    where = flat.view(torch.int64).nonzero()[:, 0]
    of, place = flat.view(-1, together)[where].nonzero(as_tuple=True)
    return together * where[of] + place


def _from(found: _Found, threshold: Tensor) -> _Found:
    index = (found.score_N >= threshold).nonzero()[:, 0]
    return _Found(*(part.index_select(0, index) for part in found))
